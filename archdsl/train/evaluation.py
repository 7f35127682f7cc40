"""How good a network is on a split: loss, accuracy, the confusion matrix and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.train.losses import Loss, class_scores
from archdsl.train.seeds import in_batches
from archdsl.train.splits import Split


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Precision, recall and their harmonic mean for one class; each 0 where it is undefined."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A network's results on a split.

    loss       mean over the samples
    accuracy   share of samples whose class has the highest score, 0..1
    confusion  for each true class (row) how often each class was predicted (column)
    """

    loss: float
    accuracy: float
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def samples(self) -> int:
        return sum(map(sum, self.confusion))

    @property
    def per_class(self) -> tuple[ClassFigures, ...]:
        """The figures of each class, in the order of the classes."""
        predicted = [sum(column) for column in zip(*self.confusion, strict=True)]
        figures = []
        for i, (name, row) in enumerate(zip(self.classes, self.confusion, strict=True)):
            hits, support = row[i], sum(row)
            f1 = _share(2 * hits, predicted[i] + support)
            figures.append(ClassFigures(name, _share(hits, predicted[i]), _share(hits, support), f1, support))
        return tuple(figures)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON's types."""
        rows = [
            {"name": c.name, "precision": c.precision, "recall": c.recall, "f1": c.f1, "support": c.support}
            for c in self.per_class
        ]
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "samples": self.samples,
            "classes": rows,
            "confusion": [list(row) for row in self.confusion],
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def evaluate(
    module: nn.Module,
    split: Split,
    prepare: Callable[[Tensor], Tensor],
    loss: Loss,
    *,
    classes: Sequence[str],
    batch: int,
) -> Evaluation:
    """Run the module in eval mode over a split; afterwards it is in the mode it was in.

    `prepare` turns pictures into the module's input. Scores beyond the number of classes are not predictions.
    """
    count, mode = len(classes), module.training
    module.eval()
    losses, counts = [], []
    with torch.inference_mode():
        for images, labels in split.batches(in_batches(torch.arange(len(split.labels)), batch)):
            scores = class_scores(module(prepare(images)))
            predicted = scores[:, :count].argmax(1)
            losses.append(loss(scores, labels) * len(labels))
            counts.append(torch.bincount(labels * count + predicted, minlength=count * count))
        total = torch.stack(losses).cpu().double().sum().item()
        confusion = torch.stack(counts).sum(0).view(count, count).cpu()
    module.train(mode)
    hits = int(confusion.diagonal().sum())
    samples = len(split.labels)
    return Evaluation(total / samples, hits / samples, tuple(classes), tuple(map(tuple, confusion.tolist())))
