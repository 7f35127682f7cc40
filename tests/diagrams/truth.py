"""Which layer reads what which layer makes, seen while a built module runs: no graph of archdsl is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

#: Tensors that no layer makes, and those that a network returns.
INPUT, OUTPUT = "input", "output"


def tensors(values: Any) -> Iterator[Tensor]:
    """All tensors in arguments or results."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        for value in values.values():
            yield from tensors(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors(value)


class Trace(TorchFunctionMode):
    """Notes for each tensor the layers it comes from: one, or several where tensors were joined outside of layers."""

    def __init__(self, leaves: dict[nn.Module, str]) -> None:
        super().__init__()
        self.leaves = leaves
        self.origins: dict[int, frozenset[str]] = {}
        self.kept: list[Tensor] = []
        self.edges: set[tuple[str, str]] = set()
        self.open: list[str] = []

    def note(self, values: Any, origins: frozenset[str]) -> None:
        for tensor in tensors(values):
            self.origins[id(tensor)] = origins
            self.kept.append(tensor)  # so that no other tensor gets its id

    def of(self, values: Any) -> frozenset[str]:
        return frozenset(name for tensor in tensors(values) for name in self.origins.get(id(tensor), ()))

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if next(tensors(result), None) is not None:
            self.use([args, kwargs or {}])
        if not self.open:
            self.note(result, self.of([args, kwargs or {}]))
        return result

    def use(self, values: Any) -> None:
        """Tensors from outside are used by the part that is running; what is only passed to one is not."""
        if self.open:
            self.edges |= {(origin, self.open[0]) for origin in self.of(values)}

    def before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if module in self.leaves:
            self.open.append(self.leaves[module])
        # A scope may be empty and drop what is passed to it; the classes of scopes are generated.
        if next(module.children(), None) is None and ".generated_" not in type(module).__module__:
            self.use([args, kwargs])

    def after(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> Any:
        self.open.pop()
        if self.open:
            return result
        result = renewed(result)
        self.note(result, frozenset({self.leaves[module]}))
        return result


def renewed(values: Any) -> Any:
    """The same tensors as other objects, since a layer may return its input itself."""
    if isinstance(values, Tensor):
        return values.view_as(values)
    if isinstance(values, list | tuple):
        return type(values)(map(renewed, values))
    return {key: renewed(value) for key, value in values.items()} if isinstance(values, dict) else values


def seen_edges(module: nn.Module, names: Iterable[str], inputs: Sequence[Tensor]) -> set[tuple[str, str]]:
    """Pairs of names: one of `names`, or "input N", and another that reads its result, or "output N".

    The names are those of submodules, which are seen as a whole, or of parameters. A result may go through joins.
    """
    modules, parameters = dict(module.named_modules()), dict(module.named_parameters())
    leaves = {modules[name]: name for name in names if name in modules}
    trace = Trace(leaves)
    for name in names:
        if name not in modules:
            trace.note(parameters[name], frozenset({name}))
    handles = [one.register_forward_pre_hook(trace.before, with_kwargs=True) for one in modules.values()]
    handles += [leaf.register_forward_hook(trace.after, with_kwargs=True) for leaf in leaves]
    for number, tensor in enumerate(inputs):
        trace.note(tensor, frozenset({f"{INPUT} {number}"}))
    with torch.no_grad(), trace:
        results = module(*inputs)
    for number, tensor in enumerate(tensors(results)):
        trace.edges |= {(origin, f"{OUTPUT} {number}") for origin in trace.of(tensor)}
    for handle in handles:
        handle.remove()
    return trace.edges
