"""`archdsl eval`: the accuracy of a trained network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from archdsl.cli.network import PUBLISHED, Asked
from archdsl.cli.options import (
    Batch,
    Dataset,
    Input,
    Model,
    NetworkArgument,
    Require,
    Root,
    Settings,
    StdinFilename,
    TableOrJson,
    Weights,
)
from archdsl.cli.printing import print_json
from archdsl.cli.recipe import Training
from archdsl.cli.requirements import read_requirements, require, require_accuracy

if TYPE_CHECKING:
    from archdsl.api import Network
    from archdsl.recipe import Recipe
    from archdsl.train import Evaluation

EXAMPLES = (
    "archdsl eval runs/lenet",
    "archdsl eval runs/lenet --weights runs/lenet/best.safetensors --format json",
    "archdsl eval resnet18 --weights torchvision:DEFAULT --dataset imagefolder --root images",
)

#: How many mistakes are listed where the confusion matrix is too wide.
MISTAKES = 10


def eval(
    network: NetworkArgument,
    weights: Weights = None,
    model: Model = None,
    dataset: Dataset = None,
    root: Root = None,
    batch: Batch = None,
    settings: Settings = None,
    input: Input = None,
    stdin_filename: StdinFilename = None,
    format: TableOrJson = "table",
    required: Require = None,
) -> None:
    """Evaluate a trained network on the test set."""
    bounds = read_requirements(required)
    given = {"dataset": dataset, "root": root, "batch": batch}
    found = Asked(network, model, settings, input, stdin_filename).weighted(weights)
    asked, weights = Training(found, given), found.known_weights
    recipe = asked.for_evaluation()
    from archdsl.train import run_evaluation

    if weights.startswith(PUBLISHED) and "augment" not in asked.overrides:
        recipe = _normalised(recipe, found.network, weights)
    evaluation = run_evaluation(found.network, recipe, weights, run=found.run)
    if format == "json":
        print_json(evaluation.to_dict())
    else:
        _draw(evaluation)
    sys.stdout.flush()
    require(found.network, bounds)
    require_accuracy(found.network, evaluation.accuracy, bounds)


def _normalised(recipe: Recipe, network: Network, weights: str) -> Recipe:
    """The recipe with the normalisation that published weights were trained with."""
    from archdsl.backends.torch.published import find
    from archdsl.recipe.augmentations import Normalize

    mean, std = find(weights, network).normalisation()
    others = tuple(part for part in recipe.augment if not isinstance(part, Normalize))
    return recipe.model_copy(update={"augment": (*others, Normalize(mean=mean, std=std))})


def _draw(found: Evaluation) -> None:
    """Print accuracy and loss, the figures of each class, and the confusion matrix or its largest entries."""
    from archdsl.view.tables import Column, draw, terminal_width

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
    from archdsl.view.tables import Column, draw, fit

    columns = [Column("true"), *(Column(name, right=True) for name in classes)]
    rows = [[name, *(f"{n:,}" if n else "." for n in row)] for name, row in zip(classes, confusion, strict=True)]
    shown, cells, gap = fit(columns, rows, width)
    needed = sum(max(len(c.title), *(len(row[i]) for row in cells)) + gap for i, c in enumerate(shown)) - gap
    if needed <= width:
        print("confusion matrix (rows: true class, columns: predicted class)\n")
        draw(columns, rows, file=sys.stdout, width=width)
        return
    print("the most frequent mistakes\n")
    mistakes = largest_mistakes(classes, confusion)
    rows = [[true, predicted, f"{number:,}"] for true, predicted, number in mistakes]
    draw([Column("true"), Column("predicted"), Column("samples", right=True)], rows, file=sys.stdout, width=width)


def largest_mistakes(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[tuple[str, str, int]]:
    """True class, predicted class and count, the largest counts first."""
    pairs = [
        (classes[i], classes[j], number)
        for i, row in enumerate(confusion)
        for j, number in enumerate(row)
        if i != j and number
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:MISTAKES]
