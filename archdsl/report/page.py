"""The report of a run: one HTML file without external resources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from archdsl.api import Network
from archdsl.arguments.values import spec_text
from archdsl.backends.torch import load_weights
from archdsl.diagnostics import SpecError
from archdsl.diagrams.flow import draw_network
from archdsl.files.write import write_text
from archdsl.report.classes import confusion_table, most_confused
from archdsl.report.entries import flat, network_of_run
from archdsl.report.facts import RunFacts, read_run
from archdsl.report.history import charts, epoch_columns, epoch_rows
from archdsl.report.pictures import sections
from archdsl.report.render import render
from archdsl.report.texts import (
    TITLES,
    all_entries,
    duration,
    ending,
    figure,
    length,
    number,
    own_entries,
    percent,
    period,
    weights_of,
)
from archdsl.runs.folder import EpochMetrics, RunFolder
from archdsl.train.evaluation import Evaluation
from archdsl.train.setup import Setup
from archdsl.view.rows import FIGURES, cells, footnotes, rows, total_lines

#: The codes of errors in data begin so.
DATA = ("E61", "E62")


def report_of_run(path: Path, output: Path | None = None, note: Callable[[str], None] = lambda _: None) -> Path:
    """Write the report of a run again, from its folder alone; returns the path of the report.

    Of a finished run whose data cannot be read, it has the results that the run wrote; `note` is told so.

    Raises SpecError: the folder is not a run, or its data are needed and cannot be read.
    """
    run = read_run(path)
    network = network_of_run(run.folder)
    try:
        text = _measured(network, run)
    except SpecError as error:
        written = evaluation_of(run)
        if written is None or not error.diagnostics[0].code.startswith(DATA):
            raise
        missing = f"The data cannot be read here ({error.diagnostics[0].message})"
        told = f"{missing}, so the results are those that the run wrote at its end, without pictures of samples."
        note(told)
        text = page(network, run, _module(network, run), None, written, [told])
    write_text(output or run.folder.report, text)
    return output or run.folder.report


def _measured(network: Network, run: RunFacts) -> str:
    """The page with results that are measured now; without them where nothing has been learned yet."""
    from archdsl.train import trained

    if not run.has_trained_weights:
        return page(network, run, None, None, None)
    module, setup = trained(network, None, run.folder.path)
    return page(network, run, module, setup, setup.evaluate(module, test=True))


def _module(network: Network, run: RunFacts) -> nn.Module:
    """The module with the run's weights, without its data."""
    module = network.build(seed=0)
    load_weights(module, run.folder.path)
    return module


def evaluation_of(run: RunFacts) -> Evaluation | None:
    """The results that a finished run wrote."""
    found = run.evaluation
    if found is None:
        return None
    names = tuple(one["name"] for one in found["classes"])
    confusion = tuple(tuple(row) for row in found["confusion"])
    return Evaluation(found["loss"], found["accuracy"], names, confusion, found.get("top5"), found["samples"])


def write_report(
    network: Network,
    folder: RunFolder,
    module: nn.Module,
    setup: Setup,
    history: Sequence[EpochMetrics],
    found: Evaluation,
) -> None:
    """Write `report.html` into a run folder; `found` is the evaluation of `module` on the test split."""
    write_text(folder.report, page(network, read_run(folder.path), module, setup, found))


def page(
    network: Network,
    run: RunFacts,
    module: nn.Module | None,
    setup: Setup | None,
    found: Evaluation | None,
    notes: Sequence[str] = (),
) -> str:
    """The page's text; without a module nothing has been learned yet, without a setup there are no data."""
    pictures = [] if module is None else sections(module, setup)
    context = _head(network, run, found, notes) | _results(run, found) | _curves(network, run) | _classes(found)
    context |= {"pictures": pictures} | _network(network) | _recipe(network, run)
    return render("run.html", context | {"contents": _contents(context)})


def _contents(context: dict[str, Any]) -> list[tuple[str, str]]:
    """The anchors and headings of the sections."""
    has = {"Curves": context["charts"], "Classes": context["evaluation"] and context["evaluation"].confusion}
    first = [("results", "Results"), *((name.lower(), name) for name, there in has.items() if there)]
    pictures = [(section.anchor, section.heading) for section in context["pictures"]]
    return [*first, *pictures, ("network", "Network"), ("recipe", "Recipe"), ("environment", "Environment")]


# The header


def _head(network: Network, run: RunFacts, found: Evaluation | None, notes: Sequence[str]) -> dict[str, Any]:
    return {
        "run": run,
        "title": f"{network.name} on {run.info.dataset}",
        "lead": lead(network, run, found),
        "ending": ending(run),
        "notes": [*notes, *_notes(run)],
        "facts": _facts(run),
        "sessions": run.sessions,
        "session_rows": _session_rows(run),
        "environment": flat(run.environment),
    }


def lead(network: Network, run: RunFacts, found: Evaluation | None) -> str:
    """What was trained on what for how long, and what came of it, in two sentences."""
    samples = f" on {run.info.splits['train']:,} samples" if run.info.splits else ""
    what = f"A network of {network.params:,} parameters"
    if not run.history:
        return f"{what}; training{samples} has not completed an epoch."
    trained = f"{what}, trained{samples} for {length(run)}."
    if found is None or found.accuracy is None:
        return (
            trained
            if found is None
            else f"{trained} Its loss on {found.samples:,} {run.tested} samples is {number(found.loss)}."
        )
    return f"{trained} It classifies {percent(found.accuracy)} of {found.samples:,} {run.tested} samples correctly."


