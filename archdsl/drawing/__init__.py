"""Drawings as data: primitives with colours by meaning, and the writers that make SVG, TikZ, PNG and PDF of them."""

from archdsl.drawing.scene import Box, Circle, Curve, Group, Item, Line, Point, Polygon, Scene, Style, Text
from archdsl.drawing.widths import text_width
from archdsl.drawing.write import EXTENSIONS, write_drawing

__all__ = [
    "EXTENSIONS",
    "Box",
    "Circle",
    "Curve",
    "Group",
    "Item",
    "Line",
    "Point",
    "Polygon",
    "Scene",
    "Style",
    "Text",
    "text_width",
    "write_drawing",
]
