"""From files to a network's inputs, as its weights were trained: published weights, those of a run, or others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from archdsl.backends.torch.weights import PREFIX, origin_of
from archdsl.cards import index as zoo
from archdsl.datasets.images import decode, opened
from archdsl.datasets.prepare import Fit, Preparation, plan_fit
from archdsl.diagnostics import Diagnostic, Rejected, SpecError
from archdsl.diagnostics.codes.commands import WrongNormalisation
from archdsl.diagnostics.codes.data import DamagedPicture
from archdsl.diagnostics.codes.prediction import NoPicture
from archdsl.diagnostics.codes.weights import WeightsWarning
from archdsl.graph.network import Network
from archdsl.recipe.fit import image_of
from archdsl.runs.folder import RunFolder
from archdsl.shapes import Shape

#: Mean and standard deviation of ImageNet's training images, as torchvision's weights are trained with.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

T = TypeVar("T")
Statistics = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Inputs:
    """How a file becomes each of the network's inputs, by name, and the names of the classes (none: numbers).

    `statistics` are the mean and standard deviation by which pixels in 0..1 are normalized.
    """

    prepare: Mapping[str, Callable[[Path], Tensor]]
    classes: tuple[str, ...] = ()
    statistics: Statistics = ((0.0,), (1.0,))


def inputs_of(
    module: nn.Module, network: Network, normalize: Statistics | None, run: RunFolder | None = None
) -> Inputs:
    """The inputs that suit the module's weights, by where these are from; `normalize` replaces their statistics.

    Weights in a file elsewhere are those of `run` if there is one.
    """
    origin = origin_of(module)
    if origin.startswith(PREFIX):
        return _published_inputs(origin, network, normalize)
    run = run_behind(module, run)
    return _plain_inputs(network, normalize) if run is None else _run_inputs(run, network, normalize)


def run_behind(module: nn.Module, run: RunFolder | None = None) -> RunFolder | None:
    """The run that the module's weights are from, or else `run`; None for published weights."""
    origin = origin_of(module)
    if origin.startswith(PREFIX):
        return None
    path = Path(origin)
    own = RunFolder(path if path.is_dir() else path.parent)
    return own if origin and own.info.is_file() else run


def _published_inputs(origin: str, network: Network, normalize: Statistics | None) -> Inputs:
    """Torchvision's preprocessing, scaled where the network takes another size."""
    from archdsl.backends.torch import published

    found = published.find(origin, network)
    transform = found.transform()
    if normalize is not None:
        transform.mean, transform.std = map(list, normalize)
    _set_size(transform, network.input_shape.spatial)

    def prepare(path: Path) -> Tensor:
        prepared: Tensor = transform(_intact(opened(path, "RGB")))
        return prepared

    fits = len(found.classes) == network.output_shape.channels
    [name] = network.inputs
    return Inputs({name: prepare}, found.classes if fits else (), (transform.mean, transform.std))


def _intact(image: T | DamagedPicture) -> T:
    if isinstance(image, DamagedPicture):
        raise SpecError([Diagnostic(image)])
    return image


def _set_size(transform: Any, size: tuple[int, ...]) -> None:
    """Set the crop of a torchvision preprocessing, and scale its resize in proportion."""
    before = (transform.crop_size * 2)[:2]
    if tuple(before) != size:
        share = max(now / then for now, then in zip(size, before, strict=True))
        transform.crop_size = list(size)
        transform.resize_size = [round(side * share) for side in transform.resize_size]


def _run_inputs(run: RunFolder, network: Network, normalize: Statistics | None) -> Inputs:
    """The preparation and the classes of the run's data set in evaluation."""
    info = run.read_info()
    statistics = normalize or (info.mean, info.std)

    def prepared(shape: Shape) -> Callable[[Path], Tensor]:
        size = image_of(shape)
        sample = Shape(info.sample) if len(info.sample) == 3 else size
        assert sample is not None
        fit = plan_fit(info.dataset, sample, shape)
        if info.dataset.endswith("imagefolder") and size is not None and sample != size:
            # Images of a folder are held larger where crops are cut from them; evaluation takes the centre.
            fit = replace(fit, how="crop")
        return _prepared(network, sample, fit, statistics)

    return Inputs(_for_each(network, prepared), info.classes, statistics)


