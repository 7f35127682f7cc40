"""All sizes at once: families r, r + p, r + 2p, ... within each of which the answer is the same from some member on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from archdsl.shapes.growing import Opaque, Refine, deciding, growing
from archdsl.sizes.subject import Fault

#: More families than these are not looked at.
MOST = 4096


class Family(NamedTuple):
    """The sizes residue + step*t.

    first      the t from which on the answer is the same for all members
    except_at  later members that have to be asked for themselves
    fault      why they are not taken; None if they are
    """

    residue: int
    step: int
    first: int
    except_at: frozenset[int]
    fault: Fault | None

    @property
    def open(self) -> list[int]:
        """The members that have to be asked for themselves."""
        members = {*range(self.first), *self.except_at}
        return [n for t in members if (n := self.residue + self.step * t) > 0]

    @property
    def settled(self) -> int:
        """The first size from which on no member has to be asked for itself."""
        last = max(self.except_at, default=-1)
        return self.residue + self.step * max(self.first, last + 1)


def families(answer: Callable[[int], Fault | None]) -> list[Family] | None:
    """The families of all sizes from 1 on; None if there are too many, or a rule that integers cannot follow.

    A family is divided where a rule's answer depends on the member: a stride of 2 needs to know whether a size is odd.
    """
    found: list[Family] = []
    waiting = [(0, 1)]
    while waiting:
        residue, step = waiting.pop()
        with deciding() as collected:
            try:
                fault = answer(growing(residue, step))
            except Refine as refine:
                waiting += [(residue + step * j, step * refine.parts) for j in range(refine.parts)]
                if len(found) + len(waiting) > MOST:
                    return None
                continue
            except Opaque:
                return None
        found.append(Family(residue, step, *collected.decisions, fault))
    return found
