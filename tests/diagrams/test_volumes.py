"""Drawings to scale: every map has the shape that PyTorch gives it, sizes are to scale, and nothing overlaps."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from math import sqrt
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from syrupy.assertion import SnapshotAssertion
from torch import Tensor, nn

import archdsl
from archdsl import zoo
from archdsl.diagnostics import SpecError
from archdsl.diagrams.volumes import draw_volumes
from archdsl.diagrams.volumes.scales import THINNEST, scale
from archdsl.drawing import Curve, Line, Polygon, Scene, Text, write_drawing
from archdsl.drawing.svg import svg_text
from archdsl.drawing.tikz import tikz_text
from tests.diagrams.volumes_geometry import Volumes
from tests.drawing.test_drawing import compiled

SAMPLE = ["lenet", "alexnet", "resnet18", "densenet121", "googlenet", "unet", "dcgan_generator", "m5", "resnet110"]


def volumes(name: str, depth: int | None = None) -> Volumes:
    return Volumes(draw_volumes(zoo.load(name), depth))


def spec(body: str) -> Scene:
    """The drawing of a model with this body."""
    return draw_volumes(archdsl.load(f"model m {{\n{body}\n}}"))


# What is drawn


def shapes_in_pytorch(network: archdsl.Network) -> dict[str, tuple[int, ...]]:
    """The output of each module by its name, without the batch axis, as PyTorch computes it."""
    found: dict[str, tuple[int, ...]] = {"": tuple(network.input_shape)}
    with torch.device("meta"):
        module = network.build().eval()
        for name, part in module.named_modules():
            if name:
                part.register_forward_hook(_recorder(found, name))
        module(torch.zeros(2, *network.input_shape))
    return found


def _recorder(found: dict[str, tuple[int, ...]], name: str) -> Callable[[nn.Module, object, object], None]:
    def record(part: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            found[name] = tuple(output.shape[1:])

    return record


@pytest.mark.parametrize("name", ["lenet", "resnet18", "densenet121", "unet_padded", "autoencoder_conv"])
def test_every_map_has_the_shape_that_pytorch_gives_it(name: str) -> None:
    truth = shapes_in_pytorch(zoo.load(name))
    drawn = volumes(name)
    assert {one.name: one.shape for one in drawn.maps} == {one.name: truth[one.name] for one in drawn.maps}
    assert len({one.name for one in drawn.maps}) == len(drawn.maps) > 4


def test_labels_say_what_a_map_is_made_by() -> None:
    drawn = volumes("alexnet")
    texts = [text.text for text in drawn.texts]
    shapes = [text.text for text in drawn.texts if text.size == 10.5]
    assert shapes[: len(drawn.maps)] == ["x".join(map(str, one.shape)) for one in drawn.maps]
    assert texts[:6] == ["input", "3x224x224", "11x11", "conv, /4", "64x55x55", "3x3 max"]
    assert texts[texts.index("256x6x6") + 1 :][:6] == ["linear", "4096", "linear", "4096", "linear", "1000"]


def test_blocks_that_repeat_are_one_column_with_their_count() -> None:
    drawn = volumes("resnet50")
    texts = [text.text for text in drawn.texts]
    assert [text for text in texts if "×" in text] == [
        "bottleneck ×3",
        "bottleneck ×4",
        "bottleneck ×6",
        "bottleneck ×3",
    ]
    assert [one.name for one in drawn.maps][3:7] == ["layer1.0", "layer1.1", "layer1.2", "layer2.0"]
    assert len(_curves(drawn)) == 16 + 1  # a shortcut over each block, and one in the legend


def test_a_long_row_is_drawn_with_dots() -> None:
    drawn = volumes("resnet110")
    assert [one.number for one in drawn.maps][:5] == [0, 1, 2, 37, 38]
    assert "conv ×37" in [text.text for text in drawn.texts]


def test_shortcuts_are_arcs_over_what_they_pass() -> None:
    """ResNet-34 has a shortcut for each block, and three with a projection."""
    curves = _curves(volumes("resnet34", 3))
    assert [sum(curve.style.dashed is dashed for curve in curves if curve.arrow) for dashed in (False, True)] == [13, 3]
    for curve in curves:
        (x, y), *handles, (end_x, end_y) = curve.points
        assert x < end_x
        assert all(handle_y < min(y, end_y) for _, handle_y in handles)


def _curves(drawn: Volumes) -> list[Curve]:
    return [line for line in drawn.lines if isinstance(line, Curve)]


def test_a_u_net_is_a_u() -> None:
    drawn = volumes("unet")
    rows = {one.number: round((one.extent.top + one.extent.bottom) / 2, 1) for one in drawn.maps}
    ups = [(a, b) for a, b in pairwise(drawn.maps) if rows[a.number] > rows[b.number]]
    downs = [(a, b) for a, b in pairwise(drawn.maps) if rows[a.number] < rows[b.number]]
    assert (len(downs), len(ups)) == (4, 4)
    assert all(b.shape[1] == a.shape[1] // 2 for a, b in downs)
    assert all(b.shape[1] == a.shape[1] * 2 for a, b in ups)
    skips = [line for line in drawn.lines if isinstance(line, Line) and line.points[1][0] - line.points[0][0] > 60]
    assert len([line for line in skips if line.arrow and line.points[0][1] == line.points[1][1]]) == 4
    concat = ups[0][1]
    widths = [max(x for x, _ in face.points) - min(x for x, _ in face.points) for face in concat.faces[0:3:2]]
    assert widths[0] == pytest.approx(widths[1])  # 512 channels of the skip, 512 of the way up
    assert concat.faces[0].style.fill == "other"


def test_a_block_around_one_layer_is_that_layer() -> None:
    assert "7x7 conv, /2" in [text.text for text in volumes("googlenet", 1).texts]


# To scale


def test_lenet_is_drawn_in_proportion() -> None:
    maps = [one for one in volumes("lenet").maps if len(one.shape) == 3]
    unit = 190 / 28
    assert [one.height for one in maps] == pytest.approx([unit * one.shape[1] for one in maps])
    assert [one.back for one in maps] == pytest.approx([0.3 * unit * one.shape[2] for one in maps])
    root = maps[-1].thickness / sqrt(16)
    assert [one.thickness for one in maps] == pytest.approx([root * sqrt(one.shape[0]) for one in maps])


@pytest.mark.parametrize("name", ["alexnet", "unet", "m5", "densenet121"])
def test_a_larger_size_is_never_drawn_smaller(name: str) -> None:
    drawn = volumes(name)
    for flat in (False, True):
        maps = [one for one in drawn.maps if all(size == 1 for size in one.shape[1:]) is flat]
        heights = sorted((one.shape[0] if flat else one.shape[1], one.height) for one in maps)
        for (size, height), (next_size, next_height) in pairwise(heights):
            assert height == pytest.approx(next_height) if size == next_size else height < next_height
        channels = sorted((one.shape[0], one.thickness) for one in maps)
        assert all(a[1] <= b[1] + 0.01 for a, b in pairwise(channels))


@pytest.mark.parametrize(
    ("sizes", "rule"), [([28, 14, 5], "linear"), ([224, 7], "sqrt"), ([32000, 4], "log"), ([7], "linear")]
)
def test_the_rule_of_a_scale_depends_on_the_ratio(sizes: list[int], rule: str) -> None:
    found = scale(sizes, 100)
    assert found.rule == rule
    assert found(max(sizes)) == pytest.approx(100)
    assert THINNEST <= found(min(sizes)) <= 100


def test_the_drawing_says_its_scale() -> None:
    texts = [text.text for text in volumes("alexnet").texts]
    assert "height and width by square root" in texts[-1]
    assert "units of vectors in proportion" in texts[-1]


def test_the_kernel_has_its_share_of_the_map() -> None:
    drawn = volumes("lenet")
    kernels = [one for one in drawn.scene.shapes if isinstance(one, Polygon) and one.style.fill == "accent-soft"]
    first = kernels[0].points
    assert (first[3][1] - first[0][1]) / drawn.maps[0].height == pytest.approx(5 / 28)
    assert (first[1][0] - first[0][0]) / drawn.maps[0].back == pytest.approx(5 / 28)


# Layout


@pytest.mark.parametrize("name", SAMPLE)
def test_nothing_overlaps(name: str) -> None:
    scene = draw_volumes(zoo.load(name))
    assert Volumes(scene).faults() == []
    assert scene.width <= 1300
    assert scene.height <= 760
    assert min(one.size for one in scene.shapes if isinstance(one, Text)) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
def test_nothing_overlaps_in_the_zoo(name: str) -> None:
    network = zoo.load(name)
    for depth in (None, 1, 2, 3):
        with suppress(SpecError):
            assert Volumes(draw_volumes(network, depth)).faults() == []


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
def test_every_map_in_the_zoo_has_the_shape_that_pytorch_gives_it(name: str) -> None:
    network = zoo.load(name)
    try:
        drawn = Volumes(draw_volumes(network))
    except SpecError:
        return
    truth = shapes_in_pytorch(network)
    assert {one.name: one.shape for one in drawn.maps} == {one.name: truth[one.name] for one in drawn.maps}


# Networks that are no chain of maps


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("siamese_resnet", "it has 2 inputs"),
        ("yolov3_tiny", "it has 2 outputs"),
        ("vit_b_16", "what 1 gives (768x196) is no feature map"),
        ("swin_t", "is no feature map"),
        ("s3d", "has 3 spatial axes"),
        ("hrnet_w18_small", "gives 2 tensors"),
    ],
)
def test_other_networks_are_an_error_that_names_the_other_picture(name: str, reason: str) -> None:
    with pytest.raises(SpecError) as raised:
        volumes(name)
    [diagnostic] = raised.value.diagnostics
    assert diagnostic.code == "E856"
    assert reason in diagnostic.message
    assert "draw network" in diagnostic.helps[0].message


def test_paths_beside_each_other_are_an_error_if_taps_make_them() -> None:
    body = """input(3x8x8) -> x
    conv(4, 3x3, padding=1); relu; conv(4, 3x3, padding=1) -> a
    use(x)
    conv(4, 3x3, padding=1); relu; conv(4, 3x3, padding=1); relu; conv(4, 3x3, padding=1); concat(a)"""
    with pytest.raises(SpecError) as raised:
        spec(body)
    assert "several paths run beside each other" in raised.value.diagnostics[0].message


def test_what_begins_at_a_parameter_is_an_error() -> None:
    with pytest.raises(SpecError) as raised:
        spec("input(3x8x8)\n  flatten\n  p: parameter((8,))\n  linear(4)")
    assert "does not begin at the input" in raised.value.diagnostics[0].message


def test_maps_that_are_no_squares_have_both_sides() -> None:
    drawn = Volumes(draw_volumes(zoo.load("alexnet", input=(3, 96, 192))))
    first = drawn.maps[0]
    assert first.shape == (3, 96, 192)
    assert first.back == pytest.approx(0.3 * first.height * sqrt(2))


def test_too_many_maps_are_an_error() -> None:
    with pytest.raises(SpecError) as raised:
        volumes("resnet50", 4)
    assert [one.code for one in raised.value.diagnostics] == ["E857"]


# Files


SMALL = """input(1x12x12)
  conv(4, 3x3); relu
  maxpool(2)
  flatten
  linear(3)"""


def test_a_small_drawing_is_as_before(snapshot: SnapshotAssertion) -> None:
    assert svg_text(spec(SMALL), "light").replace("><", ">\n<") == snapshot


def test_files_are_whole(tmp_path: Path) -> None:
    scene = spec(SMALL)
    for extension in (".svg", ".tex"):
        write_drawing(scene, tmp_path / f"a{extension}")
        assert (tmp_path / f"a{extension}").stat().st_size > 1000
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    titles = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[:3] == ["m to scale", "input, 1x12x12", "0: 3x3 conv, 4x10x10, 40 parameters"]
    assert "1: maxpool" not in titles


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("name", ["alexnet", "unet", "resnet34"])
def test_tikz_compiles(name: str, tmp_path: Path) -> None:
    write_drawing(draw_volumes(zoo.load(name)), tmp_path / "a.tex")
    assert "Output written on a.pdf (1 page" in compiled(tmp_path / "a.tex")
    assert re.search(r"% (conv1: 7x7|down1.0: 3x3|features\.0: 11x11) conv", (tmp_path / "a.tex").read_text("utf-8"))


def test_tikz_names_the_maps() -> None:
    tex = tikz_text(spec(SMALL))
    assert "% 0: 3x3 conv, 4x10x10, 40 parameters" in tex
