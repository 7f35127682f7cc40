"""Checks that a recipe fits a network, before any data is read. Works without torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import Protocol

from archdsl.diagnostics import Diagnostic, Help, Note, Rejected, did_you_mean
from archdsl.diagnostics.codes.data import (
    AugmentDoesNotFit,
    InputDoesNotFit,
    InputsDoNotFit,
    NoClassScores,
    TooManyClasses,
)
from archdsl.diagnostics.codes.training import LossDoesNotFit, NoSuchFigure, NothingToTrain, UnknownLabel
from archdsl.recipe.augmentations import AnyAugmentation, CutMix, MixUp, RandomCrop, RandomResizedCrop
from archdsl.recipe.datasets import Arrays, External, ImageFolder, Pairs
from archdsl.recipe.losses import AnyLoss, Bce, CrossEntropy, Nll, PairwiseDistance
from archdsl.recipe.recipe import Recipe
from archdsl.shapes import Shape

GREY, COLOUR = 1, 3

Hw = tuple[int, int]


class Network(Protocol):
    """The parts of archdsl.graph.network.Network that are checked."""

    @property
    def input_shape(self) -> Shape: ...
    @property
    def inputs(self) -> Mapping[str, Shape]: ...
    @property
    def integer_limits(self) -> Mapping[str, int]: ...
    @property
    def output_shape(self) -> Shape: ...
    @property
    def labels(self) -> Collection[str]: ...
    @property
    def trained(self) -> Collection[str]: ...


class Targets(Protocol):
    """What the outputs are compared with. `classes` is None where their number is not known yet."""

    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> Sequence[object] | None: ...
    @property
    def target(self) -> Shape | None: ...


@dataclass(frozen=True, slots=True)
class Expected:
    """The data set as the recipe names it: `sample` and `classes` are None where only the files tell."""

    name: str
    sample: Shape | None
    classes: Sequence[object] | None
    target: Shape | None


def misfits(recipe: Recipe, network: Network, path: str = "") -> list[Diagnostic]:
    """The reasons why training the network by the recipe would fail at its start, as far as the spec shows."""
    data = _expected(recipe, network.input_shape)
    checks: list[Callable[[], object]] = [
        partial(check_output, recipe, network.output_shape, data),
        partial(check_mixing, recipe, network.inputs),
        partial(_check_figures_of, recipe, data),
        partial(_check_inputs, recipe, network.inputs),
        *(partial(_check_images, recipe, shape, data) for shape in image_inputs(recipe, network.inputs)),
    ]
    found = untrained(recipe, network, path)
    for check in checks:
        try:
            check()
        except Rejected as rejected:
            found.append(diagnostic(rejected, recipe, path))
    return found


def diagnostic(rejected: Rejected, recipe: Recipe, path: str = "") -> Diagnostic:
    """The diagnostic of a rejection at its place in the recipe, or else at the spec's path."""
    notes, helps = tuple(map(Note, rejected.notes)), tuple(map(Help, rejected.helps))
    return Diagnostic(rejected.problem, recipe.place(rejected.argument or ""), notes=notes, helps=helps, path=path)


def _expected(recipe: Recipe, input: Shape) -> Expected:
    # A data set that the spec does not name may be named by an option; files may hold anything.
    is_known = recipe.place("dataset") is not None and recipe.folder is None
    images = recipe.dataset.of if isinstance(recipe.dataset, Pairs) else recipe.dataset
    sample, number = images.sample, recipe.dataset.number
    count = len(recipe.classes) if recipe.classes is not None else number
    return Expected(
        name=recipe.dataset.kind,
        sample=Shape(sample) if is_known and sample is not None else None,
        classes=range(count) if is_known and count is not None else None,
        target=None if recipe.target == "class" else input,
    )


# Weights


def untrained(recipe: Recipe, network: Network, path: str = "") -> list[Diagnostic]:
    """Errors for labels that the network does not have (E640), or for a network without a trained weight (E637)."""
    found = unknown_labels(recipe, network.labels, path)
    if not found and all(under(recipe.freeze, name) for name in network.trained):
        found.append(Diagnostic(NothingToTrain(), recipe.place("freeze"), path=path))
    return found


def under(labels: Iterable[str], name: str) -> str:
    """The longest of the labels that contain the name; empty for none."""
    return max((label for label in labels if f"{name}.".startswith(f"{label}.")), key=len, default="")


