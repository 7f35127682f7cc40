"""Integers that stand for many: small, as every command loads it; `archdsl.shapes.growing` computes with them."""

from __future__ import annotations


class Symbolic(int):
    """An integer that stands for a family of sizes."""


def is_symbolic(value: object) -> bool:
    """Whether a value is a Symbolic, or has one inside."""
    return isinstance(value, Symbolic) or (isinstance(value, tuple | list) and any(map(is_symbolic, value)))
