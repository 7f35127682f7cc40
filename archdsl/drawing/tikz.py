"""A drawing as TikZ, in a LaTeX document of its size. Colours are defined by name, to be changed in one place.

Text is in the sans serif font of the document, so that a copied picture takes that of the paper around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from unicodedata import normalize

from archdsl.drawing.paths import Command, path, with_heads
from archdsl.drawing.scene import Box, Circle, Curve, Group, Item, Line, Point, Polygon, Scene, Style, Text, flat
from archdsl.drawing.svg import number
from archdsl.drawing.themes import Plain, palette

DOCUMENT = r"""\documentclass[border=0pt]{standalone}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage[T1]{fontenc}\usepackage{lmodern}}{\usepackage{fix-cm}}
\usepackage{tikz}
%(colours)s
\begin{document}
\begin{tikzpicture}[x=1pt, y=-1pt, line join=round,
    label/.style={inner sep=0pt, outer sep=0pt, font=\sffamily\fontsize{#1}{#1}\selectfont}]
%(body)s
\end{tikzpicture}
\end{document}
"""
#: The characters that TeX reads as commands, and those that its fonts have under names of their own.
ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "^": r"\textasciicircum{}",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "%": r"\%",
    '"': r"\textquotedblright{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "·": r"$\cdot$",
    "°": r"$^\circ$",
    "…": r"\dots{}",
    "×": r"$\times$",
    "÷": r"$\div$",
    "±": r"$\pm$",
    "−": "$-$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "√": r"$\surd$",
    "∞": r"$\infty$",
    "⊕": r"$\oplus$",
    "⊗": r"$\otimes$",
    "⊙": r"$\odot$",
    "∑": r"$\Sigma$",
    "–": "--",
    "—": "---",
    "²": r"\textsuperscript{2}",
    "³": r"\textsuperscript{3}",
    "µ": r"$\mu$",
    "¬": r"$\neg$",
    "\N{NO-BREAK SPACE}": "~",
}
GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho . sigma tau upsilon"
ESCAPES |= {chr(0x3B1 + i): rf"$\{name}$" for i, name in enumerate([*GREEK.split(), "phi", "chi", "psi", "omega"])}
ESCAPES |= {"ο": "o", "ς": r"$\varsigma$"}
ESCAPES |= {name: rf"$\{word}$" for name, word in zip("ΓΔΘΛΞΠΣΦΨΩ", (
    "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"), strict=True)}  # fmt: skip
ANCHORS = {"start": "base west", "middle": "base", "end": "base east"}


def tikz_text(scene: Scene, theme: Plain = "light") -> str:
    """The drawing as a LaTeX document of the class `standalone`."""
    page = Box(0, 0, scene.width, scene.height, Style(fill="surface"))
    body = list(_items([page, *scene.items], palette(theme)))
    used = sorted(set(re.findall(r"(?:fill|draw|text)=(\w+)", "\n".join(body))))
    values = {_name(name): value for name, value in palette(theme).items()}
    colours = [rf"\definecolor{{{name}}}{{HTML}}{{{values[name][1:].upper()}}}" for name in used]
    return DOCUMENT % {"colours": "\n".join(colours), "body": "\n".join(f"  {line}" for line in body)}


def escaped(text: str) -> str:
    """The text as TeX prints it. A character that its fonts do not have becomes its plain letters, or its number."""
    return "".join(_character(c) for c in text)


def _character(c: str) -> str:
    if c in ESCAPES:
        return ESCAPES[c]
    if c.isascii() or ("À" <= c <= "ÿ" and c not in "ÐÞðþ"):
        return c
    plain = normalize("NFKD", c).encode("ascii", "ignore").decode()
    return plain or f"U+{ord(c):04X}"


def _items(items: Iterable[Item], colours: Mapping[str, str]) -> Iterator[str]:
    """The commands for items; the titles of groups are comments that tell the parts of the drawing."""
    for item in items:
        if isinstance(item, Group):
            if item.title:
                yield f"% {' '.join(item.title.split())}"
            inner = item.items if _has_titles(item) else list(flat(item.items))
            yield from _items([_shifted(one, item.x, item.y) for one in inner], colours)
        elif isinstance(item, Text):
            yield _text(item)
        elif isinstance(item, Line | Curve):
            yield from (_shape(part) for part in with_heads(item))
        else:
            yield _shape(item)


def _has_titles(group: Group) -> bool:
    return any(isinstance(item, Group) for item in group.items)


def _shifted(item: Item, x: float, y: float) -> Item:
    if isinstance(item, Group):
        return Group(item.items, item.x + x, item.y + y, title=item.title)
    [shape] = flat([item], x, y)
    return shape


def _shape(shape: Box | Polygon | Line | Curve | Circle) -> str:
    look = f"[{_style(shape.style)}]"
    match shape:
        case Box():
            corner = f"[{_style(shape.style)}, rounded corners={number(shape.radius)}pt]" if shape.radius else look
            ends = (shape.x, shape.y), (shape.x + shape.width, shape.y + shape.height)
            return rf"\path{corner} {_point(ends[0])} rectangle {_point(ends[1])};"
        case Circle():
            return rf"\path{look} {_point((shape.x, shape.y))} circle ({number(shape.radius)}pt);"
        case _:
            return rf"\path{look} {' '.join(map(_command, path(shape)))};"


def _command(command: Command) -> str:
    match command.letter:
        case "M":
            return _point(command.points[0])
        case "L":
            return f"-- {_point(command.points[0])}"
        case "C":
            first, second, end = map(_point, command.points)
            return f".. controls {first} and {second} .. {end}"
        case _:
            return "-- cycle"


def _text(text: Text) -> str:
    turn = f", rotate={number(text.angle)}" if text.angle else ""
    words = escaped(text.text)
    bold = rf"\textbf{{{words}}}" if text.bold else words
    look = f"label={number(text.size)}, anchor={ANCHORS[text.anchor]}, text={_name(text.colour)}{turn}"
    return rf"\node[{look}] at {_point((text.x, text.y))} {{{bold}}};"


def _style(style: Style) -> str:
    parts = [f"fill={_name(style.fill)}"] if style.fill else []
    if style.fill and style.opacity != 1:
        parts.append(f"fill opacity={number(style.opacity)}")
    if style.stroke:
        parts += [f"draw={_name(style.stroke)}", f"line width={number(style.width)}pt"]
        parts += ["dash pattern=on 4pt off 3pt"] if style.dashed else []
    return ", ".join(parts)


def _point(point: Point) -> str:
    return f"({number(point[0])},{number(point[1])})"


def _name(colour: str) -> str:
    """The name of a colour in LaTeX, which reads `-` as another colour."""
    return "arch" + colour.replace("-", "")
