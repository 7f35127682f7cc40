"""The drawing of a network: well-formed, complete, and laid out without overlaps."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

import archdsl
from archdsl import zoo
from archdsl.graph import layer_nodes
from archdsl.view.graph import graph_text
from archdsl.view.picture import draw_network

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


def boxes(element: ElementTree.Element, x: float = 0, y: float = 0) -> list[Box]:
    """All solid rectangles with their places on the page."""
    moved = re.match(r"translate\(([-\d.e]+) ([-\d.e]+)\)", element.get("transform", ""))
    if moved:
        x, y = x + float(moved[1]), y + float(moved[2])
    found = []
    if element.tag == f"{SVG}rect" and element.get("class") == "box":
        left, top = x + float(element.get("x", 0)), y + float(element.get("y", 0))
        found.append((left, top, left + float(element.get("width", 0)), top + float(element.get("height", 0))))
    for child in element:
        found += boxes(child, x, y)
    return found


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize("name", ["lenet", "alexnet", "googlenet", "resnet18", "densenet121"])
@pytest.mark.parametrize("depth", [1, 2, 9])
def test_boxes_lie_apart_and_on_the_page(name: str, depth: int) -> None:
    root = ElementTree.fromstring(draw_network(zoo.load(name), depth))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    found = sorted(boxes(root), key=lambda box: box[1])
    assert all(x0 >= 0 and x1 <= width and y0 >= 0 and y1 <= height for x0, y0, x1, y1 in found)
    for i, box in enumerate(found):
        for other in found[i + 1 :]:
            if other[1] >= box[3]:
                break
            assert not overlap(box, other)


@pytest.mark.parametrize("name", ["googlenet", "resnet18"])
def test_every_layer_is_there_when_nothing_is_summed_up(name: str) -> None:
    network = zoo.load(name)
    root = ElementTree.fromstring(draw_network(network, 99))
    shown = [text.text for text in root.iter(f"{SVG}text") if text.get("class") is None]
    kinds = [text.rpartition(": ")[2] for text in shown if text]
    for kind in {node.kind for node in layer_nodes(network.root)}:
        assert kinds.count(kind) == sum(node.kind == kind for node in layer_nodes(network.root))


def test_taps_and_signs_are_named() -> None:
    text = """
    model m {
      input(2x8x8)
      conv(2, 3, padding=1) -> early
      residual { conv(2, 1) }
      scale { adaptive_avgpool(1); sigmoid }
      inception { conv(1, 1); conv(1, 1) }
      concat(early)
      side: aux { flatten; linear(3) }
      flatten; linear(4)
    }
    """
    root = ElementTree.fromstring(draw_network(archdsl.load(text)))
    shown = {line.text for line in root.iter(f"{SVG}text")}
    assert {"+", "×", "concat", "concat ← early", "2x8x8 → early", "side: in training only", "output"} <= shown


def test_networks_as_deep_as_allowed_are_drawn_from_any_depth() -> None:
    body = "relu"
    for _ in range(45):
        body = f"s: residual {{ t: {{ {body} }} }}"
    network = archdsl.load(f"model m {{ input(4x6x6); {body} }}")

    def below(frames: int) -> tuple[str, str]:
        return below(frames - 1) if frames else (draw_network(network, 99), graph_text(network))

    assert below(800) == below(0)


def test_names_are_escaped() -> None:
    drawing = draw_network(archdsl.load('model m { input(2); for name in ["a-b"] { {name}: linear(2) } }'))
    assert "a-b: linear" in drawing
    ElementTree.fromstring(drawing)
