"""The likeliest classes of pictures, prepared as those were that the weights were trained on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn

from archdsl.datasets.folder import decode, upright
from archdsl.datasets.prepare import Fit, Preparation, plan_fit
from archdsl.diagnostics import Diagnostic, Problem, Rejected, SpecError
from archdsl.diagnostics.codes.commands import WrongNormalisation
from archdsl.diagnostics.codes.data import DamagedPicture
from archdsl.diagnostics.codes.prediction import NoPicture, NotAClassifier, NotForPictures, WrongClassNames
from archdsl.diagnostics.codes.weights import WeightsWarning
from archdsl.recipe.fit import picture_shape
from archdsl.runs.folder import RunFolder
from archdsl.shapes import Shape
from archdsl.train.losses import class_scores

if TYPE_CHECKING:
    from archdsl.graph.network import Network

#: Pictures in one pass through the network.
BATCH = 32
#: Mean and standard deviation of ImageNet's training pictures, as torchvision's weights are trained with.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Layers behind which scores are still what they were.
SHAPE_ONLY = {"flatten", "dropout", "reshape", "squeeze"}

Statistics = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A class with its probability, 0..1. `index` is the number of its output, `name` that number without a name."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class _Inputs:
    """How a picture file becomes the network's input, and the names of the classes (none: numbers)."""

    prepare: Callable[[Path], Tensor]
    classes: tuple[str, ...] = ()


def predict(
    module: nn.Module,
    images: str | Path | Sequence[str | Path],
    *,
    top: int = 5,
    classes: Sequence[str] | None = None,
    normalize: Statistics | None = None,
) -> list[list[Prediction]]:
    """The `top` likeliest classes of each picture, the likeliest first.

    Pictures are prepared, and classes named, as the module's weights need it: those of torchvision by its own
    preprocessing, those of a run as in the run. For others pictures are scaled to cover the input, cut to its
    centre and, where they have colours, normalised by ImageNet's figures, with a warning that says so.

        module = zoo.build("resnet18", weights="DEFAULT")
        [[best, *others]] = archdsl.predict(module, "cat.jpg")

    Args:
        module: made by `build()`; its device is used. It is left in the mode it was in.
        images: paths of picture files.
        top: how many classes.
        classes: other names, one for each output.
        normalize: another mean and standard deviation, for pictures in 0..1.

    Raises:
        SpecError: the network is no classifier of pictures, or a picture cannot be read.
    """
    from archdsl.backends.torch import network_of

    network = network_of(module)
    _check(network)
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(image) for image in images]
    check_pictures(paths)
    inputs = _inputs(module, network, normalize)
    names = _names(network, inputs.classes if classes is None else classes, given=classes is not None)
    found = []
    for probabilities in _probabilities(module, network, inputs, paths):
        best = probabilities[:, : len(names)].topk(min(top, len(names)))
        for values, indices in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            found.append([Prediction(i, names[i], value) for value, i in zip(values, indices, strict=True)])
    return found


def _error(problem: Problem, path: str = "") -> SpecError:
    return SpecError([Diagnostic(problem, path=path)])


def _check(network: Network) -> None:
    """Reject a network whose output is no vector of scores or whose input is no picture."""
    output, input = network.output_shape, network.input_shape
    if output.channels < 2 or any(size != 1 for size in output[1:]):
        raise _error(NotAClassifier(network.name, str(output)), network.path)
    if picture_shape(input) is None:
        raise _error(NotForPictures(network.name, str(input)), network.path)


def check_pictures(paths: Sequence[Path]) -> None:
    """Reject all that is no picture file before anything is computed. Raises SpecError (E732, E617)."""
    problems = [problem for path in paths if (problem := _problem(path))]
    if problems:
        raise SpecError([Diagnostic(problem) for problem in problems])


def _problem(path: Path) -> Problem | None:
    try:
        if path.is_dir():
            return NoPicture(str(path), "it is a folder; give the files in it")
        with Image.open(path):
            return None
    except FileNotFoundError:
        return NoPicture(str(path), "there is no such file")
    except UnidentifiedImageError:
        return DamagedPicture(str(path), "it has no format that Pillow knows")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return NoPicture(str(path), getattr(error, "strerror", None) or str(error))


def _names(network: Network, names: Sequence[str], *, given: bool) -> Sequence[str]:
    """One name for each class; a run may leave outputs unused, names that are given may not."""
    outputs = network.output_shape.channels
    if not names and not given:
        return [str(index) for index in range(outputs)]
    if len(names) > outputs or (given and len(names) != outputs):
        raise _error(WrongClassNames("the list of classes", len(names), network.name, outputs))
    return names


def _inputs(module: nn.Module, network: Network, normalize: Statistics | None) -> _Inputs:
    from archdsl.backends.torch.weights import PREFIX, origin_of

    origin = origin_of(module)
    if origin.startswith(PREFIX):
        return _published_inputs(origin, network, normalize)
    path = Path(origin)
    run = RunFolder(path if path.is_dir() else path.parent)
    if origin and run.info.is_file():
        return _run_inputs(run, network, normalize)
    return _plain_inputs(network, normalize)