def _notes(run: RunFacts) -> list[str]:
    """What a reader of the results must know."""
    notes = []
    missing = [one.title.lower() for one in charts(run) if one.has_gaps]
    if missing:
        notes.append(f"Some values are infinite or not a number, and missing in the curves: {', '.join(missing)}.")
    return notes


def _facts(run: RunFacts) -> list[tuple[str, str]]:
    """The facts below the title."""
    last = run.sessions[-1] if run.sessions else None
    facts = [("Time", period(run.started, run.ended)), ("Took", _took(run)), ("Data", _data(run))]
    if last is not None:
        commit = f"{last.commit[:12]}{' with uncommitted changes' if last.dirty else ''}" if last.commit else ""
        facts += [("Device", last.device), ("Commit", commit or "not in a git repository")]
    versions = run.environment.get("packages", {})
    facts.append(
        ("Versions", ", ".join(f"{name} {versions[name]}" for name in ("archdsl", "torch") if versions.get(name)))
    )
    return [(name, value) for name, value in facts if value]


def _took(run: RunFacts) -> str:
    """The time of the run, and of its optimizer steps."""
    pace = f" ({run.history[-1].images_per_second:,.0f} samples/s)" if run.history else ""
    steps = f"{duration(run.train_seconds)} of training steps{pace}"
    return steps if run.wall_seconds is None else f"{duration(run.wall_seconds)}, {steps}"


def _data(run: RunFacts) -> str:
    """The samples of each part."""
    splits = run.info.splits
    if not splits:
        return run.info.dataset
    if run.info.validation_is_test:
        return f"{splits['train']:,} training, {splits['test']:,} validation and test"
    names = {"train": "training", "validation": "validation", "test": "test"}
    known = {part: name for part, name in names.items() if part != "test" or run.info.has_test}
    return ", ".join(f"{splits[part]:,} {name}" for part, name in known.items())


def _session_rows(run: RunFacts) -> list[list[str]]:
    """Time, length, state, commit, version and device of each session."""
    rows = []
    for one in run.sessions:
        state = f"{one.state}: {one.reason}" if one.reason else one.state
        commit = f"{(one.commit or '')[:12]}{' (changed)' if one.dirty else ''}"
        rows.append([period(one.start, one.end), duration(one.seconds), state, commit, one.archdsl, one.device])
    return rows


# Results


def _results(run: RunFacts, found: Evaluation | None) -> dict[str, Any]:
    split = "validation and test" if run.info.validation_is_test else run.tested
    about = f"Measured on the {split} split with {weights_of(run)}."
    return {"evaluation": found, "results_about": about, "numbers": _numbers(run, found)}


def _numbers(run: RunFacts, found: Evaluation | None) -> list[tuple[str, str]]:
    """The most important numbers: value and name."""
    numbers = []
    if found is not None:
        f1 = found.f1 if "f1" in (run.recipe.metrics or ()) else None
        shares = (("accuracy", found.accuracy), ("top-5 accuracy", found.top5), ("F1, mean over the classes", f1))
        numbers += [(percent(value), f"{run.tested} {name}") for name, value in shares if value is not None]
        numbers.append((number(found.loss), f"{run.tested} loss"))
    if run.best is not None:
        value = figure(run.monitor, run.best.figure(run.monitor))
        numbers.append((value, f"best validation {TITLES[run.monitor]}, epoch {run.best.epoch:,}"))
    if run.history:
        numbers.append((f"{run.epochs:,}", f"epochs, {run.steps:,} steps"))
    return numbers


def _curves(network: Network, run: RunFacts) -> dict[str, Any]:
    columns = epoch_columns(run.history)
    drawn = charts(run)
    return {
        "charts": drawn,
        "curves_about": _about_curves(network, run),
        "epoch_columns": ["epoch", *(name for name, _ in columns)],
        "epoch_rows": epoch_rows(run) if run.history else [],
    }


def _about_curves(network: Network, run: RunFacts) -> str:
    """What the curves are of, as far as it is so in this run."""
    training = ["while the weights change"]
    training += ["with augmentation"] if run.recipe.augment else []
    training += ["with the losses of auxiliary heads"] if network.aux else []
    average = " with the moving average of the weights" if run.recipe.ema is not None else ""
    ring = f" The ring marks the best {TITLES[run.monitor]}." if run.epochs > 1 else ""
    return (
        f"Training figures are means over an epoch, {', '.join(training)}; validation figures are measured at its "
        f"end{average}.{ring} Point at a chart to read an epoch."
    )


def _classes(found: Evaluation | None) -> dict[str, Any]:
    if found is None or not found.confusion:
        return {}
    return {"matrix": confusion_table(found), "confusions": most_confused(found), "per_class": found.per_class}


# Network, recipe


def _network(network: Network) -> dict[str, Any]:
    found = rows(network)
    return {
        "network": network,
        "totals": total_lines(network),
        "layers": [(row, cells(row, FIGURES)) for row in found],
        "footnotes": footnotes(found),
        "drawing": draw_network(network),
    }


def _recipe(network: Network, run: RunFacts) -> dict[str, Any]:
    return {
        "own_entries": own_entries(run.recipe),
        "all_entries": all_entries(run.recipe),
        "settings": [(name, spec_text(value)) for name, value in network.settings.items()],
    }
