"""The sizes that a network takes on each axis of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from archdsl.graph.network import Network
from archdsl.sizes.axes import Axis, axes_of
from archdsl.sizes.families import Family, families
from archdsl.sizes.rule import Rule, rule_of, runs
from archdsl.sizes.subject import Fault, Subject

#: Where there is no rule, the sizes up to this number are checked one by one, and so many above the spec's own.
CHECKED, ABOVE = 320, 96


class Reason(NamedTuple):
    """Why a size is not taken: the smallest one of those that a part rejects."""

    size: int
    fault: Fault


class AxisSizes(NamedTuple):
    """The sizes that are taken on one axis while the other axes keep their sizes.

    rule     which these are; None if no rule could be proved
    checked  without a rule: the sizes up to this one were checked
    taken    without a rule: those of them that are taken
    reasons  why others are not
    """

    axis: Axis
    rule: Rule | None
    checked: int
    taken: tuple[int, ...]
    reasons: tuple[Reason, ...]

    def __repr__(self) -> str:
        found = f"{runs(self.taken)}, of those up to {self.checked}" if self.rule is None else str(self.rule)
        return f"<AxisSizes {self.axis.name}: {found}>"

    def takes(self, size: int) -> bool:
        """Whether a size is taken; without a rule, one that was not checked is not."""
        return self.rule.takes(size) if self.rule else size in self.taken

    def after(self, size: int, number: int = 1) -> list[int]:
        """The next sizes above `size` that are taken."""
        return self.rule.after(size, number) if self.rule else [n for n in self.taken if n > size][:number]


def input_sizes(network: Network) -> list[AxisSizes]:
    """The sizes that a network takes with the weights it has, for each axis of its inputs.

    A size is taken if the spec is valid with it and its weights have the same names and shapes. Each axis is asked for
    while all others keep the sizes that the network was loaded with; height and width that are equal are asked for
    together too.
    """
    subject = Subject(network)
    return [_Question(subject, axis).answer() for axis in axes_of(network)]


class _Question:
    """The sizes of one axis."""

    def __init__(self, subject: Subject, axis: Axis) -> None:
        self.subject, self.axis = subject, axis
        self._inputs = subject.network.inputs
        self._known: dict[int, Fault | None] = {}

    def fault(self, size: int) -> Fault | None:
        """Why a size is not taken."""
        if size not in self._known:
            self._known[size] = self.subject.fault(self.axis.resized(self._inputs, size))
        return self._known[size]

    def answer(self) -> AxisSizes:
        found = families(lambda size: self.subject.fault(self.axis.resized(self._inputs, size)))
        rule = None if found is None else rule_of(found, lambda size: self.fault(size) is None)
        if found is None or rule is None:
            return self._counted()
        return AxisSizes(self.axis, rule, 0, (), tuple(self._reasons(rule, found)))

    def _counted(self) -> AxisSizes:
        checked = max(CHECKED, self.axis.size + ABOVE)
        taken = tuple(n for n in range(1, checked + 1) if self.fault(n) is None)
        least = taken[0] if taken else 1
        reasons = self._examples(n for n in [least - 1, *range(least, checked + 1)] if n > 0 and n not in taken)
        return AxisSizes(self.axis, None, checked, taken, tuple(reasons))

    def _reasons(self, rule: Rule, found: Sequence[Family]) -> list[Reason]:
        """A reason for the minimum, and one for each part that rejects larger sizes."""
        below = (n for n in range(rule.minimum - 1, 0, -1) if not rule.takes(n))
        fitting = (n for n in below if n % rule.period in rule.remainders)
        sizes = list(islice(fitting, 1))
        seen = set[object]()
        for family in sorted(found, key=lambda one: one.residue):
            if family.fault is not None and (family.fault.part, family.fault.span) not in seen:
                seen.add((family.fault.part, family.fault.span))
                above = max(rule.minimum, family.settled)
                sizes.append(above + (family.residue - above) % family.step)
        return self._examples(sizes)

    def _examples(self, sizes: Iterable[int]) -> list[Reason]:
        """One size for each part that rejects some."""
        found: dict[object, Reason] = {}
        for size in sizes:
            fault = self.fault(size)
            if fault is not None:
                found.setdefault((fault.part, fault.span), Reason(size, fault))
        return list(found.values())
