"""What `archdsl eval` prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from archdsl.view.tables import Column, draw, fit, terminal_width

if TYPE_CHECKING:
    from archdsl.train import Evaluation

#: Where the whole matrix does not fit, so many of its largest mistakes are listed.
MISTAKES = 10


def evaluation_json(found: Evaluation) -> str:
    """All figures as one JSON object (docs/json.md)."""
    return json.dumps(found.to_dict(), indent=2, ensure_ascii=False)


def draw_evaluation(found: Evaluation) -> None:
    """Accuracy and loss, the figures of each class, and the confusion matrix or its largest mistakes."""
    width = terminal_width()
    if found.accuracy is None:
        print(f"loss {found.loss:.4f} of {found.samples:,} samples")
        return
    print(f"accuracy {found.accuracy:.2%} of {found.samples:,} samples, loss {found.loss:.4f}\n")
    figures = ("precision", "recall", "f1", "samples")
    columns = [Column("class", fold=12), *(Column(name, right=True) for name in figures)]
    rows = [[c.name, *(f"{x:.2%}" for x in (c.precision, c.recall, c.f1)), f"{c.support:,}"] for c in found.per_class]
    draw(columns, rows, file=sys.stdout, width=width)
    print()
    _draw_confusion(found.classes, found.confusion, width)


def _draw_confusion(classes: Sequence[str], confusion: Sequence[Sequence[int]], width: int) -> None:
    columns = [Column("true"), *(Column(name, right=True) for name in classes)]
    rows = [[name, *(f"{n:,}" if n else "." for n in row)] for name, row in zip(classes, confusion, strict=True)]
    shown, cells, gap = fit(columns, rows, width)
    needed = sum(max(len(c.title), *(len(row[i]) for row in cells)) + gap for i, c in enumerate(shown)) - gap
    if needed <= width:
        print("confusion matrix (rows: true class, columns: predicted)\n")
        draw(columns, rows, file=sys.stdout, width=width)
        return
    print("the most frequent mistakes\n")
    mistakes = largest_mistakes(classes, confusion)
    rows = [[true, predicted, f"{number:,}"] for true, predicted, number in mistakes]
    draw([Column("true"), Column("predicted"), Column("samples", right=True)], rows, file=sys.stdout, width=width)


def largest_mistakes(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[tuple[str, str, int]]:
    """True class, predicted class and number, the largest numbers first."""
    pairs = [
        (classes[i], classes[j], number)
        for i, row in enumerate(confusion)
        for j, number in enumerate(row)
        if i != j and number
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:MISTAKES]
