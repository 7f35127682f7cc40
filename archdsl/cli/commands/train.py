"""`archdsl train`: training and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli.options import Batch, Dataset, Input, Model, Parameters, Require, Root, Settings
from archdsl.cli.recipe import training
from archdsl.cli.requirements import read_requirements, require, require_accuracy

if TYPE_CHECKING:
    from archdsl.api import Network

EXAMPLES = (
    "archdsl train specs/lenet.arch --epochs 5 --out runs/lenet",
    "archdsl train specs/lenet.arch --dataset fashion_mnist --set optimizer.lr=0.05",
    "archdsl train --resume runs/lenet",
    "archdsl train runs/lenet",
)

#: The exit code after a signal is this plus the signal's number, as in shells.
STOPPED = 128


def train(
    spec: Annotated[
        str | None,
        typer.Argument(metavar="[SPEC]", help="An .arch file, a name from `archdsl zoo`, or a run folder."),
    ] = None,
    model: Model = None,
    dataset: Dataset = None,
    root: Root = None,
    epochs: Annotated[int | None, typer.Option(min=1, metavar="N", help="Number of epochs.")] = None,
    batch: Batch = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Random seed for weights, data order and augmentation.")
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="The run folder to write.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="DIR", help="Resume the run in this folder; SPEC is optional then.")
    ] = None,
    settings: Settings = None,
    parameters: Parameters = None,
    input: Input = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    required: Require = None,
) -> None:
    """Train a network with its recipe.

    The recipe is that in the spec, or the default one. A run folder instead of a spec repeats that run. A required
    accuracy is checked after the run, all else before it.
    """
    bounds = read_requirements(required)
    if out is not None and resume is not None:
        raise typer.BadParameter("--out and --resume exclude each other: a resumed run stays in its folder")
    spec, run = _spec_and_run(spec, resume)
    given = {"dataset": dataset, "root": root, "epochs": epochs, "batch": batch, "seed": seed}
    asked = training(spec, model, settings, parameters, input, run, given)
    if resume is not None and Path(resume).is_dir():
        _require_same_network(asked.network, Path(resume))
    require(asked.network, bounds)
    recipe = asked.recipe(run)
    from archdsl.report import reporter
    from archdsl.train import run_training

    at_end = reporter(asked.network)
    result = run_training(asked.network, recipe, out=out, resume=resume, quiet=quiet, at_end=at_end)
    if result.interrupted:
        raise typer.Exit(STOPPED + result.signal)
    found = result.test or result.evaluation
    if found is not None:
        require_accuracy(asked.network, found.accuracy, bounds)


def _spec_and_run(spec: str | None, resume: str | None) -> tuple[str, str | None]:
    """The path of the spec, and the run folder that it is from or that is resumed."""
    if spec is None and resume is None:
        raise typer.BadParameter("expected a spec, or --resume with a run folder", param_hint="SPEC")
    if spec is None or (Path(spec) / "run.json").is_file():
        own = Path(spec or str(resume)) / "spec.arch"
        if not own.is_file():
            from archdsl.diagnostics import Diagnostic, SpecError
            from archdsl.diagnostics.codes.training import NothingToResume

            folder = str(own.parent)
            raise SpecError([Diagnostic(NothingToResume(folder, own.name), path=folder)])
        return str(own), resume or spec
    return spec, resume


def _inputs(network: Network) -> str:
    """The sizes of the inputs as `--input` takes them."""
    named = [f"{name}={shape.sizes}" for name, shape in network.inputs.items()]
    return " ".join(named) if network.named_inputs else str(network.input_shape)


def _require_same_network(network: Network, run: Path) -> None:
    """Reject (E634) another network than the run was started with."""
    from archdsl.graph import same_graph
    from archdsl.report.entries import network_of_run
    from archdsl.runs.folder import RunFolder

    started = network_of_run(RunFolder(run))
    pairs: dict[str, tuple[object, object]] = {"input": (_inputs(network), _inputs(started))}
    pairs |= {name: (value, started.settings.get(name)) for name, value in network.settings.items()}
    changed = [(name, now, before) for name, (now, before) in pairs.items() if now != before]
    if not changed and not same_graph(network.root, started.root):
        changed.append(("spec", network.path, "another text"))
    if changed:
        from archdsl.diagnostics import Diagnostic, Help, SpecError
        from archdsl.diagnostics.codes.training import OtherRun

        helps = (Help(f"leave it out: the run uses its own {run / 'spec.arch'}, with its model and settings"),)
        problems = [OtherRun(str(run), name, str(now), str(before)) for name, now, before in changed]
        raise SpecError([Diagnostic(problem, path=str(run), helps=helps) for problem in problems])
