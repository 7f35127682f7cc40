"""How figures look, and how they are written; matplotlib is imported when one is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.drawing.themes import ROLES, Theme, palette, plain
from archdsl.drawing.widths import text_width
from archdsl.files.write import write_atomically, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 140
#: Lines and points of classes and runs: each has a contrast of 3 with the page, light and dark.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#c56fa0", "#8c6bb1", "#b8860b", "#1b9cb5", "#a0522d", "#7a8794", "#e0457b")
#: Points of classes, so that they can be told apart without colours.
MARKERS = "os^Dv<>pPX"


@contextmanager
def styled(theme: Theme) -> Iterator[Mapping[str, str]]:
    """The colours of a theme by their roles; figures made inside have them."""
    from matplotlib import rc_context

    colours = palette(plain(theme))
    with rc_context(_settings(colours)):
        yield colours


def _settings(colours: Mapping[str, str]) -> Any:
    """Matplotlib's settings for a theme."""
    return {
        "figure.facecolor": colours["surface"],
        "figure.dpi": DPI,
        "axes.facecolor": colours["surface"],
        "axes.edgecolor": colours["line"],
        "axes.labelcolor": colours["soft"],
        "axes.titlecolor": colours["ink"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "axes.titlesize": 9,
        "axes.labelsize": 8,
        "font.size": 8,
        "grid.color": colours["faint"],
        "grid.linewidth": 0.6,
        "legend.facecolor": colours["surface"],
        "legend.edgecolor": colours["faint"],
        "legend.fontsize": 8,
        "text.color": colours["ink"],
        "xtick.color": colours["line"],
        "ytick.color": colours["line"],
        "xtick.labelcolor": colours["soft"],
        "ytick.labelcolor": colours["soft"],
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
    }


def figure(width: float, height: float, title: str, subtitle: str, soft: str) -> Figure:
    """A figure of a size in inches, with its title and below it a line in the colour `soft`."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    head = 0.6 if subtitle else 0.4
    layout = ConstrainedLayoutEngine(rect=(0.0, 0.0, 1.0, 1 - head / height))
    made = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    room = width - 0.24
    size = fitting(title, room, 11, bold=True)
    made.text(0.12 / width, 1 - 0.22 / height, title, fontsize=size, weight="bold", va="center")
    size = fitting(subtitle, room, 8)
    made.text(0.12 / width, 1 - 0.44 / height, subtitle, fontsize=size, va="center", color=soft)
    return made


def fitting(text: str, width: float, size: float, *, bold: bool = False) -> float:
    """The size in points, at most `size`, at which a line of text is no wider than `width` inches."""
    return size * min(1.0, 72 * width / max(text_width(text, size, bold=bold), 1))


def percent(share: float, digits: int = 0) -> str:
    """A share as `54 %`."""
    return f"{100 * share:.{digits}f} %"


def save(figure: Figure, path: str | Path, theme: Theme = "light") -> None:
    """Write a figure as PNG, SVG or PDF by the extension; an existing file is replaced only when it is complete.

    With the theme `auto`, an SVG made in the light theme turns dark for readers who prefer that.
    """
    path = Path(path)
    form = path.suffix[1:].lower() or "png"
    if form == "svg":
        write_text(path, svg(figure, theme))
    else:
        write_atomically(path, lambda beside: _print(figure, beside, form))


def svg(figure: Figure, theme: Theme = "light") -> str:
    """A figure as the text of an SVG, the same one each time."""
    content = BytesIO()
    _print(figure, content, "svg")
    text = content.getvalue().decode()
    return _following(text) if theme == "auto" else text


def _print(figure: Figure, target: Any, form: str) -> None:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    metadata: dict[str, Any] | None = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "archdsl", "pdf.fonttype": 42}):
        FigureCanvasAgg(figure).print_figure(target, format=form, dpi=DPI, metadata=metadata)


def _following(text: str) -> str:
    """An SVG in the light theme whose page, text and lines follow the reader's preference."""
    rules = []
    for role, light in ROLES["light"].items():
        for name in ("fill", "stroke"):
            rules.append(f'[style*="{name}: {light}"] {{ {name}: {ROLES["dark"][role]} !important }}')
    style = "<style>@media (prefers-color-scheme: dark) { " + " ".join(rules) + " }</style>"
    start = text.index(">", text.index("<svg")) + 1
    return f"{text[:start]}\n{style}{text[start:]}"


def only_ticks(axes: Axes) -> None:
    """Remove the frame and ticks of axes that hold an image."""
    axes.set_axis_off()
