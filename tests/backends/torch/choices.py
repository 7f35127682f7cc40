"""What random specs are drawn with: hypothesis's names for choices, made by a `random.Random`.

A plain Random draws ten times as fast as hypothesis, which can draw the Random itself where a failure should shrink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")
SearchStrategy = Callable[[Random], T]


def integers(low: int, high: int) -> SearchStrategy[int]:
    return lambda random: random.randint(low, high)


def booleans() -> SearchStrategy[bool]:
    return lambda random: random.randint(0, 1) == 1


def sampled_from(values: Sequence[T]) -> SearchStrategy[T]:
    return lambda random: values[random.randint(0, len(values) - 1)]


def permutations(values: Iterable[T]) -> SearchStrategy[list[T]]:
    def draw(random: Random) -> list[T]:
        order = list(values)
        random.shuffle(order)
        return order

    return draw
