"""The definitions that labels lead to, in the check of a file as it is written: `a.b`, `stem.skip`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archdsl.elaborate.environment import Labels
from archdsl.elaborate.parts import ANY_LABEL, written_label
from archdsl.elaborate.references import Definition
from archdsl.syntax import tree


class Members:
    """What is inside labelled parts. A block may be checked after its calls, so paths are resolved at the end.

    blocks  the labels and taps of each block's own scope
    """

    def __init__(self) -> None:
        self.blocks: dict[tree.BlockDef, Labels] = {}
        self._inside: dict[Definition, Labels | tree.BlockDef] = {}
        self._paths: list[tuple[Definition, Sequence[tree.Label], bool]] = []

    def enter(self, part: Definition, inside: Labels | tree.BlockDef) -> None:
        """Record what is inside a part: a scope of names, or a block."""
        self._inside[part] = inside

    def use(self, part: Definition, labels: Sequence[tree.Label], *, tap: bool) -> None:
        """Record labels inside a part, the last of which may be the name of a tap."""
        self._paths.append((part, labels, tap))

    def resolve(self, definitions: Iterable[Definition]) -> None:
        """Record the references. A tap of that name counts as read wherever it is if the path leads to no place."""
        taps: dict[str, list[Definition]] = {}
        for one in definitions:
            if one.kind == "tap":
                taps.setdefault(one.name, []).append(one)
        for part, labels, is_tap in self._paths:
            if self._resolve(part, labels, is_tap=is_tap) or not is_tap:
                continue
            for tap in taps.get(written_label(labels[-1]), ()):
                tap.is_passed = True

    def _resolve(self, part: Definition, labels: Sequence[tree.Label], *, is_tap: bool) -> bool:
        """Whether the labels lead to a definition."""
        found = part
        for i, label in enumerate(labels):
            name = written_label(label)
            inside = self._inside.get(found)
            scope = self.blocks.get(inside) if isinstance(inside, tree.BlockDef) else inside
            names = {} if scope is None else scope.taps if is_tap and i == len(labels) - 1 else scope.parts
            if found.name == ANY_LABEL or names.get(name) is None:
                return False
            found = names[name]
            found.references.append(label.span)
        found.is_passed |= is_tap
        return True
