"""Pictures of networks: nothing overlaps, no text overflows, no line goes through a box."""

from __future__ import annotations

import pytest

from archdsl import zoo
from archdsl.diagrams.flow import flow_scene
from tests.diagrams.geometry import Picture

SAMPLE = ["lenet", "googlenet", "resnet50", "densenet_40_12", "unet", "hrnet_w18_small", "vit_b_16", "siamese_resnet"]
SAMPLE += ["ddpm", "dla34", "yolov3_tiny", "seresnet18", "nasnet_a_mobile"]


@pytest.mark.parametrize("name", SAMPLE)
def test_nothing_overlaps(name: str) -> None:
    network = zoo.load(name)
    assert Picture(flow_scene(network)).faults() == []
    assert Picture(flow_scene(network, 2, direction="right")).faults() == []


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_nothing_overlaps_in_the_zoo(name: str, depth: int) -> None:
    network = zoo.load(name)
    for direction in ("down", "right", None):
        assert Picture(flow_scene(network, depth, direction=direction)).faults() == []
