"""Commands that compute: train, eval, export. These need torch, and export needs onnx too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from archdsl.cli.options import GivenWeights, Input, Model, Parameters, Settings, Spec, Weights
from archdsl.cli.spec import network_of
from archdsl.cli.streams import print_json

if TYPE_CHECKING:
    from torch import nn

    from archdsl.network import Network
    from archdsl.recipe import Recipe
    from archdsl.values import Entry

#: A command that a signal has ended exits with this and the signal's number, as shells have it.
STOPPED = 128

Data = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Another data set than the recipe's.")]
Root = Annotated[str | None, typer.Option("--root", metavar="DIR", help="The folder of the data set's files.")]
Entries = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any other entry of the recipe, as a spec writes it; repeatable."),
]


def train(
    spec: Spec,
    model: Model = None,
    dataset: Data = None,
    root: Root = None,
    epochs: Annotated[int | None, typer.Option(min=1, metavar="N", help="Passes over the data.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, metavar="N", help="Samples in a batch.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Seed of weights, order and augmentation.")
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="The run folder.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="DIR", help="Go on with the run in this folder.")] = None,
    entries: Entries = None,
    parameters: Parameters = None,
    input: Input = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Train by the recipe in the file, or by the default one.

    The folder of a run in place of a spec repeats that run.
    """
    if out is not None and resume is not None:
        raise typer.BadParameter("a resumed run stays in its folder: give either --out or --resume")
    run = resume
    if (Path(spec) / "run.json").is_file():
        run, spec = resume or spec, str(Path(spec) / "spec.arch")
    network = network_of(spec, model, parameters, input, option="--param", run=run)
    from archdsl.cli.values import recipe_overrides

    given = {"dataset": dataset, "root": root, "epochs": epochs, "batch": batch, "seed": seed}
    overrides = recipe_overrides(entries, given)
    from archdsl.report import reporter
    from archdsl.train import recipe_of_run, run_training

    recipe = _recipe(network, overrides, run)
    if recipe is None and run is not None and resume is None:
        recipe = recipe_of_run(run)
    result = run_training(network, recipe, out=out, resume=resume, quiet=quiet, at_end=reporter(network))
    raise typer.Exit(STOPPED + result.signal if result.interrupted else 0)


def eval(
    spec: Spec,
    weights: GivenWeights,
    model: Model = None,
    dataset: Data = None,
    root: Root = None,
    batch: Annotated[int | None, typer.Option(min=1, metavar="N", help="Samples in a batch.")] = None,
    entries: Entries = None,
    parameters: Parameters = None,
    input: Input = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="The form.")] = "table",
) -> None:
    """Accuracy, figures per class, confusion matrix."""
    network = network_of(spec, model, parameters, input, option="--param", run=weights)
    from archdsl.cli.values import recipe_overrides

    overrides = recipe_overrides(entries, {"dataset": dataset, "root": root, "batch": batch})
    from archdsl.train import run_evaluation

    run = weights if Path(weights).is_dir() else None
    recipe = _recipe(network, overrides, run)
    if recipe is not None and weights.startswith("torchvision:") and "augment" not in overrides:
        recipe = _normalised(recipe, network, weights)
    found = run_evaluation(network, recipe, weights)
    from archdsl.cli.evaluation import draw_evaluation, evaluation_json

    if format == "json":
        print_json(evaluation_json(found))
    else:
        draw_evaluation(found)


def _recipe(network: Network, overrides: Mapping[str, Entry], run: str | None) -> Recipe | None:
    """The recipe of the spec, or of a run where there is one, with the overrides; None is the run's as it is."""
    from archdsl.recipe import Recipe, with_overrides

    entries = network.recipe
    if run is not None:
        if not overrides:
            return None
        from archdsl.train import recipe_of_run

        entries = recipe_of_run(run).to_entries()
    return Recipe.from_entries(with_overrides(entries, overrides))


def _normalised(recipe: Recipe, network: Network, weights: str) -> Recipe:
    """The recipe with the normalisation that published weights were trained with."""
    from archdsl.recipe import Normalize
    from archdsl.torch.published import find

    mean, std = find(weights, network).normalisation()
    others = tuple(part for part in recipe.augment if not isinstance(part, Normalize))
    return recipe.model_copy(update={"augment": (*others, Normalize(mean=mean, std=std))})


def export(
    spec: Spec,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The ONNX file to write.")],
    weights: Weights = None,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    opset: Annotated[int, typer.Option(metavar="N", help="The version of ONNX's operators.")] = 20,
    no_fold: Annotated[bool, typer.Option("--no-fold", help="Keep batch norm apart from its convolution.")] = False,
    normalize: Annotated[
        str | None,
        typer.Option(
            metavar="MEAN;STD", help="Start with (x - mean) / std: `0.5;0.25`, or `run` for the weights' own."
        ),
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="The largest difference from torch allowed.")] = 1e-4,
) -> None:
    """Write an ONNX file and compare it with torch.

    The file is checked and run in ONNX Runtime before it is kept.
    """
    network = network_of(spec, model, settings, input, run=weights)
    statistics = None if normalize is None else mean_and_std(normalize, weights, network)
    from archdsl import export_onnx

    module = _module(network, weights)
    difference = export_onnx(
        module, output, opset=opset, fold_batchnorm=not no_fold, normalize=statistics, tolerance=tolerance
    )
    origin = "freshly initialised weights (no --weights given)" if weights is None else f"the weights of {weights}"
    print(f"wrote {output} with {origin}")
    print(f"largest difference from torch in ONNX Runtime: {difference:.3g}")


def mean_and_std(
    text: str, run: str | None = None, network: Network | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`0.485,0.456,0.406;0.229,0.224,0.225` as two tuples; `run` is what the weights were trained with.

    `run` is the folder of a run, or names weights for the `network` that torchvision publishes.
    """
    if text == "run" and run is not None and run.startswith("torchvision:") and network is not None:
        from archdsl.torch.published import find

        return find(run, network).normalisation()
    if text == "run" and run is not None and Path(run).is_dir():
        from archdsl.train.run import RunFolder

        info = RunFolder(Path(run)).read_info()
        return info.mean, info.std
    try:
        mean, std = (tuple(map(float, part.split(","))) for part in text.split(";"))
    except ValueError:
        message = f"{text!r} is not MEAN;STD (numbers, one for each channel), nor `run` with the folder of a run"
        raise typer.BadParameter(message, param_hint="--normalize") from None
    return mean, std


def _module(network: Network, weights: str | None) -> nn.Module:
    module = network.build()
    if weights is not None:
        from archdsl.torch import load_weights

        load_weights(module, weights)
    return module.eval()


def onnx_text(network: Network) -> str:
    """The ONNX graph with fresh weights, as the onnx package prints it."""
    from archdsl.onnx import text

    weights = {name: tensor.numpy() for name, tensor in network.build(seed=0).state_dict().items()}
    return text(network, weights)