def unknown_labels(recipe: Recipe, known: Collection[str], path: str = "") -> list[Diagnostic]:
    """Errors for the labels in `freeze` and `rates` that are not `known` (E640)."""
    return [
        Diagnostic(UnknownLabel(entry, label), recipe.place(entry), helps=_near(label, known), path=path)
        for entry, labels in (("freeze", recipe.freeze), ("rates", recipe.rates))
        for label in labels
        if label not in known
    ]


def _near(label: str, known: Collection[str]) -> tuple[Help, ...]:
    first = sorted({name.partition(".")[0] for name in known})
    return did_you_mean(label, sorted(known), otherwise=f"the labels at the top are {', '.join(first)}")


# Loss and figures


def takes_class_numbers(loss: AnyLoss) -> bool:
    """Whether the loss compares one score for each class with the class number."""
    return not isinstance(loss, PairwiseDistance)


def is_classification(recipe: Recipe) -> bool:
    """Whether the network classifies."""
    return recipe.target == "class" and takes_class_numbers(recipe.loss)


def check_output(recipe: Recipe, output: Shape, data: Targets) -> list[str]:
    """Reject an output that the loss cannot compare with the targets. Returns notes for the user."""
    if not takes_class_numbers(recipe.loss):
        if data.target is not None:
            raise _does_not_fit(recipe, f"{data.name} has targets of {data.target}, not numbered classes")
        return []
    _check_loss_weights(recipe, output)
    if data.target is not None:
        if isinstance(recipe.loss, CrossEntropy | Nll):
            raise _does_not_fit(recipe, f"{data.name} has targets of {data.target}, not classes")
        if tuple(output) != tuple(data.target):
            raise _does_not_fit(
                recipe, f"the network's output is {output}, but {data.name} has targets of {data.target}"
            )
        return []
    if any(size != 1 for size in output[1:]):
        raise Rejected(NoClassScores(str(output)), argument="dataset")
    if data.classes is None:
        return []
    classes = len(data.classes)
    if isinstance(recipe.loss, Bce) and output.channels == 1 and classes == 2:
        return []
    if classes > output.channels:
        raise Rejected(TooManyClasses(data.name, classes, output.channels), argument="dataset")
    spare = output.channels - classes
    return [f"{data.name}: {classes} classes; the last {spare} of {output.channels} outputs stay unused"] * bool(spare)


def _check_loss_weights(recipe: Recipe, output: Shape) -> None:
    for name in ("weight", "pos_weight"):
        weights = getattr(recipe.loss, name, None)
        if weights is not None and len(weights) != output.channels:
            raise _does_not_fit(
                recipe, f"{name} has {len(weights)} numbers, but the network has {output.channels} outputs"
            )


def check_mixing(recipe: Recipe, inputs: Mapping[str, Shape]) -> None:
    """Reject mixed labels where the targets are not classes, the loss cannot take shares, or there are more inputs."""
    mixing = [part for part in recipe.augment if isinstance(part, MixUp | CutMix)]
    if not mixing:
        return
    kind = mixing[0].kind
    if len(inputs) > 1:
        reason = f"it mixes the images of one input, but the network has {len(inputs)}"
        raise Rejected(AugmentDoesNotFit(kind, reason), argument="augment")
    if not is_classification(recipe):
        raise Rejected(AugmentDoesNotFit(kind, "it mixes labels, but the targets are not classes"), argument="augment")
    if getattr(recipe.loss, "ignore_index", -1) >= 0:
        reason = f"{recipe.loss.kind} cannot leave out a class (ignore_index) whose samples are mixed with others"
        raise Rejected(AugmentDoesNotFit(kind, reason), argument="augment")


def _does_not_fit(recipe: Recipe, reason: str) -> Rejected:
    return Rejected(LossDoesNotFit(recipe.loss.kind, reason), argument="loss")


def _check_figures_of(recipe: Recipe, data: Expected) -> None:
    check_figures(recipe, data.classes if is_classification(recipe) else ())


def check_figures(recipe: Recipe, classes: Sequence[object] | None) -> None:
    """Reject figures of classes where there are too few; None is an unknown number of classes."""
    for entry, names in (("metrics", recipe.metrics or ()), ("monitor", (recipe.monitor or "loss",))):
        for name in names:
            if name != "loss" and classes is not None and not classes:
                raise Rejected(NoSuchFigure(entry, name, "the targets are not classes"), argument=entry)
            if name == "top5" and classes is not None and len(classes) <= 5:
                raise Rejected(NoSuchFigure(entry, name, f"there are {len(classes)} classes"), argument=entry)


