"""Grad-CAM and occlusion, compared with captum's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from captum.attr import LayerFeatureAblation, LayerGradCam, Occlusion
from torch import Tensor, nn

import archdsl
from archdsl import figures
from archdsl.backends.torch.build import build
from archdsl.diagnostics import SpecError
from archdsl.figures.attribution import class_score, enlarged, gradcam_map, gradcam_maps, occlusion_map
from archdsl.figures.draw_attribution import beside
from archdsl.figures.layers import convolutions, is_leaf, leaves, maps, run
from archdsl.figures.samples import samples_of

#: Twenty classifiers of the zoo, of all families that differ in their activations, joins and tokens.
NETWORKS = (
    *(
        "alexnet",
        "vgg11",
        "resnet18",
        "squeezenet1_1",
        "googlenet",
        "densenet121",
        "mobilenet_v2",
        "mobilenet_v3_small",
    ),
    *("efficientnet_b0", "shufflenet_v2_x0_5", "regnet_y_400mf", "mnasnet0_5", "convnext_tiny", "inception_v3"),
    *("vit_b_32", "swin_t", "lenet_relu", "resnet20", "cbam_resnet18", "ghostnet_100"),
)
SMALL = """
model m {
  input(1x12x12)
  a: conv(4, 3, padding=1); ra: relu
  residual { b: conv(4, 3, padding=1); rb: relu6 }
  p: maxpool(2)
  c: conv(6, 3); rc: hardswish
  adaptive_avgpool(2); flatten; linear(5)
}
"""
TOKENS = """
model m {
  input(3x8x8)
  patches: conv(6, 2, stride=2); flatten(2); transpose(1, 2)
  residual { norm: layernorm(6); attention: multihead_attention(2) }
  residual { linear(12); gelu; back: linear(6) }
  permuted: layernorm(6)
  mean(1); head: linear(5)
}
"""


def subject(name: str) -> tuple[nn.Module, nn.Module, Tensor]:
    """A network with random weights, its twin without activations in place, and an image for its first input."""
    network = archdsl.load(name)
    module = network.build(seed=0).eval()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():  # heads that begin at 0 have no gradient
            if weight.dim() > 1 and not weight.any():
                weight.normal_(std=0.02, generator=random)
    twin = build(network, seed=0, inplace=False).eval()
    twin.load_state_dict(module.state_dict())
    return module, twin, torch.randn(1, *network.input_shape, generator=random)


def captum_gradcam(twin: nn.Module, x: Tensor, name: str, target: int, module: nn.Module) -> Tensor:
    """Captum's, on the grid: it takes the first axis after the batch for the channels, so others are computed here."""
    layer = twin.get_submodule(name)
    output: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, __, out: output.append(out))
    score = twin(x)[0, target]
    handle.remove()
    grid = maps(module, name, output[0])
    assert grid is not None
    if grid.shape == output[0].shape:
        found: Tensor = LayerGradCam(twin, layer).attribute(x, target=target).detach()[0, 0]
        return found
    [slope] = torch.autograd.grad(score, output)
    slopes = maps(module, name, slope)
    assert slopes is not None
    return (slopes.mean((2, 3), keepdim=True) * grid).sum(1)[0].detach()


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Equal to 1e-5 of the largest value."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * max(1e-12, float(expected.abs().max())) + 1e-9


