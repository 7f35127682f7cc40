"""Themes: the values of the colours that drawings call by their roles.

Each family of layers has five colours: NAME fills a shape with text on it, NAME-edge draws its outline, NAME-light and
NAME-dark fill the faces of a solid that are turned to the light and away from it, and NAME-band a part of its front.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal

#: `auto` follows the reader's preference where the format can (SVG), and is light otherwise.
Theme = Literal["auto", "light", "dark"]
Plain = Literal["light", "dark"]

#: surface  the page          panel  an area on it         ink, soft    text, secondary text
#: line     connections       faint  frames and rulers     accent       what is pointed at
ROLES: Mapping[Plain, Mapping[str, str]] = {
    "light": {
        "surface": "#ffffff",
        "panel": "#f4f6f8",
        "ink": "#17202b",
        "soft": "#4d5966",
        "line": "#566270",
        "faint": "#c3cbd4",
        "accent": "#c2410c",
        "accent-soft": "#fbd9c5",
    },
    "dark": {
        "surface": "#10151c",
        "panel": "#19212b",
        "ink": "#e8edf3",
        "soft": "#bcc7d3",
        "line": "#93a1b0",
        "faint": "#3a4755",
        "accent": "#fb923c",
        "accent-soft": "#5a3216",
    },
}
FAMILIES: Mapping[Plain, Mapping[str, str]] = {
    "light": {
        "input": "#cfeaea",
        "output": "#cfeaea",
        "conv": "#c9def8",
        "linear": "#dbd2f3",
        "pool": "#f8d0ca",
        "norm": "#d3ecd4",
        "activation": "#fcdcae",
        "attention": "#f5cfe6",
        "recurrent": "#e3d3c3",
        "resample": "#cdeadd",
        "join": "#f3e7a9",
        "scope": "#e3e8ee",
        "other": "#eceff2",
    },
    "dark": {
        "input": "#12474a",
        "output": "#12474a",
        "conv": "#1d4373",
        "linear": "#443077",
        "pool": "#732c25",
        "norm": "#245229",
        "activation": "#6b4410",
        "attention": "#6a2653",
        "recurrent": "#55412e",
        "resample": "#17513b",
        "join": "#584e10",
        "scope": "#2c3846",
        "other": "#29323d",
    },
}
#: How far each shade of a family goes towards white (above 0) or black.
SHADES: Mapping[Plain, Mapping[str, float]] = {
    "light": {"edge": -0.5, "light": 0.4, "dark": -0.14, "band": -0.26},
    "dark": {"edge": 0.5, "light": 0.16, "dark": -0.28, "band": 0.3},
}


@cache
def palette(theme: Plain) -> dict[str, str]:
    """All colours of a theme by name, as #rrggbb."""
    colours = dict(ROLES[theme]) | dict(FAMILIES[theme])
    for name, fill in FAMILIES[theme].items():
        colours |= {f"{name}-{shade}": mixed(fill, part) for shade, part in SHADES[theme].items()}
    return colours


def plain(theme: Theme) -> Plain:
    """The theme of a format that cannot follow its reader."""
    return "dark" if theme == "dark" else "light"


def mixed(colour: str, part: float) -> str:
    """A colour moved towards white, or with a negative part towards black."""
    end = 255 if part > 0 else 0
    return "#" + "".join(f"{round(value + abs(part) * (end - value)):02x}" for value in rgb(colour))


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of #rrggbb, from 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21, as in WCAG 2.2."""
    first, second = sorted((_luminance(one), _luminance(other)))
    return (second + 0.05) / (first + 0.05)


def _luminance(colour: str) -> float:
    parts = (value / 255 for value in rgb(colour))
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
