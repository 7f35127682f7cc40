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
    from archdsl.datasets.data import Data
    from archdsl.recipe import Recipe
    from archdsl.train import Evaluation
    from archdsl.train.setup import Setup

EXAMPLES = (
    "archdsl eval runs/lenet",
    "archdsl eval runs/lenet --weights runs/lenet/best.safetensors --format json",
    "archdsl eval resnet18 --weights torchvision:DEFAULT --dataset imagefolder --root images",
)

#: The losses that are named in words where there are no classes.
MEASURES = {
    "mse": "mean squared error",
    "l1": "mean absolute error",
    "huber": "Huber loss",
    "smooth_l1": "smooth L1 loss",
    "bce": "binary cross-entropy",
    "pairwise_distance": "the mean squared error between distances of outputs and differences of class numbers",
}
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
    from archdsl.train import trained

    if weights.startswith(PUBLISHED) and "augment" not in asked.overrides:
        recipe = _normalised(recipe, found.network, weights)
    module, setup = trained(found.network, recipe, weights, run=found.run)
    evaluation = setup.evaluate(module, test=True)
    if format == "json":
        print_json(evaluation.to_dict() | _facts(setup))
    else:
        _draw(evaluation, _compared(setup), _samples(setup.data, is_of_run=found.run is not None))
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


def _facts(setup: Setup) -> dict[str, object]:
    """What was measured, on which samples."""
    data = setup.data
    facts: dict[str, object] = {"loss_name": setup.recipe.loss.kind, "dataset": data.name}
    return facts | {"split": "test" if data.has_test else "validation", "validates_on_test": data.validates_on_test}


def _draw(found: Evaluation, compared: str, samples: str) -> None:
    """Print what was measured, the figures of each class, and the confusion matrix or its largest entries.

    `compared` says what a loss without classes compares, `samples` which samples these are.
    """
    from archdsl.runs.wording import figure
    from archdsl.view.tables import Column, draw, terminal_width

    width, loss = terminal_width(), figure(found.loss)
    if found.accuracy is None:
        _print_folded(f"loss {loss} of {found.samples:,} samples: {compared}", width)
        _print_folded(samples, width)
        return
    print(f"accuracy {found.accuracy:.2%} of {found.samples:,} samples, loss {loss}")
    _print_folded(samples, width)
    print()
    figures = ("precision", "recall", "f1", "samples")
    columns = [Column("class", fold=12), *(Column(name, right=True) for name in figures)]
    rows = [[c.name, *(f"{x:.2%}" for x in (c.precision, c.recall, c.f1)), f"{c.support:,}"] for c in found.per_class]
    draw(columns, rows, file=sys.stdout, width=width)
    print()
    _draw_confusion(found.classes, found.confusion, width)


def _print_folded(text: str, width: int) -> None:
    from textwrap import fill

    print(fill(text, width, break_long_words=False, break_on_hyphens=False))


def _samples(data: Data, *, is_of_run: bool) -> str:
    """Which samples these are, and whether the epochs of the run were judged by them."""
    if not data.has_test:
        return f"{data.name} has no test samples: these are its validation samples"
    if not is_of_run:
        return f"the test samples of {data.name}"
    if data.validates_on_test:
        return f"the test samples of {data.name}, by which the best epoch was chosen too"
    return f"the test samples of {data.name}; validation used others"


def _compared(setup: Setup) -> str:
    """What the loss compares, where there are no classes."""
    name = MEASURES.get(setup.recipe.loss.kind, setup.recipe.loss.kind)
    match setup.recipe.target:
        case "picture":
            return f"the {name} between output and input image"
        case "next_class":
            return f"the {name} between the output and an image of the next class"
        case _:
            if setup.recipe.loss.kind == "pairwise_distance":
                return name
            return f"the {name} between the output and the values of the data"


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