def _published_inputs(origin: str, network: Network, normalize: Statistics | None) -> _Inputs:
    """Torchvision's preprocessing; where the network takes another size than it gives, in proportion."""
    from archdsl.backends.torch import published

    found = published.find(origin, network)
    transform = found.transform()
    if normalize is not None:
        transform.mean, transform.std = map(list, normalize)
    _set_size(transform, network.input_shape.spatial)

    def prepare(path: Path) -> Tensor:
        prepared: Tensor = transform(_picture(path))
        return prepared

    fits = len(found.classes) == network.output_shape.channels
    return _Inputs(prepare, found.classes if fits else ())


def _set_size(transform: Any, size: tuple[int, ...]) -> None:
    """Let a preprocessing of torchvision cut pictures to a size, after scaling them by as much more as before."""
    before = (transform.crop_size * 2)[:2]
    if tuple(before) != size:
        share = max(now / then for now, then in zip(size, before, strict=True))
        transform.crop_size = list(size)
        transform.resize_size = [round(side * share) for side in transform.resize_size]


def _picture(path: Path) -> Image.Image:
    """A colour picture, turned as the camera was held."""
    try:
        with Image.open(path) as file:
            return upright(file, "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _error(DamagedPicture(str(path), str(error))) from error


def _run_inputs(run: RunFolder, network: Network, normalize: Statistics | None) -> _Inputs:
    """What the run did with the pictures of its data set in evaluation, and the names of its classes."""
    info, input = run.read_info(), network.input_shape
    sample = Shape(info.sample) if len(info.sample) == 3 else picture_shape(input)
    assert sample is not None
    fit = plan_fit(info.dataset, sample, input)
    size = picture_shape(input)
    if info.dataset == "imagefolder" and size is not None and sample != size:
        # Pictures of a folder are held larger where crops are cut from them; evaluation takes the centre.
        fit = replace(fit, how="crop")
    return _Inputs(_prepared(network, sample, fit, normalize or (info.mean, info.std)), info.classes)


def _plain_inputs(network: Network, normalize: Statistics | None) -> _Inputs:
    """Pictures cut to the input's size, for weights about which nothing is known but that they fit."""
    sample = picture_shape(network.input_shape)
    assert sample is not None
    if normalize is None:
        normalize, what = ((0.0,), (1.0,)), "as they are, in 0..1"
        if sample.channels == len(IMAGENET[0]):
            normalize, what = IMAGENET, "normalised by ImageNet's mean and standard deviation"
        text = f"how the weights were trained is not known: pictures are scaled to cover {sample[1]}x{sample[2]}, cut "
        warnings.warn(f"{text}to the centre and taken {what}", WeightsWarning, stacklevel=4)
    fit = Fit((sample[1], sample[2]), "nothing", repeat=False, flatten=network.input_shape.rank == 0)
    return _Inputs(_prepared(network, sample, fit, normalize), _twins_classes(network))


def _prepared(network: Network, sample: Shape, fit: Fit, normalize: Statistics) -> Callable[[Path], Tensor]:
    """The function from a file to the network's input, through a picture of the shape `sample`."""
    mean, std = normalize
    channels = 3 if fit.repeat else sample.channels
    try:
        preparation = Preparation(
            fit,
            stored=(sample[1], sample[2]),
            channels=channels,
            augmentations=(),
            mean=mean,
            std=std,
            device=torch.device("cpu"),
        )
    except Rejected:
        reason = f"{len(mean)} and {len(std)} numbers, but the pictures have {channels} channels"
        raise _error(WrongNormalisation(reason), network.path) from None

    def prepare(path: Path) -> Tensor:
        picture = decode(path, sample)
        if isinstance(picture, DamagedPicture):
            raise _error(picture)
        return preparation.evaluate(picture[None])[0]

    return prepare


def _twins_classes(network: Network) -> tuple[str, ...]:
    """The classes of torchvision's weights for the same network, where there are as many."""
    from archdsl.cards import index as zoo

    if not (twin := zoo.twin(network.name, network.path)):
        return ()
    from archdsl.backends.torch.published import find
    from archdsl.backends.torch.weights import PREFIX

    classes = find(f"{PREFIX}{twin}/DEFAULT", network).classes
    return classes if len(classes) == network.output_shape.channels else ()


def _probabilities(module: nn.Module, network: Network, inputs: _Inputs, paths: Sequence[Path]) -> Iterator[Tensor]:
    """The probabilities of the classes (pictures x outputs) of one batch after the other."""
    finish = _finish(network)
    device = next((tensor.device for tensor in module.state_dict().values()), torch.device("cpu"))
    training = module.training
    module.eval()
    try:
        for start in range(0, len(paths), BATCH):
            batch = torch.stack([inputs.prepare(path) for path in paths[start : start + BATCH]])
            with torch.inference_mode():
                yield finish(class_scores(module(batch.to(device)))).cpu()
    finally:
        module.train(training)


def _finish(network: Network) -> Callable[[Tensor], Tensor]:
    """What makes probabilities of the network's output; it may end in a softmax itself."""
    kinds = [layer.kind for layer in network.layers if not layer.aux and layer.kind not in SHAPE_ONLY]
    match kinds[-1] if kinds else "":
        case "softmax":
            return lambda scores: scores
        case "log_softmax":
            return torch.exp
        case _:
            return lambda scores: scores.softmax(1)
