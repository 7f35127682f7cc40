"""`archdsl eval`: the accuracy of a trained network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from archdsl.cli.options import (
    Batch,
    Dataset,
    Input,
    Model,
    Parameters,
    Require,
    RequiredWeights,
    Root,
    Settings,
    Spec,
    TableOrJson,
)
from archdsl.cli.printing import print_json
from archdsl.cli.recipe import training
from archdsl.cli.requirements import read_requirements, require, require_accuracy

if TYPE_CHECKING:
    from archdsl.api import Network
    from archdsl.recipe import Recipe
    from archdsl.train import Evaluation

EXAMPLES = ("archdsl eval specs/lenet.arch --weights runs/lenet",)

#: Recipe entries without an effect on an evaluation.
IN_TRAINING = {
    *("epochs", "steps", "max_steps", "accumulate", "weights", "freeze", "optimizer", "decay", "rates", "schedule"),
    *("clip_norm", "clip_value", "ema", "aux_weight", "patience", "compile", "sync_batchnorm"),
    *("keep", "checkpoint_every", "tensorboard", "report"),
}
#: How many mistakes are listed where the confusion matrix is too wide.
MISTAKES = 10


def eval(
    spec: Spec,
    weights: RequiredWeights,
    model: Model = None,
    dataset: Dataset = None,
    root: Root = None,
    batch: Batch = None,
    settings: Settings = None,
    parameters: Parameters = None,
    input: Input = None,
    format: TableOrJson = "table",
    required: Require = None,
) -> None:
    """Evaluate a trained network on the test set."""
    bounds = read_requirements(required)
    given = {"dataset": dataset, "root": root, "batch": batch}
    asked = training(spec, model, settings, parameters, input, weights, given)
    if in_training := [key for key in asked.overrides if key.partition(".")[0] in IN_TRAINING]:
        from archdsl.cli.settings import unused

        raise unused(in_training)
    from archdsl.runs.folder import run_of
    from archdsl.train import run_evaluation

    run = run_of(weights)
    recipe = asked.recipe(None if run is None else str(run.path))
    if weights.startswith("torchvision:") and "augment" not in asked.overrides:
        recipe = _normalised(recipe, asked.network, weights)
    found = run_evaluation(asked.network, recipe, weights)
    if format == "json":
        print_json(found.to_dict())
    else:
        _draw(found)
    sys.stdout.flush()
    require(asked.network, bounds)
    require_accuracy(asked.network, found.accuracy, bounds)


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
