"""The forms that networks take in a picture: repeats, shortcuts, a U, lanes; and what it says."""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

import pytest

import archdsl
from archdsl import SpecError, zoo
from archdsl.diagrams.flow import draw_network, flow_scene
from archdsl.drawing import write_drawing
from archdsl.drawing.scene import Scene, Text
from tests.diagrams.geometry import Picture, Placed

SVG = "{http://www.w3.org/2000/svg}"
PYRAMID = """
block c(out, stride = 1) { conv(out, 3, stride=stride, padding=1); batchnorm; relu }
model fpn {
  input(3x64x64)
  layer1: c(8, 2)
  layer2: c(16, 2) -> c2
  layer3: c(32, 2) -> c3
  layer4: c(64, 2)
  inner4: conv(16, 1) -> p4
  upsample(scale_factor=2) -> up3
  use(c3); inner3: conv(16, 1); add(up3) -> p3
  upsample(scale_factor=2) -> up2
  use(c2); inner2: conv(16, 1); add(up2)
  out2: conv(8, 3, padding=1) -> p2
  use(p4); out4: conv(8, 3, padding=1) -> o4
  use(p3); out3: conv(8, 3, padding=1) -> o3
  use(p2)
  output(o3, o4)
}
"""


def texts(scene: Scene) -> set[str]:
    return {shape.text for shape in scene.shapes if isinstance(shape, Text)}


def boxes(picture: Picture) -> dict[str, Placed]:
    return {box.data["box"]: box for box in picture.boxes}


def test_a_box_says_kernel_width_and_stride() -> None:
    text = """
    model m {
      input(3x32x32)
      a: conv(8, 5, stride=2, padding=2); batchnorm; relu
      b: conv(8, 3, padding=1, groups=8)
      c: conv(16, 3, groups=2, dilation=2, bias=false)
      d: conv(16, (1, 3), stride=(1, 2), padding=(0, 1))
      maxpool(3, stride=2, padding=1)
      e: conv_transpose(4, 2, stride=2)
      adaptive_avgpool(1); flatten
      f: linear(10)
    }
    """
    expected = {"5x5 conv, 8, /2", "batchnorm, relu", "a · 8x16x16", "3x3 conv, 8, depthwise", "1x3 conv, 16, /1x2"}
    expected |= {"3x3 conv, 16, 2 groups,", "dilation 2, padding 0", "3x3 maxpool, /2", "2x2 conv transpose, 4, x2"}
    assert expected | {"global avgpool", "linear, 10", "f · 10"} <= texts(flow_scene(archdsl.load(text)))


def test_repeats_are_drawn_once_with_their_number() -> None:
    picture = Picture(flow_scene(zoo.load("resnet34"), 2))
    scopes = {box.data["box"]: box.data.get("scopes", "").split() for box in picture.boxes}
    assert scopes["layer3.1"] == [f"layer3.{i}" for i in range(1, 6)]
    assert scopes["layer3.0"] == []
    drawn = texts(flow_scene(zoo.load("resnet34"), 2))
    assert {"1 to 5: basic", "×5", "2 × 3x3 conv, 256", "1x1 conv,", "256, /2"} <= drawn
    each = Picture(flow_scene(zoo.load("resnet34"), 2, repeats=False))
    assert len(each.boxes) == 16 + 7


def test_blocks_that_differ_in_their_drop_rate_alone_repeat() -> None:
    assert "0 to 8: unit  ×9" in texts(flow_scene(zoo.load("convnext_tiny"), 4))


def test_blocks_that_alternate_repeat_in_pairs() -> None:
    drawn = texts(flow_scene(zoo.load("swin_t"), 3))
    assert {"0 to 5: swin_block  ×3", "window attention, 12 heads", "shifted window attention, 12 heads"} <= drawn


def test_shared_weights_are_marked() -> None:
    assert {"tower", "tower, shared weights"} <= texts(flow_scene(zoo.load("siamese_resnet"), 1))