# Inputs


def _check_inputs(recipe: Recipe, inputs: Mapping[str, Shape]) -> None:
    """Reject a data set whose samples have fewer or more arrays than the network has inputs."""
    arrays, what = (2, "pairs of images") if isinstance(recipe.dataset, Pairs) else (1, "one image for each sample")
    if isinstance(recipe.dataset, Arrays | External) or recipe.place("dataset") is None or arrays == len(inputs):
        return
    listed = ", ".join(f"{name} {shape}" for name, shape in inputs.items())
    raise Rejected(InputsDoNotFit(recipe.dataset.kind, what, listed), argument="dataset")


def image_inputs(recipe: Recipe, inputs: Mapping[str, Shape]) -> list[Shape]:
    """The inputs that take the data set's images as far as the recipe tells: the only one, or both of a pair."""
    shapes = list(inputs.values())
    return shapes if len(shapes) == 1 or isinstance(recipe.dataset, Pairs) else []


# Images


def _check_images(recipe: Recipe, input: Shape, data: Expected) -> None:
    """Reject a known data set or augmentations that do not give the network's input."""
    if data.sample is not None:
        require_image(data.name, data.sample, input)
    if input.rank != 2 or isinstance(recipe.dataset, ImageFolder):
        return  # a folder's images are kept larger for some crops, and the image of a vector is not known
    check_sizes(recipe.augment, (input[1], input[2]), (input[1], input[2]))
    if recipe.normalize is not None:
        check_normalisation(recipe.normalize.mean, recipe.normalize.std, input.channels)


def image_of(input: Shape) -> Shape | None:
    """The image (channels, height, width) that an input takes: itself, or for a vector a square image.

    None where there is no such image: a sequence, a volume, two channels, a vector of 785.
    """
    if input.rank == 2:
        return input if input.channels in {GREY, COLOUR} else None
    if input.rank == 0:
        for channels in (GREY, COLOUR):
            side = isqrt(input.numel // channels)
            if channels * side * side == input.numel:
                return Shape((channels, side, side))
    return None


def require_image(dataset: str, sample: Shape, input: Shape) -> Shape:
    """The shape to which images of the shape `sample` are converted for the network; rejects an impossible one."""
    if input.rank == 0 and sample.numel == input.numel:
        return sample
    target = image_of(input)
    if target is None:
        reason = "it is neither a greyscale or colour image nor a vector of the size of a square one"
        raise Rejected(InputDoesNotFit(str(input), dataset, str(sample), reason), argument="dataset")
    if sample.channels not in {target.channels, GREY}:
        reason = f"{sample.channels} channels cannot become {target.channels}"
        raise Rejected(InputDoesNotFit(str(input), dataset, str(sample), reason), argument="dataset")
    return target


def check_sizes(parts: Sequence[AnyAugmentation], start: Hw, final: Hw) -> None:
    """Reject augmentations that do not turn images of the size `start` into the size `final`."""
    size, last = start, None
    for part in parts:
        if isinstance(part, RandomCrop):
            padded = (size[0] + 2 * part.padding[0], size[1] + 2 * part.padding[1])
            if part.size[0] > padded[0] or part.size[1] > padded[1]:
                reason = f"a window of {_by(part.size)} does not fit into {_by(padded)}"
                raise Rejected(AugmentDoesNotFit(str(part), reason), argument="augment")
        if isinstance(part, RandomCrop | RandomResizedCrop):
            size, last = part.size, part
    if last is not None and size != final:
        reason = f"it leaves {_by(size)}, but the network takes {_by(final)}"
        raise Rejected(AugmentDoesNotFit(str(last), reason), argument="augment")


def check_normalisation(mean: Sequence[float], std: Sequence[float], channels: int) -> None:
    """Reject a mean or std that is neither one number nor one for each channel."""
    for name, numbers in (("mean", mean), ("std", std)):
        if len(numbers) not in {1, channels}:
            reason = f"{len(numbers)} numbers in {name}, but the images have {channels} channels"
            raise Rejected(AugmentDoesNotFit("normalize", reason), argument="augment")


def _by(size: Hw) -> str:
    return f"{size[0]}x{size[1]}"