def some_layers(module: nn.Module) -> list[str]:
    names = convolutions(module)
    scopes = [name for name, each in module.named_modules() if name.count(".") == 0 and name and not is_leaf(each)]
    return list(dict.fromkeys([names[0], names[len(names) // 2], names[-1], *scopes[-2:]]))


def check(name: str) -> None:
    module, twin, x = subject(name)
    default = gradcam_map(module, [x], class_score(3))
    assert default.values.abs().max() > 0
    checked = 0
    for layer in [default.layer, *some_layers(module)]:
        if maps(module, layer, run(module, [x], [layer])[1][layer]) is None:
            with pytest.raises(SpecError, match="no positions"):
                gradcam_map(module, [x], class_score(3), layer)
            continue
        found = gradcam_map(module, [x], class_score(3), layer)
        assert_close(found.values, captum_gradcam(twin, x, layer, 3, module))
        checked += 1
    assert checked >= 2
    assert default.score == pytest.approx(twin(x)[0, 3].item(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("spec", [SMALL, TOKENS, "lenet_relu"])
def test_gradcam_is_captums(spec: str) -> None:
    check(spec)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_gradcam_is_captums_on_twenty_networks(name: str) -> None:
    check(name)


def test_layers_before_activations_in_place_keep_what_they_computed() -> None:
    module, twin, x = subject(SMALL)
    assert module.get_submodule("ra").inplace
    for layer in ("a", "ra", "b", "rb", "c", "rc"):
        assert_close(
            gradcam_map(module, [x], class_score(1), layer).values,
            LayerGradCam(twin, twin.get_submodule(layer)).attribute(x, target=1).detach()[0, 0],
        )


def test_frozen_networks_have_maps_too_and_nothing_is_left_behind() -> None:
    module, _, x = subject(SMALL)
    expected = gradcam_map(module, [x], class_score(2)).values
    module.train()
    module.requires_grad_(False)
    with torch.no_grad():
        found = gradcam_map(module, [x], class_score(2)).values
    assert torch.equal(found, expected)
    assert module.training
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not any(each._forward_hooks for each in module.modules())


def test_the_default_layer_is_the_last_with_positions() -> None:
    module, _, x = subject(SMALL)
    assert gradcam_map(module, [x], class_score(0)).layer == leaves(module)[-3]
    module, _, x = subject(TOKENS)
    assert gradcam_map(module, [x], class_score(0)).layer == "permuted"


@pytest.mark.parametrize(("window", "stride"), [((3, 3), (3, 3)), ((4, 3), (2, 1)), ((5, 5), (4, 4))])
def test_occlusion_is_captums(window: Sequence[int], stride: Sequence[int]) -> None:
    module, twin, x = subject(SMALL)
    found = occlusion_map(module, [x], class_score(1), window=window, stride=stride)
    with torch.no_grad():
        expected = Occlusion(twin).attribute(x, (1, *window), strides=(1, *stride), target=1)[0, 0]
    assert (found.values - expected).abs().max() <= 1e-5 * float(expected.abs().max())
    assert found.window == tuple(window)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_occlusion_is_captums_on_twenty_networks(name: str) -> None:
    module, twin, x = subject(name)
    channels, height, width = x.shape[1:]
    window, stride = (height // 3, width // 3), (height // 4, width // 4)
    found = occlusion_map(module, [x], class_score(3), window=window, stride=stride).values
    with torch.no_grad():
        expected = Occlusion(twin).attribute(x, (channels, *window), strides=(channels, *stride), target=3)[0, 0]
    assert (found - expected).abs().max() <= 1e-5 * float(twin(x).abs().max())


@pytest.mark.parametrize(("spec", "layer"), [(SMALL, "b"), (SMALL, "a"), (TOKENS, "norm"), (TOKENS, "patches")])
def test_occlusion_of_a_layer_is_captums_ablation_of_its_positions(spec: str, layer: str) -> None:
    module, twin, x = subject(spec)
    size = tuple(occlusion_map(module, [x], class_score(1), layer, window=(1, 1), stride=(1, 1)).values.shape)
    found = occlusion_map(module, [x], class_score(1), layer, window=(2, 2), stride=(2, 2)).values
    groups = torch.arange(size[0] // 2 * (size[1] // 2)).view(size[0] // 2, -1)
    groups = groups.repeat_interleave(2, 0).repeat_interleave(2, 1)
    # Channels of tokens come last.
    mask = groups.flatten()[:, None] if layer == "norm" else groups[None]
    ablation = LayerFeatureAblation(twin, twin.get_submodule(layer))
    with torch.no_grad():
        found_there = ablation.attribute(x, target=1, layer_mask=mask[None])
    expected = found_there[0, :, 0].view(size) if layer == "norm" else found_there[0, 0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_vectors_are_occluded_as_the_images_they_hold() -> None:
    image = archdsl.load("model m { input(1x8x8); flatten; l: linear(5) }").build(seed=0)
    vector = archdsl.load("model m { input(64); l: linear(5) }").build(seed=0)
    vector.load_state_dict(image.state_dict())
    x = torch.randn(1, 1, 8, 8)
    expected = occlusion_map(image, [x], class_score(2)).values
    found = occlusion_map(vector, [x.flatten(1)], class_score(2), shape=(1, 8, 8)).values
    torch.testing.assert_close(found, expected)
    with pytest.raises(SpecError, match="no positions"):
        occlusion_map(vector, [x.flatten(1)], class_score(2))


def test_maps_of_outputs_and_networks_without_classes() -> None:
    module = archdsl.load("model m { input(1x8x8); a: conv(3, 3, padding=1); relu; conv(2, 1) }").build(seed=0)
    x = torch.randn(1, 1, 8, 8)
    one = gradcam_map(module, [x], class_score(1), "a")
    [slope] = torch.autograd.grad(module(x)[0, 1].sum(), [module.get_parameter("a.bias")])
    with torch.no_grad():
        expected = (slope[:, None, None] / 64 * module.get_submodule("a")(x)[0]).sum(0)
    torch.testing.assert_close(one.values, expected, atol=1e-6, rtol=1e-4)
    assert figures.gradcam(module, x, classes=False).axes
    texts = [text.get_text() for text in figures.gradcam(module, x, ["a"], target=1, classes=False).texts]
    assert "output 1" in texts[0]


def test_maps_are_enlarged_to_the_image() -> None:
    assert enlarged(torch.rand(3, 4), (12, 16)).shape == (12, 16)
    assert enlarged(torch.rand(5), (20,)).shape == (20,)


PAIR = """
model m {
  input(one: 1x10x10, other: 1x10x10)
  tower: { c: conv(3, 3); relu; avgpool(2) } -> first
  use(other)
  reuse(tower)
  joined: concat(first); both: conv(4, 1); relu; flatten; linear(3)
}
"""


def test_layers_of_several_inputs_tell_which_they_read() -> None:
    module, twin, x = subject(PAIR)
    inputs = [x, torch.randn(1, 1, 10, 10, generator=torch.Generator().manual_seed(1))]
    first, second = gradcam_maps(module, inputs, class_score(1), "tower.c")
    assert (first.reads, second.reads) == ((True, False), (False, True))
    [both] = gradcam_maps(module, inputs, class_score(1), "both")
    assert both.reads == (True, True)
    outputs: list[Tensor] = []
    twin.get_submodule("tower.c").register_forward_hook(lambda _, __, output: outputs.append(output))
    slopes = torch.autograd.grad(twin(*inputs)[0, 1], outputs)
    for heat, output, slope in zip((first, second), outputs, slopes, strict=True):
        assert_close(heat.values, (slope.mean((2, 3), keepdim=True) * output).sum(1)[0].detach())
    samples = samples_of(module, inputs)
    assert samples.shown is not None
    assert samples.pictured == (0, 1)
    drawn = beside([first, second], samples)
    assert drawn.shape == samples.shown.shape[2:]
    torch.testing.assert_close(drawn[:, :10], enlarged(first.values, (10, 10)))
    torch.testing.assert_close(drawn[:, 10:], enlarged(second.values, (10, 10)))


def test_each_of_several_inputs_is_occluded() -> None:
    module, twin, x = subject(PAIR)
    inputs = (x, torch.randn(1, 1, 10, 10, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        window = ((1, 3, 3), (1, 3, 3))
        expected = Occlusion(twin).attribute(inputs, window, strides=((1, 2, 2), (1, 2, 2)), target=1)
    for i, there in enumerate(expected):
        found = occlusion_map(module, inputs, class_score(1), window=(3, 3), stride=(2, 2), hidden=i)
        torch.testing.assert_close(found.values, there[0, 0], atol=1e-6, rtol=1e-5)
        assert found.reads == (i == 0, i == 1)
