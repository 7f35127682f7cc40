"""Two networks compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import NamedTuple

from archdsl.diff.changes import Alignment, Change
from archdsl.diff.fit import Fit, fit
from archdsl.diff.parts import parts_of
from archdsl.graph import LayerNode
from archdsl.graph.network import Network
from archdsl.shapes import Shape

#: The totals that are compared, which are attributes of a network.
TOTALS = ("params", "trainable_params", "macs", "param_bytes", "buffer_bytes", "activation_bytes", "peak_memory")


class OtherShape(NamedTuple):
    """A layer of both networks whose output has another shape, by its name in the new one."""

    name: str
    old: Shape
    new: Shape


class Difference:
    """What differs between two networks. A checkpoint of `old` is loaded into `new`."""

    def __init__(self, old: Network, new: Network) -> None:
        self.old = old
        self.new = new

    def __repr__(self) -> str:
        kinds = Counter(change.action for change in self.changes)
        counts = ", ".join(f"{number} {kind}" for kind, number in kinds.items()) or "no changes"
        return f"<Difference {self.old.name} -> {self.new.name}: {counts}; a checkpoint {self.fit.verdict}>"

    @cached_property
    def _alignment(self) -> Alignment:
        keys: dict[Hashable, int] = {}
        return Alignment(parts_of(self.old.root, keys), parts_of(self.new.root, keys))

    @property
    def changes(self) -> list[Change]:
        """The parts that were added, removed, changed or renamed."""
        return self._alignment.changes

    @property
    def pairs(self) -> list[tuple[LayerNode, LayerNode]]:
        """The layers that are in both networks."""
        return self._alignment.layers

    @cached_property
    def shapes(self) -> list[OtherShape]:
        """The layers of both networks whose output has another shape, in execution order."""
        return [OtherShape(new.name, old.output, new.output) for old, new in self.pairs if old.output != new.output]

    @cached_property
    def inputs(self) -> Mapping[str, tuple[Shape | None, Shape | None]]:
        """The inputs that differ, by name."""
        return _other_values(self.old.inputs, self.new.inputs)

    @cached_property
    def outputs(self) -> Mapping[str, tuple[Shape | None, Shape | None]]:
        """The outputs that differ, by name."""
        return _other_values(self.old.output_shapes, self.new.output_shapes)

    @cached_property
    def totals(self) -> dict[str, tuple[int, int]]:
        """The totals of both networks by name."""
        return {name: (getattr(self.old, name), getattr(self.new, name)) for name in TOTALS}

    @property
    def fields(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The receptive fields of the last layers that run in eval mode."""
        return _field(self.old), _field(self.new)

    @cached_property
    def fit(self) -> Fit:
        """The entries of a checkpoint of `old` that fit `new`."""
        return fit(self.old.state, self.new.state)

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        same_shapes = not (self.shapes or self.inputs or self.outputs)
        return not self.changes and same_shapes and self.fit.verdict == "loads"


def _other_values(old: Mapping[str, Shape], new: Mapping[str, Shape]) -> dict[str, tuple[Shape | None, Shape | None]]:
    both = {name: (old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new])}
    return {name: (one, other) for name, (one, other) in both.items() if one != other}


def _field(network: Network) -> tuple[int, ...]:
    layers = [layer for layer in network.layers if not layer.aux]
    return layers[-1].receptive_field if layers else ()
