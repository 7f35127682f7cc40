"""Commands that compute: train, eval, export, verify. These need torch, and the last two need onnx too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from archdsl.cli.options import GivenWeights, Input, Model, Settings, Spec, Weights
from archdsl.cli.spec import chosen, network_of
from archdsl.cli.streams import print_json

if TYPE_CHECKING:
    from torch import nn

    from archdsl.api import Network
    from archdsl.arguments.values import Entry
    from archdsl.backends.onnx import Comparison
    from archdsl.recipe import Recipe

#: A command that a signal has ended exits with this and the signal's number, as shells have it.
STOPPED = 128

#: Entries of the recipe that make no difference to an evaluation.
IN_TRAINING = {
    *("epochs", "steps", "max_steps", "accumulate", "weights", "freeze", "optimizer", "decay", "rates", "schedule"),
    *("clip_norm", "clip_value", "ema", "aux_weight", "patience", "compile", "sync_batchnorm"),
    *("keep", "checkpoint_every", "tensorboard", "report"),
}

Data = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Another data set than the recipe's.")]
Root = Annotated[str | None, typer.Option("--root", metavar="DIR", help="The folder of the data set's files.")]
#: What `--set model.KEY=VALUE` is, from when `--set` meant the recipe alone in these commands.
Parameters = Annotated[list[str] | None, typer.Option("--param", metavar="KEY=VALUE", hidden=True)]
Tolerance = Annotated[
    float,
    typer.Option(
        min=0,
        help="The largest difference from torch allowed, as a share of how much the output varies between inputs.",
    ),
]


def train(
    spec: Annotated[
        str | None,
        typer.Argument(metavar="[SPEC]", help="An .arch file, a name from `archdsl zoo`, or the folder of a run."),
    ] = None,
    model: Model = None,
    dataset: Data = None,
    root: Root = None,
    epochs: Annotated[int | None, typer.Option(min=1, metavar="N", help="Passes over the data.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, metavar="N", help="Samples in a batch.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Seed of weights, order and augmentation.")
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="The run folder.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="DIR", help="Go on with the run in this folder; it needs no SPEC.")
    ] = None,
    settings: Settings = None,
    parameters: Parameters = None,
    input: Input = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Train by the recipe in the file, or by the default one.

    The folder of a run in place of a spec repeats that run.
    """
    if out is not None and resume is not None:
        raise typer.BadParameter("a resumed run stays in its folder: give either --out or --resume")
    spec, run = _spec_and_run(spec, resume)
    given = {"dataset": dataset, "root": root, "epochs": epochs, "batch": batch, "seed": seed}
    network, overrides = _network_and_overrides(spec, model, settings, parameters, input, run, given)
    if resume is not None and Path(resume).is_dir():
        _require_same_network(network, Path(resume))
    from archdsl.report import reporter
    from archdsl.train import recipe_of_run, run_training

    recipe = _recipe(network, overrides, run)
    _require_root_of_files(recipe, root)
    if recipe is None and run is not None and resume is None:
        recipe = recipe_of_run(run)
    result = run_training(network, recipe, out=out, resume=resume, quiet=quiet, at_end=reporter(network))
    raise typer.Exit(STOPPED + result.signal if result.interrupted else 0)


def _spec_and_run(spec: str | None, resume: str | None) -> tuple[str, str | None]:
    """The path of the spec to train, and the folder of the run that it is from or goes on with."""
    if spec is None and resume is None:
        raise typer.BadParameter("give a spec to train, or --resume with the folder of a run", param_hint="SPEC")
    if spec is None or (Path(spec) / "run.json").is_file():
        run = resume or spec
        own = Path(spec or str(resume)) / "spec.arch"
        if not own.is_file():
            from archdsl.diagnostics import Diagnostic, SpecError
            from archdsl.diagnostics.codes.recipe import NothingToResume

            folder = str(own.parent)
            raise SpecError([Diagnostic(NothingToResume(folder, own.name), path=folder)])
        return str(own), run
    return spec, resume


def _require_same_network(network: Network, run: Path) -> None:
    """Reject (E634) to go on with a run on another network than it was started with."""
    from archdsl.graph import same_graph
    from archdsl.report.entries import network_of_run
    from archdsl.runs.folder import RunFolder

    started = network_of_run(RunFolder(run))
    pairs: dict[str, tuple[object, object]] = {"input": (network.input_shape, started.input_shape)}
    pairs |= {name: (value, started.settings.get(name)) for name, value in network.settings.items()}
    changed = [(name, now, before) for name, (now, before) in pairs.items() if now != before]
    if not changed and not same_graph(network.root, started.root):
        changed.append(("spec", network.path, "another text"))
    if changed:
        from archdsl.diagnostics import Diagnostic, Help, SpecError
        from archdsl.diagnostics.codes.recipe import OtherRun

        helps = (Help(f"leave it out: the run's own {run / 'spec.arch'} holds, with its model and settings"),)
        problems = [OtherRun(str(run), name, str(now), str(before)) for name, now, before in changed]
        raise SpecError([Diagnostic(problem, path=str(run), helps=helps) for problem in problems])


