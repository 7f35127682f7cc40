"""Samples as a network takes them, with what people see of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from archdsl.backends.torch import network_of
from archdsl.datasets.seeds import in_batches
from archdsl.datasets.splits import each_input
from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.pictures import NoSuchSample
from archdsl.figures.layers import network_or_none, nothing
from archdsl.inference.inputs import Statistics, inputs_of, takes_image
from archdsl.inference.predict import File, check_samples
from archdsl.recipe.fit import image_of
from archdsl.shapes import Shape
from archdsl.train.setup import Setup

#: Samples in one pass through the network.
BATCH = 256


@dataclass(frozen=True, slots=True)
class Samples:
    """A batch of samples.

    inputs   a batch for each of the network's inputs, as it takes them
    shown    N x C x H x W in 0..1: the images among them, those of several inputs side by side; None without images
    targets  class numbers or values; None where they are not known
    classes  the names of the classes; empty where the targets are no classes
    name     where they are from: `test split of digits`, `cat.jpg`
    rows     the number of each sample there
    pictured the numbers of the inputs whose images are shown
    """

    inputs: tuple[Tensor, ...]
    shown: Tensor | None = None
    targets: Tensor | None = None
    classes: tuple[str, ...] = ()
    name: str = ""
    rows: tuple[int, ...] = ()
    pictured: tuple[int, ...] = (0,)

    def __len__(self) -> int:
        return len(self.inputs[0])

    def __getitem__(self, rows: slice) -> Samples:
        return Samples(
            tuple(each[rows] for each in self.inputs),
            None if self.shown is None else self.shown[rows],
            None if self.targets is None else self.targets[rows],
            self.classes,
            self.name,
            self.rows[rows],
            self.pictured,
        )

    def true(self, row: int) -> str:
        """The name of a sample's class, empty where it is not known."""
        if self.targets is None or self.targets.is_floating_point() or self.targets.dim() != 1:
            return ""
        number = int(self.targets[row])
        return self.classes[number] if number < len(self.classes) else str(number)

    def images(self, picture: str) -> Tensor:
        """The images that are shown.

        Raises:
            SpecError: no input is images (E742).
        """
        if self.shown is None:
            raise nothing(picture, "no input of the network is images")
        return self.shown


#: What pictures take as samples: a batch of inputs, or one for each of several, files, or samples.
Given = Samples | Tensor | Sequence[Tensor] | str | Path | Sequence[str | Path]


def samples_of(module: nn.Module, given: Given) -> Samples:
    """Samples from what a caller has: tensors as the network takes them, image files, or samples themselves.

    Files are prepared as the module's weights need it (`archdsl.predict`).

    Raises:
        SpecError: a file cannot be read, or the module is not from a spec.
    """
    if isinstance(given, Samples):
        return given
    if isinstance(given, Tensor):
        given = (given,)
    if isinstance(given, str | Path):
        given = (given,)
    tensors = tuple(each for each in given if isinstance(each, Tensor))
    if len(tensors) == len(given):
        return _of_tensors(module, tensors)
    return image_samples(module, [each for each in given if isinstance(each, str | Path)])


def _of_tensors(module: nn.Module, inputs: tuple[Tensor, ...]) -> Samples:
    """Samples of unknown origin: each image is scaled to the range of its values."""
    network = network_or_none(module)
    shapes = [Shape(each.shape[1:]) for each in inputs] if network is None else list(network.inputs.values())
    device = next((each.device for each in module.parameters()), torch.device("cpu"))
    images: dict[int, Tensor] = {}
    for i, (batch, shape) in enumerate(zip(inputs, shapes, strict=True)):
        if batch.is_floating_point() and (size := image_of(shape)) is not None:
            flat = batch.detach().float().flatten(1)
            low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
            unit = (flat - low) / (high - low).clamp(min=1e-12)
            images[i] = unit.view(-1, size[0], *batch.shape[2:]) if batch.dim() == 4 else unit.view(-1, *size)
    rows = tuple(range(len(inputs[0])))
    shown, pictured = _side_by_side(images)
    return Samples(tuple(each.to(device) for each in inputs), shown, rows=rows, pictured=pictured)


