"""A drawing as SVG: plain elements whose attributes say all, so that browsers, editors and office programs agree.

The theme `auto` is the light one in attributes, and a style sheet with the colours for readers who prefer dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import assert_never

from archdsl.drawing.paths import path, with_heads
from archdsl.drawing.scene import Box, Circle, Curve, Group, Item, Line, Point, Polygon, Scene, Style, Text
from archdsl.drawing.themes import Theme, palette, plain

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def svg_text(scene: Scene, theme: Theme = "auto", *, background: bool = True) -> str:
    """The drawing as an SVG document, which may also stand in an HTML page.

    `background` fills the page of the drawing with the theme's surface.
    """
    return _Writer(theme).document(scene, background)


class _Writer:
    """Writes elements, and keeps which colours they use."""

    def __init__(self, theme: Theme) -> None:
        self.colours = palette(plain(theme))
        self.follows = theme == "auto"
        self.used: set[tuple[str, str]] = set()

    def document(self, scene: Scene, background: bool) -> str:
        width, height = number(scene.width), number(scene.height)
        items = [Box(0, 0, scene.width, scene.height, Style(fill="surface"))] if background else []
        body = "".join(self.items([*items, *scene.items]))
        described = f"<desc>{escape(scene.description)}</desc>" if scene.description else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(scene.title)}" font-family="{FONT}">'
            f"<title>{escape(scene.title)}</title>{described}{self.sheet()}{body}</svg>\n"
        )

    def sheet(self) -> str:
        """The style sheet for readers who prefer a dark page."""
        if not self.follows:
            return ""
        dark = palette("dark")
        rules = "".join(f".{_class(use, name)}{{{use}:{dark[name]}}}" for use, name in sorted(self.used))
        return f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"

    def items(self, items: Iterable[Item]) -> Iterator[str]:
        for item in items:
            if isinstance(item, Group):
                yield self.group(item)
            elif isinstance(item, Text):
                yield self.text(item)
            elif isinstance(item, Line | Curve):
                yield from (self.shape(part) for part in with_heads(item))
            else:
                yield self.shape(item)

    def group(self, group: Group) -> str:
        attributes = f' id="{escape(group.id)}"' if group.id else ""
        attributes += "".join(f' data-{key}="{escape(value)}"' for key, value in group.data.items())
        if group.x or group.y:
            attributes += f' transform="translate({number(group.x)} {number(group.y)})"'
        title = f"<title>{escape(group.title)}</title>" if group.title else ""
        return f"<g{attributes}>{title}{''.join(self.items(group.items))}</g>"

    def shape(self, shape: Box | Polygon | Line | Curve | Circle) -> str:
        look = self.style(shape.style)
        match shape:
            case Box():
                place = f'x="{number(shape.x)}" y="{number(shape.y)}"'
                size = f'width="{number(shape.width)}" height="{number(shape.height)}"'
                corners = f' rx="{number(shape.radius)}"' if shape.radius else ""
                return f"<rect {place} {size}{corners}{look}/>"
            case Circle():
                return f'<circle cx="{number(shape.x)}" cy="{number(shape.y)}" r="{number(shape.radius)}"{look}/>'
            case Polygon():
                return f'<polygon points="{_points(shape.points)}"{look}/>'
            case Line() | Curve():
                commands = " ".join(one.letter + _points(one.points) for one in path(shape))
                return f'<path d="{commands}"{look}/>'
            case _:
                assert_never(shape)

    def text(self, text: Text) -> str:
        anchor = f' text-anchor="{text.anchor}"' if text.anchor != "start" else ""
        bold = ' font-weight="bold"' if text.bold else ""
        place = f'x="{number(text.x)}" y="{number(text.y)}"'
        turn = f' transform="rotate({number(-text.angle)} {number(text.x)} {number(text.y)})"' if text.angle else ""
        colour = self.colour(fill=text.colour)
        return f'<text {place} font-size="{number(text.size)}"{anchor}{bold}{turn}{colour}>{escape(text.text)}</text>'

    def style(self, style: Style) -> str:
        look = self.colour(fill=style.fill, stroke=style.stroke)
        if style.stroke and style.width != 1:
            look += f' stroke-width="{number(style.width)}"'
        if style.stroke:
            look += ' stroke-linejoin="round"' + (' stroke-dasharray="4 3"' if style.dashed else "")
        return look + (f' fill-opacity="{number(style.opacity)}"' if style.fill and style.opacity != 1 else "")

    def colour(self, **uses: str | None) -> str:
        """The attributes for colours: of a stroke only if there is one."""
        given = {use: name for use, name in uses.items() if name or use == "fill"}
        values = "".join(f' {use}="{self.colours[name] if name else "none"}"' for use, name in given.items())
        if not self.follows:
            return values
        named = [(use, name) for use, name in given.items() if name]
        self.used.update(named)
        classes = " ".join(_class(use, name) for use, name in named)
        return f'{values} class="{classes}"' if classes else values


def number(value: float) -> str:
    """A length in hundredths of a pixel."""
    return f"{round(value, 2) + 0:g}" if abs(value) < 1000 else f"{round(value, 2):.8g}"


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)


def _class(use: str, colour: str) -> str:
    return f"arch-{use}-{colour}"
