"""A network's results on a split: loss, accuracy, the confusion matrix and figures from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.datasets.seeds import in_batches
from archdsl.datasets.splits import Batch, Split, each_input
from archdsl.train.losses import Loss, class_numbers, class_scores, main_output, predictions
from archdsl.train.processes.processes import ALONE, Processes


class Stopped(Exception):
    """Raised where an evaluation was asked to stop before its end."""


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Precision, recall and F1 of a class; each 0 where it is undefined."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A network's results on a split.

    loss       mean over the samples
    accuracy   share of samples whose class has the highest score, 0..1; None without classes
    confusion  for each true class (row), how often each class was predicted (column)
    top5       share of samples whose class is among the five highest scores, where requested
    count      the number of samples, without classes
    """

    loss: float
    accuracy: float | None
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    top5: float | None = None
    count: int = 0

    def __repr__(self) -> str:
        share = "" if self.accuracy is None else f"accuracy {self.accuracy:.2%}, "
        return f"<Evaluation: {share}loss {self.loss:.4g} of {self.samples:,} samples>"

    @property
    def samples(self) -> int:
        return self.count or sum(map(sum, self.confusion))

    @property
    def f1(self) -> float | None:
        """The mean of the classes' F1 (macro average); None without classes."""
        figures = self.per_class
        return sum(one.f1 for one in figures) / len(figures) if figures else None

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
        """The evaluation as JSON's types."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            **({"top5": self.top5} if self.top5 is not None else {}),
            "samples": self.samples,
            "classes": [asdict(figures) for figures in self.per_class],
            "confusion": [list(row) for row in self.confusion],
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def evaluate(
    module: nn.Module,
    split: Split,
    prepare: Callable[[Any], Batch],
    loss: Loss,
    *,
    classes: Sequence[str],
    batch: int,
    top5: bool = False,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    processes: Processes = ALONE,
    stops: Callable[[], bool] = lambda: False,
    watch: Callable[[int, int], object] = lambda done, total: None,
) -> Evaluation:
    """Run the module in eval mode over a split; afterwards it is in the mode it was in.

    `prepare` turns images into the module's input. Scores beyond the number of classes are no predictions; without
    classes there is only a loss. Each of several `processes` has a share of every batch, and all get the results of
    the whole. Before each batch `watch` is called with the samples that are done and all of them, and `stops` is asked:
    once it returns true, Stopped is raised.
    """
    tally, mode = _Tally(processes.loss(loss), len(classes), top5=top5 and len(classes) > 0), module.training
    batches = in_batches(torch.arange(len(split.labels)), batch * processes.world)
    processes.same_buffers(module)
    module.eval()
    try:
        with torch.inference_mode():
            shares = split.batches([processes.share(rows) for rows in batches])
            for number, (rows, (images, targets)) in enumerate(zip(batches, shares, strict=True)):
                watch(number * len(batches[0]), len(split.labels))
                if stops():
                    raise Stopped
                with autocast():
                    output = module(*each_input(prepare(images)))
                if processes.counts(len(rows)):
                    tally.add(output, targets)
            return tally.result(tuple(classes), len(split.labels), processes)
    finally:
        module.train(mode)


class _Tally:
    """The sums over the batches of a split, on the device until the end."""

    def __init__(self, loss: Loss, classes: int, *, top5: bool) -> None:
        self.loss, self.classes, self.top5 = loss, classes, top5
        self.losses: list[Tensor] = []
        self.weights: list[Tensor | int] = []
        self.counts: list[Tensor] = []
        self.hits: list[Tensor] = []

    def add(self, output: Any, targets: Tensor) -> None:
        outputs = (class_scores(output) if self.classes else main_output(output)).float()
        weight = self.loss.weight(targets)
        self.losses.append(self.loss(outputs, targets) * weight)
        self.weights.append(weight)
        if not self.classes:
            return
        labels, scores = class_numbers(targets), outputs[:, : self.classes]
        pairs = labels * self.classes + predictions(outputs, self.classes)
        self.counts.append(torch.bincount(pairs, minlength=self.classes**2))
        if self.top5:
            likeliest = scores.topk(min(5, scores.shape[1]), 1).indices
            self.hits.append(likeliest.eq(labels[:, None]).any(1).sum())

    def result(self, classes: tuple[str, ...], samples: int, processes: Processes) -> Evaluation:
        total = torch.stack(self.losses).cpu().double().sum().item() if self.losses else 0.0
        sums = processes.sum(torch.tensor([total, float(sum(self.weights))], dtype=torch.float64))
        loss = (sums[0] / sums[1]).item()
        if not classes:
            return Evaluation(loss, None, (), (), count=samples)
        counts = torch.stack(self.counts).sum(0).cpu() if self.counts else torch.zeros(len(classes) ** 2).long()
        confusion = processes.sum(counts).view(len(classes), -1)
        hits, rows = int(confusion.diagonal().sum()), tuple(map(tuple, confusion.tolist()))
        top5 = int(processes.sum(torch.tensor(int(sum(self.hits))))) / samples if self.top5 else None
        return Evaluation(loss, hits / samples, classes, rows, top5)
