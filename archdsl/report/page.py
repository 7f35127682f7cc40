"""The report of a run: one HTML file that needs no network."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import nn

from archdsl.api import Network
from archdsl.diagnostics import SpecError
from archdsl.files.write import write_text
from archdsl.report.entries import flat, network_of_run
from archdsl.report.figures import DPI, confusion_matrix, draw
from archdsl.runs.folder import EpochMetrics, RunFolder
from archdsl.train.evaluation import Evaluation
from archdsl.train.setup import Setup
from archdsl.view.picture import draw_network
from archdsl.view.rows import FIGURES, cells, rows, total_lines

#: Sections of pictures, with the words above them.
SECTIONS = {
    "mistakes": "Worst mistakes",
    "outputs": "Outputs",
    "filters": "Filters",
    "features": "Feature maps",
    "activations": "Activations",
}
#: The picture shows scopes of this depth; deeper ones are one box each.
DEPTH = 2
#: More epochs than any run has.
ALL = 2**62


def write_report(
    folder: RunFolder,
    network: Network,
    module: nn.Module,
    setup: Setup,
    history: Sequence[EpochMetrics],
    found: Evaluation,
) -> None:
    """Write `report.html` into the folder of a run; `found` is how the `module` did on the test split."""
    text = page(
        title=f"{network.name} on {setup.data.name}",
        network=network,
        evaluation=found,
        history=history,
        pictures=_pictures(module, setup),
        recipe=json.loads(setup.recipe.to_json()),
        environment=_environment(folder),
    )
    write_text(folder.report, text)


def report_of_run(path: Path) -> Path:
    """Write the report of a run anew, from its folder alone; returns the file's path.

    Raises SpecError: the folder is no run, or its data cannot be found any more.
    """
    from archdsl.train import trained

    folder = RunFolder(path)
    network = network_of_run(folder)
    module, setup = trained(network, None, path)
    found = setup.evaluate(module, test=True)
    write_report(folder, network, module, setup, folder.read_metrics(ALL), found)
    return folder.report


def page(
    *,
    title: str,
    network: Network,
    evaluation: Evaluation,
    history: Sequence[EpochMetrics],
    pictures: Mapping[str, str],
    recipe: Mapping[str, Any],
    environment: Mapping[str, Any],
) -> str:
    """The text of a report; pictures come as data URIs by their headings."""
    loader = PackageLoader("archdsl.report", "templates")
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("report.html")
    confusion = data_uri(confusion_matrix(evaluation.confusion, evaluation.classes)) if evaluation.confusion else ""
    return template.render(
        title=title,
        percent=lambda share: "" if share is None else f"{share:.2%}",
        evaluation=evaluation,
        curves=_curves(history),
        last=history[-1] if history else None,
        best=max((line.val_accuracy for line in history if line.val_accuracy is not None), default=None),
        confusion=confusion,
        pictures=pictures,
        rows=[(row, cells(row, FIGURES)) for row in rows(network)],
        totals=total_lines(network),
        drawing=draw_network(network, DEPTH),
        recipe=flat(recipe),
        environment=flat(environment),
        network=network,
        history=history,
    )


def _pictures(module: nn.Module, setup: Setup) -> dict[str, str]:
    """The pictures that this network has, by their headings."""
    found = {}
    for name, heading in SECTIONS.items():
        try:
            found[heading] = data_uri(draw(name, module, setup))
        except SpecError:
            continue  # no convolutions, no pictures: that section is left out
    return found


def data_uri(figure: Figure) -> str:
    """A figure as the address of an image that holds its own data."""
    content = BytesIO()
    FigureCanvasAgg(figure).print_figure(content, format="png", dpi=DPI)
    return f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"


def _environment(folder: RunFolder) -> dict[str, Any]:
    try:
        found = json.loads(folder.environment.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _curves(history: Sequence[EpochMetrics]) -> str:
    """Loss and accuracy over the epochs as one picture."""
    if not history:
        return ""
    from archdsl.runs.curves import curves

    return data_uri(curves(history, ""))
