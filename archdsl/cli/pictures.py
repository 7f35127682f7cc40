"""The files that `archdsl show` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from archdsl.api import Network

FORMS = (".png", ".svg", ".pdf")


def write_network(network: Network, path: str, depth: int) -> None:
    """The drawing of a network as SVG."""
    from archdsl.view.picture import draw_network

    if Path(path).suffix.lower() != ".svg":
        message = f"{path!r}: the picture of a network ends in .svg"
        raise typer.BadParameter(message, param_hint="-o")
    write_text(path, draw_network(network, depth))


def write_text(path: str, text: str) -> None:
    """Write a text file. Raises SpecError (E708)."""
    from archdsl.files import write as files

    files.write_text(Path(path), text)


def require_form(path: str) -> None:
    """Reject a picture's file that is neither PNG, SVG nor PDF by its ending."""
    if Path(path).suffix.lower() not in FORMS:
        raise typer.BadParameter(f"{path!r}: a picture ends in {', '.join(FORMS)}", param_hint="-o")


def write_picture(picture: str, network: Network, weights: str | None, path: str, layers: Sequence[str]) -> None:
    """A picture of a trained network on its run's data, or the recipe's."""
    if weights is None:
        raise typer.BadParameter("a picture of what a network has learned needs its weights", param_hint="--weights")
    require_form(path)
    if picture == "embedding" and len(layers) > 1:
        raise typer.BadParameter("the embedding is of one layer", param_hint="--layer")
    from archdsl.report.figures import draw, save
    from archdsl.train import trained

    module, setup = trained(network, None, weights)
    save(draw(picture, module, setup, layers), Path(path))
