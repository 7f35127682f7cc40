"""The results for each class: the confusion matrix as a table, and the classes that are confused most often."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.report.texts import percent
from archdsl.train.evaluation import Evaluation

#: A table of more classes than this would not be read; the most frequent confusions are listed instead.
MOST = 30
#: The number of confusions listed.
LISTED = 10
#: Names longer than this are written upright above their columns.
SHORT = 4


@dataclass(frozen=True)
class Cell:
    """How often a class was predicted as another; `level` is 1 to 10 by its share of the row."""

    count: int
    level: int
    title: str


@dataclass(frozen=True)
class Row:
    """The cells of a true class."""

    name: str
    cells: list[Cell]


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix; without rows where there are too many classes."""

    names: tuple[str, ...]
    rows: list[Row]

    @property
    def is_long(self) -> bool:
        return max(map(len, self.names)) > SHORT


@dataclass(frozen=True)
class Confusion:
    """Samples of the class `true` that were predicted to be `predicted`; `share` is of all samples of the class."""

    true: str
    predicted: str
    count: int
    share: float


def confusion_table(found: Evaluation) -> Matrix:
    """The confusion matrix of an evaluation."""
    if len(found.classes) > MOST:
        return Matrix(found.classes, [])
    rows = [
        Row(true, [_cell(true, name, count, sum(row)) for name, count in zip(found.classes, row, strict=True)])
        for true, row in zip(found.classes, found.confusion, strict=True)
    ]
    return Matrix(found.classes, rows)


def _cell(true: str, predicted: str, count: int, total: int) -> Cell:
    share = count / total if total else 0.0
    level = min(10, max(1, round(10 * share)))
    return Cell(count, level, f"true {true}, predicted {predicted}: {count:,} of {total:,} ({percent(share, 1)})")


def most_confused(found: Evaluation) -> list[Confusion]:
    """The pairs of classes with the most wrong predictions."""
    pairs = [
        Confusion(true, predicted, row[j], row[j] / sum(row))
        for i, (true, row) in enumerate(zip(found.classes, found.confusion, strict=True))
        for j, predicted in enumerate(found.classes)
        if i != j and row[j]
    ]
    return sorted(pairs, key=lambda one: -one.count)[:LISTED]
