"""The receptive field of a unit, measured by its gradient."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from archdsl.figures.layers import NO_TENSOR, convolutions, evaluating, leaves, maps, network_or_none, nothing, watching

#: Samples whose gradients are averaged for the effective field.
SAMPLES = 8
#: Layers whose output is their input, as far as positions matter, by their classes in torch.nn.
POINTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.LogSigmoid, nn.Softplus, nn.Softsign),
    *(nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.Threshold),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
)
MAX_POOLS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.MaxPool1d: functional.conv1d,
    nn.MaxPool2d: functional.conv2d,
    nn.MaxPool3d: functional.conv3d,
}


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field of a unit.

    layer      the layer, and `position` of the unit on its `extent`
    start      the first position of the input on each axis that the unit depends on, and `stop` the one after the last
    computed   the size by the network's own arithmetic, padding counted; None for a module that no spec built
    effective  for each position of the input the mean size of the gradient with the real weights, on `SAMPLES` samples
    """

    layer: str
    position: tuple[int, ...]
    extent: tuple[int, ...]
    start: tuple[int, ...]
    stop: tuple[int, ...]
    computed: tuple[int, ...] | None
    effective: Tensor

    @property
    def size(self) -> tuple[int, ...]:
        """How many positions of the input it spans on each axis."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))


def default_layer(module: nn.Module) -> str:
    """The last convolution; without one, the last layer."""
    names = convolutions(module) or leaves(module)
    if not names:
        raise nothing("field", "the network has no layers")
    return names[-1]


def receptive_field(
    module: nn.Module,
    inputs: Sequence[Tensor],
    layer: str | None = None,
    position: Sequence[int] | None = None,
    shape: Sequence[int] | None = None,
) -> Field:
    """The receptive field of a unit in the first input.

    Args:
        module: in any mode; eval mode is used.
        inputs: of several samples, over which the effective field is averaged.
        layer: by default the last convolution.
        position: of the unit on the layer's maps, by default in the centre.
        shape: channels, height and width of the image, if the input is a vector.

    Raises:
        SpecError: there is no such layer (E741), or it has no positions or no such one (E742).
    """
    layer = default_layer(module) if layer is None else layer
    samples = tuple(each[:SAMPLES] for each in inputs)
    shape = tuple(inputs[0].shape[1:] if shape is None else shape)
    if not samples[0].is_floating_point() or len(shape) < 2:
        raise nothing("field", "the input has no positions")
    unit = _Unit(layer, None if position is None else tuple(position))
    with linearized(module) as twin:
        random = torch.Generator().manual_seed(0)
        ones = [_positive(each[:1], random) for each in samples]
        support = unit.gradient(twin, ones, names=module).reshape(1, *shape)[0].abs().amax(0)
    start, stop = _bounds(support, layer)
    effective = unit.gradient(module, samples, names=module).reshape(-1, *shape).abs().sum(1).mean(0).float().cpu()
    return Field(layer, unit.found, unit.extent, start, stop, _computed(module, unit), effective)


def _computed(module: nn.Module, unit: _Unit) -> tuple[int, ...] | None:
    """The size of the field by the network's own arithmetic, None where that is of another unit.

    Those of a flattened map have different positions, and here they are all taken together.
    """
    network = network_or_none(module)
    field = None if network is None else network.fields.get(unit.layer)
    if field is None or (not unit.extent and prod(field.extent) > 1):
        return None
    # The axes of a network on vectors have no sizes, though its vector may be shown as an image.
    return field.sizes or None


class _Unit:
    """A unit of a layer; after a gradient was taken, where it lies."""

    def __init__(self, layer: str, position: tuple[int, ...] | None) -> None:
        self.layer, self.wanted = layer, position
        self.found: tuple[int, ...] = ()
        self.extent: tuple[int, ...] = ()

    def gradient(self, module: nn.Module, inputs: Sequence[Tensor], names: nn.Module) -> Tensor:
        """The gradient of the sum of the unit's channels with respect to the first input."""
        first, *others = inputs
        first = first.detach().clone().requires_grad_()
        kept: list[Tensor] = []

        def keep(_: str, output: Tensor) -> Tensor:
            kept.append(output)
            return output.clone()

        with evaluating(module), watching(module, [self.layer], keep), torch.enable_grad():
            # A layer may write over its input, which must not be the leaf of the gradient.
            module(first.clone(), *others)
            if not kept or not kept[0].is_floating_point():
                raise nothing("field", f"{self.layer} {NO_TENSOR}")
            found = maps(names, self.layer, kept[0])
            # The units of a vector have no positions.
            found = kept[0].flatten(1) if found is None else found
            self._place(tuple(found.shape[2:]))
            total = found[(..., *self.found)].sum()  # type: ignore[index]
            [gradient] = torch.autograd.grad(total, [first], allow_unused=True) if total.requires_grad else [None]
        if gradient is None:
            raise nothing("field", f"{self.layer} does not depend on the input")
        return gradient

    def _place(self, extent: tuple[int, ...]) -> None:
        """Check the position that is wanted, or take the centre."""
        self.extent = extent
        self.found = tuple(size // 2 for size in extent) if self.wanted is None else self.wanted
        inside = len(self.found) == len(extent) and all(
            0 <= at < size for at, size in zip(self.found, extent, strict=True)
        )
        if not inside:
            has = f"{'x'.join(map(str, extent))} positions" if extent else "no positions"
            at = ",".join(map(str, self.found))
            raise nothing("field", f"the output of {self.layer} has {has}, so that there is no unit at {at}")


def _bounds(support: Tensor, layer: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The first position on each axis where a tensor is not 0, and the one after the last."""
    places = support.nonzero()
    if not len(places):
        raise nothing("field", f"{layer} does not depend on the input")
    return tuple(places.amin(0).tolist()), tuple((places.amax(0) + 1).tolist())


def _positive(sample: Tensor, random: torch.Generator) -> Tensor:
    """Positive numbers of a sample's shape; integers stay as they are."""
    if not sample.is_floating_point():
        return sample.cpu()
    return torch.rand(sample.shape, generator=random, dtype=torch.float64) + 0.5


@contextmanager
def linearized(module: nn.Module) -> Iterator[nn.Module]:
    """A copy of a module on the CPU in float64 in which every position that a unit can depend on has a gradient.

    All weights are positive, activations and batch norms return their input, and maximum pools sum their windows.
    """
    twin = copy.deepcopy(module).cpu().double()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in twin.parameters():
            fan = max(weight[0].numel(), 1) if weight.dim() > 1 else 1
            weight.copy_((torch.rand(weight.shape, generator=random, dtype=weight.dtype) + 0.5) / fan)
    handles = []
    for each in twin.modules():
        if isinstance(each, POINTWISE):
            _forget_place(each)
            handles.append(each.register_forward_hook(lambda _, inputs, __: inputs[0] * 1.0))
        elif type(each) in MAX_POOLS:
            handles.append(each.register_forward_hook(_summed))
    try:
        yield twin
    finally:
        for handle in handles:
            handle.remove()


def _forget_place(layer: nn.Module) -> None:
    """An activation that writes over its input would change it before the hook reads it."""
    if getattr(layer, "inplace", False):
        layer.inplace = False  # type: ignore[assignment]


def _summed(pool: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """The sums over the windows of a maximum pool."""
    x, rank = inputs[0], output.dim() - 2
    sizes, strides, pads, steps = (
        (value,) * rank if isinstance(value, int) else tuple(value)
        for value in (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    )
    beyond = []
    for size, out, kernel, stride, pad, step in zip(
        x.shape[2:], output.shape[2:], sizes, strides, pads, steps, strict=True
    ):
        end = (out - 1) * stride + step * (kernel - 1) + 1  # with ceil_mode the last window may end later
        beyond += [(pad, max(end - size - pad, 0))]
    padded = functional.pad(x, [side for pair in reversed(beyond) for side in pair])
    ones = x.new_ones(x.shape[1], 1, *sizes)
    found = MAX_POOLS[type(pool)](padded, ones, stride=strides, dilation=steps, groups=x.shape[1])
    return found[(..., *(slice(size) for size in output.shape[2:]))]  # type: ignore[index]
