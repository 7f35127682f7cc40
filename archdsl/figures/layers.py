"""The layers of a module as pictures name them, and their outputs arranged as maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.backends.torch import network_of
from archdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from archdsl.diagnostics.codes.pictures import NoSuchPart, NothingToDraw
from archdsl.graph.network import Network
from archdsl.shapes.receptive_field import ReceptiveField
from archdsl.train.losses import main_output

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
#: Why there is no output to draw.
NO_TENSOR = "does not run in eval mode, or its output is not a tensor of numbers"
#: Tokens besides those of positions, such as one for the class.
EXTRA_TOKENS = 16


def nothing(picture: str, reason: str) -> SpecError:
    """The error (E742) for a picture that does not exist for a network."""
    return SpecError([Diagnostic(NothingToDraw(picture, reason))])


def network_or_none(module: nn.Module) -> Network | None:
    """The network that a module was built from; None for one that is from elsewhere."""
    try:
        return network_of(module)
    except SpecError:
        return None


def title_of(module: nn.Module) -> str:
    """The network's name, or that of the module's class."""
    network = network_or_none(module)
    return type(module).__name__ if network is None else network.name


def part(module: nn.Module, name: str) -> nn.Module:
    """The layer or scope named `name`.

    Raises:
        SpecError: there is none (E741).
    """
    try:
        found = module.get_submodule(name)
    except AttributeError:
        names = [key for key, _ in module.named_modules() if key]
        helps = did_you_mean(name, names, otherwise=f"there are {', '.join(names[:12])}, ...")
        raise SpecError([Diagnostic(NoSuchPart(name), helps=helps)]) from None
    return found


def is_leaf(layer: nn.Module) -> bool:
    """Whether a module is a layer rather than a scope; a parametrization does not make it one."""
    return all(name == "parametrizations" for name, _ in layer.named_children())


def leaves(module: nn.Module) -> list[str]:
    """The names of all layers, in the order of the modules."""
    return [name for name, each in module.named_modules() if name and is_leaf(each) and "parametrizations" not in name]


def convolutions(module: nn.Module) -> list[str]:
    """The names of the convolutions, in the order of the modules."""
    kinds = CONVOLUTIONS + TRANSPOSED
    return [name for name, each in module.named_modules() if isinstance(each, kinds)]


def label(module: nn.Module, name: str) -> str:
    """A layer with its type, kernel and width: `features.0: conv 5x5, 6`."""
    layer = part(module, name)
    network = network_or_none(module)
    kinds = {} if network is None else {each.name: each.kind for each in network.layers}
    own = "linear" if isinstance(layer, nn.Linear) else type(layer).__name__.lower()
    words = [kinds.get(name, own if is_leaf(layer) else "")]
    kernel = getattr(layer, "kernel_size", None)
    if isinstance(kernel, int):
        kernel = (kernel,) * (2 if "2d" in type(layer).__name__ else 1)
    if kernel:
        words.append("x".join(map(str, kernel)))
    width = getattr(layer, "out_channels", getattr(layer, "out_features", None))
    text = " ".join(filter(None, words)) + (f", {width}" if width else "")
    return f"{name}: {text}" if text else name


# Running


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in eval mode; afterwards each part is in the mode it was in."""
    modes = {each: each.training for each in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for each, mode in modes.items():
            each.training = mode


@contextmanager
def watching(module: nn.Module, names: Iterable[str], see: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """Call `see` with each output of the named parts that is a tensor, as they run.

    What `see` returns replaces the output. One that is kept for later has to be copied, or its copy returned: the next
    layer may write over it.
    """

    def watch(name: str) -> Callable[[nn.Module, Any, Any], Tensor | None]:
        return lambda _, __, output: see(name, output) if isinstance(output, Tensor) else None

    handles = [part(module, name).register_forward_hook(watch(name)) for name in dict.fromkeys(names)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run(module: nn.Module, inputs: Sequence[Tensor], names: Iterable[str] = ()) -> tuple[Tensor, dict[str, Tensor]]:
    """Apply the module in eval mode.

    Returns its main output, and the output of each named part that is a tensor, in the order they ran: of one that
    runs several times the first.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        if name not in outputs:
            outputs[name] = output.detach().clone()

    with evaluating(module), watching(module, names, keep), torch.inference_mode():
        return main_output(module(*inputs)), outputs


# Maps


def maps(module: nn.Module, name: str, output: Tensor) -> Tensor | None:
    """The output of a layer as samples x channels x positions on the axes of the image.

    Tokens are put back on their grid, and channels that come last are put first. None where the output has no such
    axes, as that of a linear layer after a flattening.
    """
    network = network_or_none(module)
    if network is None:
        return output if output.dim() >= 3 else None
    field = network.fields.get(name)
    if field is None:
        return None
    grids = [field.extent, *dict.fromkeys(each.extent for each in network.fields.values())]
    # A layer that mixes tokens leaves them in their places; its field spans them all.
    found = (arranged(output, field._replace(extent=grid)) for grid in grids if len(grid) == len(field.extent))
    return next((each for each in found if each is not None), None)


def arranged(output: Tensor, field: ReceptiveField) -> Tensor | None:
    """A tensor with its channels first and then the axes of the input, by the axes that it runs along."""
    rank = len(field.size)
    axes = places_of(field.axes, rank)
    others = [axis for axis in range(1, output.dim()) if axis not in axes]
    if not axes or len(field.axes) != output.dim() - 1:
        return None
    if len(set(axes)) == rank:
        moved = output.permute(0, *others, *axes)
        return moved.reshape(len(output), -1, *moved.shape[1 + len(others) :])
    positions = torch.Size(field.extent).numel()
    extra = output.shape[axes[0]] - positions
    if not others or not 0 <= extra <= min(EXTRA_TOKENS, positions - 1):
        return None
    tokens = output.permute(0, *others, axes[0])[..., extra:]
    return tokens.reshape(len(output), -1, *field.extent)


def places_of(along: Sequence[frozenset[int]], rank: int) -> list[int]:
    """For each axis of the input the axis of a tensor that runs along it, or for each the one of tokens.

    Empty where there is no such axis, or several. An axis of channels may hold positions too, where neighbours were
    merged.
    """
    own = [[axis for axis, axes in enumerate(along, 1) if axes == {i}] for i in range(rank)]
    if rank and all(len(found) == 1 for found in own):
        return [found[0] for found in own]
    tokens = [axis for axis, axes in enumerate(along, 1) if axes == set(range(rank))]
    return tokens * rank if len(tokens) == 1 and not any(own) else []
