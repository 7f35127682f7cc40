"""A requirement as data."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.text.source import Span


class Requirement(NamedTuple):
    """`figure op bound`, and where it is written."""

    figure: str
    op: str
    bound: float
    span: Span