def _for_each(network: Network, prepared: Callable[[Shape], Callable[[Path], Tensor]]) -> dict[str, Any]:
    """How a file becomes each input: images as they are `prepared`, others as NumPy's files hold them."""
    return {
        name: prepared(shape) if takes_image(network, name) else partial(_array, name, shape)
        for name, shape in network.inputs.items()
    }


def takes_image(network: Network, name: str) -> bool:
    """Whether an input is given as an image: it has two spatial axes, or is the only one and a vector of an image."""
    shape = network.inputs[name]
    return image_of(shape) is not None and (shape.rank == 2 or len(network.inputs) == 1)


def _array(name: str, shape: Shape, path: Path) -> Tensor:
    """The array in an `.npy` file, for one sample."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SpecError([Diagnostic(NoPicture(str(path), f"it is no .npy file for the input `{name}`"))]) from error
    if tuple(array.shape) != tuple(shape) or array.dtype.kind not in "fiub":
        reason = f"the input `{name}` takes {shape}, but it holds {array.dtype} {Shape(array.shape).sizes}"
        raise SpecError([Diagnostic(NoPicture(str(path), reason))])
    return torch.from_numpy(array.astype(shape.dtype))


def _plain_inputs(network: Network, normalize: Statistics | None) -> Inputs:
    """Images cropped to the input's size, for weights of unknown training."""

    def prepared(shape: Shape) -> Callable[[Path], Tensor]:
        sample = image_of(shape)
        assert sample is not None
        fit = Fit((sample[1], sample[2]), "nothing", repeat=False, flatten=shape.rank == 0)
        return _prepared(network, sample, fit, normalize or _usual(sample)[0])

    if normalize is None:
        for name, shape in network.inputs.items():
            if takes_image(network, name) and (sample := image_of(shape)):
                text = f"images are scaled to cover {sample[1]}x{sample[2]}, cropped to the centre and taken"
                warnings.warn(
                    f"how the weights were trained is not known: {text} {_usual(sample)[1]}",
                    WeightsWarning,
                    stacklevel=4,
                )
    sample = next((found for shape in network.inputs.values() if (found := image_of(shape))), None)
    statistics = normalize or (((0.0,), (1.0,)) if sample is None else _usual(sample)[0])
    return Inputs(_for_each(network, prepared), _twins_classes(network), statistics)


def _usual(sample: Shape) -> tuple[Statistics, str]:
    """The normalisation of images for weights of unknown training, and the same in words."""
    if sample.channels == len(IMAGENET[0]):
        return IMAGENET, "normalized by ImageNet's mean and standard deviation"
    return ((0.0,), (1.0,)), "as they are, in 0..1"


def _prepared(network: Network, sample: Shape, fit: Fit, normalize: Statistics) -> Callable[[Path], Tensor]:
    """The function from a file to the network's input, through an image of the shape `sample`."""
    mean, std = normalize
    try:
        preparation = Preparation(fit, sample, mean, std)
    except Rejected:
        reason = f"{len(mean)} and {len(std)} numbers, but the images have {fit.channels(sample)} channels"
        raise SpecError([Diagnostic(WrongNormalisation(reason), path=network.path)]) from None
    return lambda path: preparation.evaluate(_intact(decode(path, sample))[None])[0]


def _twins_classes(network: Network) -> tuple[str, ...]:
    """The classes of torchvision's weights for the same network, where there are as many."""
    if not (twin := zoo.twin(network.name, network.path)):
        return ()
    from archdsl.backends.torch import published

    classes = published.find(f"{PREFIX}{twin}/DEFAULT", network).classes
    return classes if len(classes) == network.output_shape.channels else ()
