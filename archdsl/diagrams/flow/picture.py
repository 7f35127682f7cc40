"""From a network to its drawing: how much of it is shown, in which arrangement, and what each shape stands for."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from math import hypot
from typing import Literal

from archdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from archdsl.diagnostics.codes.drawings import UnknownScope
from archdsl.diagrams.flow.frames import Arrangement
from archdsl.diagrams.flow.laid import TITLE_SIZE
from archdsl.diagrams.flow.looks import Painter
from archdsl.diagrams.flow.names import data, frame_title, identify, tooltip
from archdsl.diagrams.flow.program import Flow
from archdsl.diagrams.flow.route import Point
from archdsl.diagrams.flow.visible import Link, View, Visible, matches, visible
from archdsl.drawing.scene import Box, Group, Item, Line, Scene, Style, Text
from archdsl.drawing.svg import svg_text
from archdsl.drawing.themes import Theme
from archdsl.graph.network import Network

#: Where a picture runs: "down" in one column, "right" in one row; by default in columns that fit a slide.
Direction = Literal["down", "right"]
MARGIN = 16.0
#: The least width of a box of layers.
BOX_WIDTH = 120.0
#: Without a given depth, a picture shows as much as fits into this number of boxes, and less in a U.
MOST, MOST_IN_U = 60, 26
#: A picture up to this height is one column. Others fill a slide of this size as well as they can.
TALL, SLIDE = 800.0, (16.0, 9.0)
#: The most columns, and how finely their lengths are tried.
COLUMNS = [one / 2 for one in range(3, 25)]
#: What a column inside a frame counts, for each level, of the size of the picture.
INNER = 0.05
LINE = Style(stroke="line", width=1.3)


def draw_network(
    network: Network,
    depth: int | None = None,
    *,
    fold: Collection[str] = (),
    unfold: Collection[str] = (),
    fuse: bool = True,
    repeats: bool = True,
    direction: Direction | None = None,
    theme: Theme = "auto",
) -> str:
    """The flow of a network as an SVG document.

    Args:
        network: what `archdsl.load` returns.
        depth: scopes nested deeper are one box; by default as deep as the picture stays readable.
        fold: names of scopes or blocks that are one box at any depth; `*` and `?` stand for other characters.
        unfold: names of scopes or blocks whose inside is shown at any depth.
        fuse: whether norms, activations and dropouts are in the box of the layer before them.
        repeats: whether equal scopes one after the other are drawn once, with their number.
        direction: "down" for one column, "right" for one row; by default columns that fit a slide.
        theme: "light", "dark", or "auto", which follows the reader.

    Raises:
        SpecError: a name of `fold` or `unfold` is that of no scope and no block (E850).
    """
    scene = flow_scene(network, depth, fold=fold, unfold=unfold, fuse=fuse, repeats=repeats, direction=direction)
    return svg_text(scene, theme)


def flow_scene(
    network: Network,
    depth: int | None = None,
    *,
    fold: Collection[str] = (),
    unfold: Collection[str] = (),
    fuse: bool = True,
    repeats: bool = True,
    direction: Direction | None = None,
) -> Scene:
    """The flow of a network as a drawing; the arguments are those of `draw_network`."""
    flow = Flow(network.program)
    _require_scopes(network, flow, (*fold, *unfold))
    view = View(depth or 1, tuple(fold), tuple(unfold), fuse, repeats)
    shown = visible(network, flow, view) if depth else _readable(network, flow, view)
    identify(shown)
    painter = Painter(network, BOX_WIDTH, right=direction == "right")
    return _scene(network, _arranged(shown, painter, direction))


def _require_scopes(network: Network, flow: Flow, names: Collection[str]) -> None:
    """Reject names that are those of no scope and no block."""
    if not names:
        return
    scopes = [scope for scope in flow.root.inside if scope.node is not None]
    known = dict.fromkeys([*(scope.name for scope in scopes), *(scope.kind for scope in scopes)])
    for name in names:
        if not any(matches(scope, [name]) for scope in scopes):
            helps = did_you_mean(name, known, otherwise=f"there are {', '.join([*known][:8])}" if known else "")
            raise SpecError([Diagnostic(UnknownScope(network.name, name), path=network.path, helps=helps)])


def _readable(network: Network, flow: Flow, view: View) -> Visible:
    """As much of a network as fits into a picture."""
    best = visible(network, flow, view)
    most = MOST if Arrangement(best, Painter(network)).columns is None else MOST_IN_U
    for depth in range(2, max(scope.level for scope in flow.root.inside) + 2):
        shown = visible(network, flow, view._replace(depth=depth))
        if len(shown.boxes) > most:
            break
        best = shown
    return best


def _arranged(shown: Visible, painter: Painter, direction: Direction | None) -> Arrangement:
    """The arrangement in one column, or in as many as make it largest on a slide."""
    one = Arrangement(shown, painter, u=direction is None)
    _, height = one.size(shown.root)
    if direction is not None or one.columns is not None or height <= TALL:
        return one
    tried = COLUMNS if len(shown.boxes) <= 2 * MOST else COLUMNS[:: len(shown.boxes) // MOST]
    limits = sorted({max(height / columns, TALL / 2) for columns in tried})
    return min([one, *(Arrangement(shown, painter, limit) for limit in limits)], key=_fit)


def _fit(one: Arrangement) -> float:
    """How much an arrangement must shrink to fit a slide, and a little for each column in frames inside of frames."""
    width, height = one.size(one.shown.root)
    return max(width / SLIDE[0], height / SLIDE[1]) * (1 + INNER * one.cuts)


def _scene(network: Network, one: Arrangement) -> Scene:
    items: list[Item] = [*_frames(one), *_lines(one), *_boxes(one)]
    width, height = one.size(one.shown.root)
    shapes = " and ".join(map(str, network.inputs.values()))
    description = f"{len(one.shown.boxes)} boxes from the input {shapes} to the output {network.output_shape}."
    size = (width + 2 * MARGIN, height + 2 * MARGIN)
    return Scene(*size, [Group(items, MARGIN, MARGIN)], f"The network {network.name}", description)


def _frames(one: Arrangement) -> Iterator[Item]:
    for frame in one.frames[1:]:
        x, y = one.corner(frame)
        width, height = one.size(frame)
        title = Text(one.laid[frame].title, 14, frame_title(frame), TITLE_SIZE, colour="soft")
        edge = Box(0, 0, width, height, Style(fill="panel", stroke="faint"), 8)
        yield Group([edge, title], x, y, data=data(frame), title=frame.scope.name)


def _boxes(one: Arrangement) -> Iterator[Item]:
    for box in one.shown.boxes:
        x, y = one.corner(box)
        yield Group(one.looks[box].items, x, y, data=data(box), title=tooltip(box))


def _lines(one: Arrangement) -> Iterator[Item]:
    """Each line once; of lines from the same tensor, what they share is drawn with the first."""
    drawn: dict[object, list[Sequence[Point]]] = {}
    for link in one.shown.links:
        points = one.line(link)
        others = drawn.setdefault(link.net, [])
        arrow = not one.looks[link.target].has_arrow
        yield Group([Line(_branch(points, others), LINE, arrow=arrow, corner=6)], data=_ends(link))
        others.append(points)


def _ends(link: Link) -> dict[str, str]:
    return {"from": link.source.id, "to": link.target.id}


def _branch(points: Sequence[Point], others: Sequence[Sequence[Point]]) -> Sequence[Point]:
    """A line from where it leaves the others, which come from the same tensor."""
    return min((_after(points, other) for other in others), key=_length, default=points)


def _after(points: Sequence[Point], other: Sequence[Point]) -> Sequence[Point]:
    """What a line has after the part that it shares with another one."""
    pairs = zip(points, other, strict=False)
    shared = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(points), len(other)))
    if not shared or shared == len(points):
        return points
    corner, one, two = points[shared - 1], points[shared], other[min(shared, len(other) - 1)]
    along = min(hypot(one[0] - corner[0], one[1] - corner[1]), hypot(two[0] - corner[0], two[1] - corner[1])) - 8
    if along <= 0 or _direction(corner, one) != _direction(corner, two):
        return points[shared - 1 :]
    dx, dy = _direction(corner, one)
    return [(corner[0] + dx * along, corner[1] + dy * along), *points[shared:]]


def _direction(start: Point, end: Point) -> Point:
    """Which way a straight line goes: along x or y, by 1 or -1."""
    return tuple((b > a) - (b < a) for a, b in zip(start, end, strict=True))  # type: ignore[return-value]


def _length(points: Sequence[Point]) -> float:
    return sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(points))