def image_samples(
    module: nn.Module, files: Sequence[File | Mapping[str, File]], normalize: Statistics | None = None
) -> Samples:
    """Samples from image files, prepared as the module's weights need it; their classes are not known.

    Raises:
        SpecError: a file cannot be read, or the network has other inputs than images.
    """
    network = network_of(module)
    paths = check_samples(network, list(files))
    prepared = inputs_of(module, network, normalize)
    device = next((each.device for each in module.parameters()), torch.device("cpu"))
    inputs = tuple(torch.stack([prepare(path[name]) for path in paths]) for name, prepare in prepared.prepare.items())
    shapes = [shape if takes_image(network, name) else None for name, shape in network.inputs.items()]
    shown, pictured = _shown(inputs, shapes, prepared.statistics)
    all_names = [file.name for path in paths for file in path.values()]
    name = ", ".join(all_names[:4]) + (", ..." if len(all_names) > 4 else "")
    rows = tuple(range(len(paths)))
    return Samples(tuple(each.to(device) for each in inputs), shown, None, prepared.classes, name, rows, pictured)


def test_samples(setup: Setup, rows: Sequence[int]) -> Samples:
    """Some samples of the test split, by their numbers.

    Raises:
        SpecError: the split has no such sample (E744).
    """
    number = len(setup.data.test.labels)
    if beyond := [row for row in rows if not 0 <= row < number]:
        raise SpecError([Diagnostic(NoSuchSample(beyond[0], number))])
    [found] = _batches(setup, [torch.tensor(list(rows), dtype=torch.int64)])
    return found


def first_samples(setup: Setup, number: int) -> Samples:
    """The first samples of the test split."""
    return test_samples(setup, range(min(number, len(setup.data.test.labels))))


def test_batches(setup: Setup) -> Iterator[Samples]:
    """The whole test split, batch by batch."""
    return _batches(setup, in_batches(torch.arange(len(setup.data.test.labels)), BATCH))


def _batches(setup: Setup, order: Sequence[Tensor]) -> Iterator[Samples]:
    data = setup.data
    for rows, (batch, targets) in zip(order, data.test.batches(order), strict=True):
        inputs = each_input(setup.preparation.evaluate(batch))
        shown, pictured = _shown(inputs, _image_shapes(setup, inputs), (setup.mean, setup.std))
        name = f"test split of {data.name}"
        yield Samples(inputs, shown, targets.cpu(), data.classes, name, tuple(rows.tolist()), pictured)


def _image_shapes(setup: Setup, inputs: Sequence[Tensor]) -> list[Shape | None]:
    """For each input the shape of its images; None for one that takes other arrays."""
    data = setup.data
    fits = data.fits or (data.fit,)
    shapes: list[Shape | None] = []
    for fit, batch in zip(fits, inputs, strict=True):
        if fit is None:
            shapes.append(None)
        else:
            channels = batch[0].numel() // (fit.size[0] * fit.size[1])
            shapes.append(Shape((channels, *fit.size)))
    return shapes


def _shown(
    inputs: Sequence[Tensor], shapes: Sequence[Shape | None], normalized: Statistics
) -> tuple[Tensor | None, tuple[int, ...]]:
    """The images among inputs, without their normalization, and the numbers of these inputs."""
    images: dict[int, Tensor] = {}
    for i, (batch, shape) in enumerate(zip(inputs, shapes, strict=True)):
        size = None if shape is None else image_of(shape)
        if size is not None:
            mean, std = (torch.tensor(each, dtype=torch.float32).view(-1, 1, 1) for each in normalized)
            pixels = batch.detach().float().cpu().view(-1, *size) * std + mean
            images[i] = pixels.clamp(0, 1)
    return _side_by_side(images)


def _side_by_side(images: Mapping[int, Tensor]) -> tuple[Tensor | None, tuple[int, ...]]:
    """Images of several inputs as one each, as far as they have the size of the first, and which inputs they are."""
    if not images:
        return None, ()
    size = next(iter(images.values())).shape
    alike = {i: each.cpu() for i, each in images.items() if each.shape == size}
    return torch.cat(list(alike.values()), 3), tuple(alike)
