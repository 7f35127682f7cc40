"""`archdsl train`: training and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli.network import Asked
from archdsl.cli.options import (
    NETWORK,
    Batch,
    Dataset,
    Input,
    Model,
    Require,
    Root,
    Settings,
    StdinFilename,
    TextOrJson,
)
from archdsl.cli.recipe import Training
from archdsl.cli.requirements import read_requirements, require, require_accuracy

if TYPE_CHECKING:
    from archdsl.api import Network
    from archdsl.cli.network import Chosen

EXAMPLES = (
    "archdsl train lenet --epochs 5 --out runs/lenet",
    "archdsl train lenet --dataset fashion_mnist --set optimizer.lr=0.05",
    "archdsl train --resume runs/lenet",
    "archdsl train runs/lenet",
)

#: The exit code after a signal is this plus the signal's number, as in shells.
STOPPED = 128


def train(
    network: Annotated[str | None, typer.Argument(metavar="[NETWORK]", help=NETWORK)] = None,
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
        str | None, typer.Option(metavar="DIR", help="Resume the run in this folder; NETWORK is optional then.")
    ] = None,
    settings: Settings = None,
    input: Input = None,
    stdin_filename: StdinFilename = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the run folder alone.")] = False,
    format: TextOrJson = "text",
    required: Require = None,
) -> None:
    """Train a network with its recipe.

    The recipe is that in the spec, or the default one. A run folder as the network repeats that run. A required
    accuracy is checked after the run, all else before it.
    """
    bounds = read_requirements(required)
    if out is not None and resume is not None:
        message = "--out and --resume exclude each other: a resumed run stays in its folder"
        raise typer.BadParameter(message, param_hint="--resume")
    if (text := network or resume) is None:
        raise typer.BadParameter("archdsl train requires NETWORK, or --resume with a run folder", param_hint="NETWORK")
    found = _chosen(Asked(text, model, settings, input, stdin_filename), resume)
    given = {"dataset": dataset, "root": root, "epochs": epochs, "batch": batch, "seed": seed}
    if resume is not None:
        _require_same_network(found.network, Path(resume))
    require(found.network, bounds)
    recipe = Training(found, given).recipe()
    from archdsl.report import reporter
    from archdsl.runs.progress import make_progress
    from archdsl.train import run_training

    at_end = reporter(found.network)
    progress = make_progress("folder" if quiet else format)
    result = run_training(found.network, recipe, out=out, resume=resume, progress=progress, at_end=at_end)
    if result.interrupted:
        raise typer.Exit(STOPPED + result.signal)
    measured = result.test or result.evaluation
    if measured is not None:
        require_accuracy(found.network, measured.accuracy, bounds)


def _chosen(asked: Asked, resume: str | None) -> Chosen:
    """The network to train; one that is resumed has the run's model, settings and sizes unless others are given."""
    if resume is None:
        return asked.chosen()
    if not Path(resume).is_dir():
        from archdsl.runs.folder import RunFolder, missing

        raise missing(Path(resume), RunFolder(Path(resume)).info.name)
    return asked.weighted(resume)


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
