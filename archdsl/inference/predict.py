"""The likeliest classes of images, prepared as those that the weights were trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn

from archdsl.backends.torch import network_of
from archdsl.diagnostics import Diagnostic, Problem, SpecError
from archdsl.diagnostics.codes.data import DamagedPicture
from archdsl.diagnostics.codes.prediction import (
    NoPicture,
    NotAClassifier,
    NotForPictures,
    OtherInputs,
    WrongClassNames,
)
from archdsl.graph.network import Network
from archdsl.inference.inputs import Inputs, Statistics, inputs_of, takes_image
from archdsl.recipe.fit import image_of
from archdsl.train.losses import class_scores

#: The path of an image, or of an array.
File = str | Path
#: Images in one pass through the network.
BATCH = 32
#: Layers that leave the scores of classes unchanged.
SHAPE_ONLY = {"flatten", "dropout", "reshape", "squeeze"}


@dataclass(frozen=True, slots=True)
class Prediction:
    """A class with its probability, 0..1. `index` is the number of its output, `name` that number without a name."""

    index: int
    name: str
    probability: float


def predict(
    module: nn.Module,
    images: File | Mapping[str, File] | Sequence[File | Mapping[str, File]],
    *,
    top: int = 5,
    classes: Sequence[str] | None = None,
    normalize: Statistics | None = None,
) -> list[list[Prediction]]:
    """The `top` likeliest classes of each image, the likeliest first.

    Images are prepared, and classes named, as the module's weights need it: those of torchvision by its own
    preprocessing, those of a run as in the run. For others, images are scaled to cover the input, cropped to its
    centre and, where they have colours, normalized by ImageNet's mean and standard deviation, with a warning.

        module = zoo.build("resnet18", weights="DEFAULT")
        [[best, *others]] = archdsl.predict(module, "cat.jpg")

    Args:
        module: made by `build()`; its device is used. It is left in the mode it was in.
        images: paths of image files. For a network with several inputs a dictionary for each sample, with a path for
            each input by its name: an image, or an `.npy` file for an input that is none.
        top: how many classes.
        classes: other names, one for each output.
        normalize: another mean and standard deviation, for pixels in 0..1.

    Raises:
        SpecError: the network is not a classifier of images, or an image cannot be read.
    """
    network = network_of(module)
    _require_classifier(network)
    samples = check_samples(network, [images] if isinstance(images, str | Path | Mapping) else images)
    inputs = inputs_of(module, network, normalize)
    names = _names(network, inputs.classes if classes is None else classes, given=classes is not None)
    found = []
    for probabilities in _probabilities(module, network, inputs, samples):
        best = probabilities[:, : len(names)].topk(min(top, len(names)))
        for values, indices in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            found.append([Prediction(i, names[i], value) for value, i in zip(values, indices, strict=True)])
    return found


def _require_classifier(network: Network) -> None:
    """Reject a network whose output is not a vector of scores or whose only input is not an image."""
    output, input = network.output_shape, network.input_shape
    problem: Problem | None = None
    if output.channels < 2 or any(size != 1 for size in output[1:]):
        problem = NotAClassifier(network.name, str(output))
    elif len(network.inputs) == 1 and image_of(input) is None:
        problem = NotForPictures(network.name, str(input))
    if problem is not None:
        raise SpecError([Diagnostic(problem, path=network.path)])


def sample_of(network: Network, given: File | Mapping[str, File]) -> dict[str, Path]:
    """The file of each input for one sample.

    Raises:
        SpecError: an input has none, or there is no input of that name (E734).
    """
    names = list(network.inputs)
    if not isinstance(given, Mapping) and len(names) == 1:
        return {names[0]: Path(given)}
    found = dict(given) if isinstance(given, Mapping) else {}
    if set(found) != set(names):
        has = ", ".join(f"`{name}`" if name else "a file without a name" for name in found or ("",))
        problem = OtherInputs(network.name, ", ".join(f"`{name}`" for name in names), has)
        raise SpecError([Diagnostic(problem, path=network.path)])
    return {name: Path(found[name]) for name in names}


def check_samples(network: Network, given: Sequence[File | Mapping[str, File]]) -> list[dict[str, Path]]:
    """The files of each sample; rejects (E732, E734, E617) what cannot be read before anything is computed."""
    samples = [sample_of(network, one) for one in given]
    check_images([path for sample in samples for name, path in sample.items() if takes_image(network, name)])
    return samples


def check_images(paths: Sequence[Path]) -> None:
    """Reject (E732, E617) everything that is not an image file before anything is computed."""
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
        return DamagedPicture(str(path), "Pillow does not support its format")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return NoPicture(str(path), getattr(error, "strerror", None) or str(error))


def _names(network: Network, names: Sequence[str], *, given: bool) -> Sequence[str]:
    """One name for each class; a run may leave outputs unused, names that are given may not."""
    outputs = network.output_shape.channels
    if not names and not given:
        return [str(index) for index in range(outputs)]
    if len(names) > outputs or (given and len(names) != outputs):
        problem = WrongClassNames("the list of classes", len(names), network.name, outputs)
        raise SpecError([Diagnostic(problem)])
    return names


def _probabilities(
    module: nn.Module, network: Network, inputs: Inputs, samples: Sequence[Mapping[str, Path]]
) -> Iterator[Tensor]:
    """The probabilities of the classes (images x outputs), batch by batch."""
    chances = finish(network)
    device = next((tensor.device for tensor in module.state_dict().values()), torch.device("cpu"))
    training = module.training
    module.eval()
    try:
        for start in range(0, len(samples), BATCH):
            some = samples[start : start + BATCH]
            batch = [
                torch.stack([prepare(sample[name]) for sample in some]).to(device)
                for name, prepare in inputs.prepare.items()
            ]
            with torch.inference_mode():
                yield chances(class_scores(module(*batch))).cpu()
    finally:
        module.train(training)


def finish(network: Network) -> Callable[[Tensor], Tensor]:
    """The function from the network's output to probabilities; the network may end in a softmax itself."""
    kinds = [layer.kind for layer in network.layers if not layer.aux and layer.kind not in SHAPE_ONLY]
    match kinds[-1] if kinds else "":
        case "softmax":
            return lambda scores: scores
        case "log_softmax":
            return torch.exp
        case _:
            return lambda scores: scores.softmax(1)