def _network_and_overrides(
    spec: str,
    model: str | None,
    settings: Sequence[str] | None,
    parameters: Sequence[str] | None,
    input: str | None,
    run: str | None,
    options: Mapping[str, object],
) -> tuple[Network, dict[str, Entry]]:
    """The network, and what goes over the entries of its recipe; options with a name of their own win."""
    from archdsl.cli.values import recipe_overrides

    texts = [*(settings or ()), *(f"model.{text}" for text in parameters or ())]
    found = chosen(spec, model, texts, input, run=run)
    return found.network, found.entries | recipe_overrides((), options)


def eval(
    spec: Spec,
    weights: GivenWeights,
    model: Model = None,
    dataset: Data = None,
    root: Root = None,
    batch: Annotated[int | None, typer.Option(min=1, metavar="N", help="Samples in a batch.")] = None,
    settings: Settings = None,
    parameters: Parameters = None,
    input: Input = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="The form.")] = "table",
) -> None:
    """Accuracy, figures per class, confusion matrix."""
    given = {"dataset": dataset, "root": root, "batch": batch}
    network, overrides = _network_and_overrides(spec, model, settings, parameters, input, weights, given)
    if in_training := [key for key in overrides if key.partition(".")[0] in IN_TRAINING]:
        from archdsl.cli.settings import unused

        raise unused(in_training)
    from archdsl.runs.folder import run_of
    from archdsl.train import run_evaluation

    run = run_of(weights)
    recipe = _recipe(network, overrides, None if run is None else str(run.path))
    _require_root_of_files(recipe, root)
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


def _require_root_of_files(recipe: Recipe | None, root: str | None) -> None:
    """Reject `--root` for the data set that has no files."""
    from archdsl.recipe import Digits

    if recipe is not None and root is not None and isinstance(recipe.dataset, Digits):
        raise typer.BadParameter("the data set digits is embedded and has no files", param_hint="--root")


def _normalised(recipe: Recipe, network: Network, weights: str) -> Recipe:
    """The recipe with the normalisation that published weights were trained with."""
    from archdsl.backends.torch.published import find
    from archdsl.recipe import Normalize

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
    tolerance: Tolerance = 1e-4,
) -> None:
    """Write an ONNX file and compare it with torch.

    The file is checked, and run in ONNX Runtime with its own weights and with random ones, before it is kept.
    """
    network = network_of(spec, model, settings, input, run=weights)
    statistics = None if normalize is None else mean_and_std(normalize, weights, network)
    from archdsl.backends.torch.export import compared_export

    module = _module(network, weights)
    found = compared_export(
        module, output, opset=opset, fold_batchnorm=not no_fold, normalize=statistics, tolerance=tolerance
    )
    origin = "freshly initialised weights (no --weights given)" if weights is None else f"the weights of {weights}"
    print(f"wrote {output} with {origin}")
    _report(found)


def verify(
    file: Annotated[str, typer.Argument(metavar="FILE.onnx", help="The ONNX file.")],
    spec: Spec,
    weights: Weights = None,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    normalize: Annotated[
        str | None,
        typer.Option(metavar="MEAN;STD", help="What the file starts with: `0.5;0.25`, or `run` for the weights' own."),
    ] = None,
    tolerance: Tolerance = 1e-4,
) -> None:
    """Compare an ONNX file with a network.

    The file may come from elsewhere. Without --weights one that archdsl wrote is compared with random weights in both.
    """
    network = network_of(spec, model, settings, input, run=weights)
    statistics = None if normalize is None else mean_and_std(normalize, weights, network)
    from archdsl.backends.torch.export import verify_onnx

    found = verify_onnx(
        file, _module(network, weights), normalize=statistics, tolerance=tolerance, weights=weights is not None
    )
    origin = "" if weights is None else f" with the weights of {weights}"
    print(f"{file} agrees with {network.name}{origin}")
    _report(found)


def _report(found: Comparison) -> None:
    """What the comparison of an ONNX file with a module found."""
    if found.outputs is None:
        print("its own weights were not compared (no --weights given)")
    else:
        print(f"largest difference from torch in ONNX Runtime: {found.difference:.3g}")
    if found.flat:
        print(f"note: with these weights {' and '.join(found.flat)} hardly varies between inputs")
    if found.random_outputs is None:
        print("compared with the module's own weights only: the file names its weights otherwise than archdsl does")
    else:
        print(f"with random weights in both: {found.relative:.1e} of how much the output varies between inputs")
    if found.unseen:
        print(f"note: nor does {' and '.join(found.unseen)} with random weights: the comparison says nothing of it")


def mean_and_std(
    text: str, run: str | None = None, network: Network | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`0.485,0.456,0.406;0.229,0.224,0.225` as two tuples; `run` is what the weights were trained with.

    `run` is the folder of a run, or names weights for the `network` that torchvision publishes.
    """
    if text == "run" and run is not None and run.startswith("torchvision:") and network is not None:
        from archdsl.backends.torch.published import find

        return find(run, network).normalisation()
    if text == "run" and run is not None:
        from archdsl.runs.folder import run_of

        if (folder := run_of(run)) is not None:
            info = folder.read_info()
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
        from archdsl.backends.torch import load_weights

        load_weights(module, weights)
    return module.eval()


def onnx_text(network: Network) -> str:
    """The ONNX graph with fresh weights, as the onnx package prints it."""
    from archdsl.backends.onnx import text

    weights = {name: tensor.numpy() for name, tensor in network.build(seed=0).state_dict().items()}
    return text(network, weights)
