"""Weights as tiles: which, in which order, on which scale."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archdsl
from archdsl.diagnostics import SpecError
from archdsl.figures.colours import coloured, sequential, signed
from archdsl.figures.kernels import default_layers, weight_maps
from archdsl.shapes import Shape


def built(spec: str) -> nn.Module:
    return archdsl.load(f"model m {{ {spec} }}").build(seed=0)


def test_kernels_over_one_channel_are_tiles_on_a_common_signed_scale() -> None:
    module = built("input(1x8x8); c: conv(20, 5)")
    found, weight = weight_maps(module, "c"), module.get_parameter("c.weight").detach()
    assert (found.form, found.label, found.note) == ("signed", "c: conv 5x5, 20", "first 16 of 20 filters")
    assert found.limit == pytest.approx(weight.abs().max().item())
    assert torch.equal(torch.stack([tile for row in found.tiles for tile in row]), weight[:16, 0])
    assert [name for row in found.names for name in row] == [str(i) for i in range(16)]
    assert weight_maps(module, "c", 20).note == "20 filters"


def test_colours_are_only_for_kernels_that_read_an_image() -> None:
    module = built("input(3x8x8); a: conv(3, 3); b: conv(4, 3)")
    first, second = weight_maps(module, "a"), weight_maps(module, "b")
    assert (first.form, second.form) == ("colour", "signed")
    weight = module.get_parameter("a.weight").detach()
    expected = 0.5 + weight[0].permute(1, 2, 0) / (2 * weight.abs().max())
    torch.testing.assert_close(first.tiles[0][0], expected)
    assert second.columns == ["channel 0", "channel 1", "channel 2"]
    assert torch.equal(second.tiles[1][2], module.get_parameter("b.weight").detach()[1, 2])


def test_a_normalized_image_is_one_still_and_a_convolution_alone_is_the_first() -> None:
    assert weight_maps(nn.Sequential(nn.Conv2d(3, 2, 3)), "0").form == "colour"
    assert weight_maps(nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(3, 2, 3)), "1").form == "signed"


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_kernels_of_transposed_convolutions_are_by_output(groups: int) -> None:
    layer = nn.ConvTranspose2d(4, 8, 3, groups=groups, bias=False)
    found = weight_maps(nn.Sequential(layer), "0", 8)
    # The response to a single input position is the kernel itself.
    for i in range(4 // groups):
        for output in range(8):
            group = output // (8 // groups)
            image = torch.zeros(1, 4, 1, 1)
            image[0, group * (4 // groups) + i] = 1
            kernel = layer(image)[0, output].detach()
            tile = found.tiles[output][i] if 4 // groups > 1 else found.tiles[output // 8][output % 8]
            torch.testing.assert_close(tile, kernel)


def test_depthwise_pointwise_and_other_axes() -> None:
    module = built("input(4x8x8); d: conv(4, 3, groups=4); p: conv(6, 1)")
    assert len(weight_maps(module, "d").tiles[0]) == 4
    assert weight_maps(module, "p").tiles[0][0].shape == (6, 4)
    assert default_layers(module) == ["d"]
    signal = built("input(1x100); a: conv(4, 20); b: conv(5, 3)")
    assert weight_maps(signal, "a").form == "line"
    assert weight_maps(signal, "b").tiles[0][0].shape == (4, 3)
    video = built("input(3x4x8x8); v: conv(2, (3, 5, 5))")
    found = weight_maps(video, "v")
    assert (found.form, found.columns) == ("colour", ["slice 0", "slice 1", "slice 2"])
    weight = video.get_parameter("v.weight").detach()
    torch.testing.assert_close(found.tiles[1][2], 0.5 + weight[1, :, 2].permute(1, 2, 0) / (2 * weight.abs().max()))


def test_linear_layers_on_images_and_maps_are_images() -> None:
    mlp = built("input(784); a: linear(20); relu; b: linear(10)")
    assert default_layers(mlp) == ["a"]
    assert torch.equal(weight_maps(mlp, "a").tiles[0][3], mlp.get_parameter("a.weight").detach()[3].view(28, 28))
    assert weight_maps(mlp, "a", image=Shape((1, 14, 56))).tiles[0][0].shape == (14, 56)
    assert weight_maps(mlp, "b").tiles[0][0].shape == (10, 20)
    head = built("input(1x8x8); conv(3, 3); dropout(0.5); flatten; h: linear(5)")
    weight = head.get_parameter("h.weight").detach().view(5, 3, 6, 6)
    assert torch.equal(weight_maps(head, "h").tiles[4][2], weight[4, 2])
    # Elements in another order are no map.
    turned = built("input(1x8x8); conv(3, 3); permute((0, 2, 3, 1)); flatten; h: linear(5)")
    assert weight_maps(turned, "h").tiles[0][0].shape == (5, 108)
    pooled = built("input(1x8x8); conv(3, 3); adaptive_avgpool(1); flatten; h: linear(5)")
    assert weight_maps(pooled, "h").tiles[0][0].shape == (5, 3)


def test_single_large_weights_do_not_hide_all_others() -> None:
    layer = nn.Conv2d(1, 64, 5)
    nn.init.uniform_(layer.weight, -1, 1)
    with torch.no_grad():
        layer.weight[0, 0, 0, 0] = 50
    found = weight_maps(nn.Sequential(layer), "0")
    assert found.clipped
    assert found.limit < 1.1


def test_parametrized_weights_are_those_that_are_used() -> None:
    module = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 2, 3)))
    assert default_layers(module) == ["0"]
    assert torch.equal(weight_maps(module, "0").tiles[0][1], module.get_submodule("0").weight[1, 0])  # type: ignore[index]


def test_layers_without_kernels_name_those_inside() -> None:
    module = built("input(1x8x8); s: { conv(2, 3); relu }")
    with pytest.raises(SpecError, match=r"inside are s\.0"):
        weight_maps(module, "s")
    with pytest.raises(SpecError, match="no convolution and no linear layer"):
        default_layers(nn.ReLU())


def test_the_colour_maps_are_matplotlibs() -> None:
    from matplotlib import colormaps

    values = torch.linspace(0, 1, 21)[None]
    viridis = torch.tensor(colormaps["viridis"](values[0].numpy()))[:, :3].float()
    assert (sequential(values, 0, 1)[0] - viridis).abs().max() < 0.07
    red_blue = torch.tensor(colormaps["RdBu"](values[0].numpy()))[:, :3].float()
    assert (signed(2 * values - 1, 1)[0] - red_blue).abs().max() < 0.04
    assert torch.equal(
        coloured(torch.tensor([[-9.0, 9.0]]), 0, 1, ("#000000", "#ffffff"))[0, :, 0], torch.tensor([0.0, 1.0])
    )
