"""The report of a run: one HTML file without external resources."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import nn

from archdsl import figures
from archdsl.api import Network
from archdsl.diagnostics import SpecError
from archdsl.diagrams.flow import draw_network
from archdsl.figures.draw_results import IMAGES
from archdsl.figures.samples import first_samples, test_batches
from archdsl.figures.statistics import SAMPLES
from archdsl.figures.style import DPI
from archdsl.files.write import write_text
from archdsl.report.entries import flat, network_of_run
from archdsl.runs.curves import curves
from archdsl.runs.folder import EpochMetrics, RunFolder
from archdsl.train.evaluation import Evaluation
from archdsl.train.setup import Setup
from archdsl.view.rows import FIGURES, cells, rows, total_lines

#: The pictures in a report, with their headings.
SECTIONS = {
    "mistakes": "Worst mistakes",
    "outputs": "Outputs",
    "filters": "Filters",
    "features": "Feature maps",
    "activations": "Activations",
}


def report_of_run(path: Path) -> Path:
    """Write the report of a run again, from its folder alone; returns the path of the report.

    Raises SpecError: the folder is not a run, or its data set cannot be found.
    """
    from archdsl.train import trained

    folder = RunFolder(path)
    module, setup = trained(network := network_of_run(folder), None, path)
    write_report(network, folder, module, setup, folder.read_metrics(), setup.evaluate(module, test=True))
    return folder.report


def write_report(
    network: Network,
    folder: RunFolder,
    module: nn.Module,
    setup: Setup,
    history: Sequence[EpochMetrics],
    found: Evaluation,
) -> None:
    """Write `report.html` into a run folder; `found` is the evaluation of `module` on the test split."""
    loader = PackageLoader("archdsl.report", "templates")
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("report.html")
    text = template.render(
        title=f"{network.name} on {setup.data.name}",
        percent=lambda share: "" if share is None else f"{share:.2%}",
        evaluation=found,
        curves=_data_uri(curves(history, "")) if history else "",
        last=history[-1] if history else None,
        best=max((line.val_accuracy for line in history if line.val_accuracy is not None), default=None),
        confusion=_data_uri(figures.confusion(found.confusion, found.classes)) if found.confusion else "",
        pictures=_pictures(module, setup),
        rows=[(row, cells(row, FIGURES)) for row in rows(network)],
        totals=total_lines(network),
        drawing=draw_network(network),
        recipe=flat(json.loads(setup.recipe.to_json())),
        environment=flat(_environment(folder)),
        network=network,
        history=history,
    )
    write_text(folder.report, text)


def _pictures(module: nn.Module, setup: Setup) -> dict[str, str]:
    """The pictures that exist for this network, by their headings."""
    one = first_samples(setup, 1)
    drawn: dict[str, Callable[[], Figure]] = {
        "mistakes": lambda: figures.mistakes(module, test_batches(setup)),
        "outputs": lambda: figures.outputs(module, first_samples(setup, IMAGES)),
        "filters": lambda: figures.filters(module, image=setup.data.sample),
        "features": lambda: figures.features(module, one, classes=bool(setup.classes)),
        "activations": lambda: figures.activations(module, first_samples(setup, SAMPLES)),
    }
    found = {}
    for name, heading in SECTIONS.items():
        if name == "mistakes" and not setup.classes:
            continue
        try:
            found[heading] = _data_uri(drawn[name]())
        except SpecError:
            continue  # For example a network without convolutions.
    return found


def _data_uri(figure: Figure) -> str:
    """A figure as a data URI."""
    content = BytesIO()
    FigureCanvasAgg(figure).print_figure(content, format="png", dpi=DPI)
    return f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"


def _environment(folder: RunFolder) -> dict[str, Any]:
    try:
        found = json.loads(folder.environment.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