def test_scopes_are_folded_and_unfolded_by_name_and_block() -> None:
    network = zoo.load("resnet18")
    names = boxes(Picture(flow_scene(network, 2, fold=["layer1"], unfold=["layer2.1"])))
    assert {"layer1", "layer2.0", "layer2.1.conv1", "layer3.0"} <= set(names)
    assert "layer1" in boxes(Picture(flow_scene(network, 9, fold=["stage"])))
    assert "layer4.0.conv2" in boxes(Picture(flow_scene(network, 1, unfold=["stage", "basic"])))
    with pytest.raises(SpecError, match="E850"):
        flow_scene(network, fold=["layer9"])


def test_without_fusing_every_layer_has_a_box() -> None:
    network = zoo.load("googlenet")
    picture = Picture(flow_scene(network, 9, fuse=False, repeats=False, direction="down"))
    layers = [name for box in picture.boxes for name in box.data.get("layers", "").split()]
    assert sorted(layers) == sorted(layer.name for layer in network.layers)
    assert all(len(box.data.get("layers", "").split()) < 2 for box in picture.boxes)


def test_a_u_net_is_a_u() -> None:
    picture = boxes(Picture(flow_scene(zoo.load("unet_padded"), 1)))
    down, up = ([picture[f"{side}{i}"].extent for i in range(1, 5)] for side in ("down", "up"))
    for one, other in zip(down, up, strict=True):
        assert one.right < other.left
        assert abs(one.bottom - other.bottom) < 20
    assert [one.top for one in down] == sorted(one.top for one in down)
    assert [one.top for one in up] == sorted(one.top for one in up)
    straight = boxes(Picture(flow_scene(zoo.load("unet_padded"), 1, direction="down")))
    assert straight["up1"].extent.top > straight["bottom"].extent.bottom


def test_a_feature_pyramid_is_two_columns() -> None:
    picture = Picture(flow_scene(archdsl.load(PYRAMID)))
    assert picture.faults() == []
    found = {name: box.extent for name, box in boxes(picture).items()}
    for i in (2, 3):
        assert found[f"layer{i}"].right < found[f"inner{i}"].left
    assert found["inner3"].top > found["inner2"].bottom
    assert found["output o3"].left > found["out3"].right > found["inner3"].right


def test_parallel_streams_are_lanes_at_every_depth() -> None:
    found = boxes(Picture(flow_scene(zoo.load("hrnet_w18_small"), 1)))
    lanes = [found[f"stage4.0.branches.{i}"].extent for i in range(4)]
    assert len({lane.top for lane in lanes}) == 1
    assert all(a.right < b.left for a, b in itertools.pairwise(lanes))


def test_a_parameter_takes_nothing() -> None:
    picture = Picture(flow_scene(zoo.load("vit_b_16"), 1))
    assert "class_token" not in {line.data["to"] for line in picture.lines}
    assert ("class_token", "concat") in {(line.data["from"], line.data["to"]) for line in picture.lines}


def test_networks_as_deep_as_allowed_are_drawn_from_any_depth() -> None:
    body = "relu"
    for _ in range(45):
        body = f"s: residual {{ t: {{ {body} }} }}"
    network = archdsl.load(f"model m {{ input(4x6x6); {body} }}")

    def below(frames: int) -> str:
        return below(frames - 1) if frames else draw_network(network, 99, direction="down")

    assert below(800) == below(0)


def test_svg_has_names_for_pages_and_escapes_them() -> None:
    drawing = draw_network(archdsl.load('model m { input(2); for name in ["a-b"] { {name}: linear(2) } }'))
    root = ElementTree.fromstring(drawing)
    assert root.get("role") == "img"
    [box] = [group for group in root.iter(f"{SVG}g") if group.get("data-box") == "a-b"]
    assert (box.get("data-prefix"), box.get("data-kind"), box.get("data-line")) == ("a-b", "linear", "1")
    ends = {(group.get("data-from"), group.get("data-to")) for group in root.iter(f"{SVG}g") if group.get("data-from")}
    assert ends == {("input", "a-b"), ("a-b", "output")}


def test_the_formats_of_text_are_written(tmp_path: Path) -> None:
    scene = flow_scene(zoo.load("lenet"))
    begins = {".svg": b"<svg", ".tex": b"\\documentclass"}
    for extension, start in begins.items():
        write_drawing(scene, tmp_path / f"x{extension}")
        assert (tmp_path / f"x{extension}").read_bytes().startswith(start)
