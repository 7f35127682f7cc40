"""Pictures of networks: nothing overlaps, no text overflows, no line goes through a box."""

from __future__ import annotations

import pytest

from archdsl import zoo
from archdsl.diagrams.flow import Direction, flow_scene
from tests.diagrams.geometry import Picture

#: Networks and the direction in which they are drawn by default; the rest of the zoo is slow.
SAMPLE: list[tuple[str, Direction | None]] = [
    ("lenet", None),
    ("resnet50", None),
    ("googlenet", "right"),
    ("unet", None),
    ("hrnet_w18_small", "down"),
    ("dla34", "right"),
    ("yolov3_tiny", None),
]


@pytest.mark.parametrize(("name", "direction"), SAMPLE)
def test_nothing_overlaps(name: str, direction: Direction | None) -> None:
    assert Picture(flow_scene(zoo.load(name), direction=direction)).faults() == []


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_nothing_overlaps_in_the_zoo(name: str, depth: int) -> None:
    network = zoo.load(name)
    directions: list[Direction | None] = ["down", "right", None]
    for direction in directions:
        assert Picture(flow_scene(network, depth, direction=direction)).faults() == []
