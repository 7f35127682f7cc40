"""The rule for the sizes of an axis: which are taken, exactly, and in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from math import lcm
from typing import NamedTuple

from archdsl.sizes.families import Family

#: The longest period, and the largest size that is asked for itself.
LONGEST, LARGEST = 65_536, 1_000_000


class Rule(NamedTuple):
    """A size n of at least `minimum` is taken exactly if n mod `period` is one of `remainders`.

    smaller  the sizes below `minimum` that are taken
    """

    minimum: int
    period: int
    remainders: tuple[int, ...]
    smaller: tuple[int, ...] = ()

    def takes(self, size: int) -> bool:
        if size < self.minimum:
            return size in self.smaller
        return size % self.period in self.remainders

    def taken(self) -> Iterator[int]:
        """All sizes that are taken, from the smallest on."""
        yield from self.smaller
        if self.remainders:
            yield from (n for n in count(self.minimum) if n % self.period in self.remainders)

    def after(self, size: int, number: int = 1) -> list[int]:
        """The next sizes above `size`."""
        return list(islice((n for n in self.taken() if n > size), number))

    @property
    def smallest(self) -> int | None:
        return next(self.taken(), None)

    def __str__(self) -> str:
        smaller = runs(self.smaller)
        if not self.remainders:
            return f"only {smaller}" if smaller else "no size"
        if self.period == 1:
            text = f"every size from {self.minimum}"
        elif self.remainders == (0,):
            text = f"multiples of {self.period} from {self.minimum}"
        elif len(self.remainders) == 1:
            text = f"multiples of {self.period} plus {self.remainders[0]} from {self.minimum}"
        else:
            text = f"from {self.minimum}, if the remainder of division by {self.period} is {runs(self.remainders)}"
        return f"{text}, and {smaller}" if smaller else text


def runs(numbers: Sequence[int]) -> str:
    """`1, 3 to 5, 8`: numbers in ascending order, those in sequence together."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    parts = [f"{one[0]} to {one[-1]}" if len(one) > 2 else ", ".join(map(str, one)) for one in groups]
    if len(parts) > 8:
        parts = [*parts[:6], "...", parts[-1]]
    return ", ".join(parts)


def rule_of(found: Sequence[Family], takes: Callable[[int], bool]) -> Rule | None:
    """The rule for families that cover all sizes; `takes` answers for a single size. None if it would be too long."""
    period = lcm(*(family.step for family in found))
    settled = max(family.settled for family in found)
    if period > LONGEST or settled > LARGEST:
        return None
    valid = [False] * period
    for family in found:
        if family.fault is None:
            valid[family.residue :: family.step] = [True] * len(valid[family.residue :: family.step])
    single = {n: takes(n) for family in found for n in family.open}

    def taken(size: int) -> bool:
        return single[size] if size in single else valid[size % period]

    valid = shortest(valid)
    period = len(valid)
    start = max(settled, 1)
    while start > 1 and taken(start - 1) == valid[(start - 1) % period]:
        start -= 1
    remainders = tuple(i for i, each in enumerate(valid) if each)
    below = [n for n in range(1, start) if taken(n)]
    if not remainders:
        return Rule(below[-1] + 1 if below else 1, 1, (), tuple(below))
    return Rule(next(n for n in count(start) if n % period in remainders), period, remainders, tuple(below))


def shortest(pattern: list[bool]) -> list[bool]:
    """The shortest pattern that gives this one when it is repeated."""
    for prime in _primes(len(pattern)):
        part = len(pattern) // prime
        while len(pattern) % prime == 0 and pattern == pattern[: (part := len(pattern) // prime)] * prime:
            pattern = pattern[:part]
    return pattern


def _primes(number: int) -> list[int]:
    found, prime = [], 2
    while number > 1:
        if number % prime == 0:
            found.append(prime)
            while number % prime == 0:
                number //= prime
        prime += 1
    return found
