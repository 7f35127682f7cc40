"""The receptive field of a unit, measured by its gradient and equal to the one that the table shows."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

import archdsl
from archdsl.diagnostics import SpecError
from archdsl.figures.draw_attribution import field_words
from archdsl.figures.layers import leaves
from archdsl.figures.receptive import receptive_field


def random_spec(seed: int) -> str:
    """A network of convolutions, pools, branches and shortcuts, on an image large enough for its fields."""
    draw = random.Random(seed)
    parts = []
    for i in range(draw.randint(2, 5)):
        kernel, dilation = draw.choice([1, 2, 3, 5]), draw.choice([1, 1, 2])
        padding = draw.randint(0, 2)
        stride, width = draw.choice([1, 1, 2]), draw.randint(1, 3)
        body = f"conv({width}, {kernel}, stride={stride}, padding={padding}, dilation={dilation})"
        parts += [f"l{i}: {body}", draw.choice(["relu", "batchnorm", "hardswish", "sigmoid", "gelu"])]
        parts += draw.choice(
            [
                [],
                ["maxpool(3, stride=2, padding=1)"],
                ["avgpool(2)"],
                ["maxpool(2, ceil_mode=true)"],
                ["residual { conv(channels, 3, padding=1); relu }"],
                ["inception { conv(2, 1); { conv(2, 3, padding=1); conv(2, 3, padding=1) } }"],
            ]
        )
    return f"model m {{ input(2x151x140); {'; '.join(parts)}; last: conv(2, 1) }}"


@pytest.mark.parametrize("seed", range(12))
def test_measured_fields_of_random_networks_are_the_computed_ones(seed: int) -> None:
    network = archdsl.load(random_spec(seed))
    module = network.build(seed=0)
    x = torch.randn(1, *network.input_shape)
    computed = {layer.name: layer.receptive_field for layer in network.layers}
    for name in [name for name in leaves(module) if name.startswith("l")]:
        found = receptive_field(module, [x], name)
        assert found.computed == computed[name]
        if all(
            start > 0 and stop < size for start, stop, size in zip(found.start, found.stop, x.shape[2:], strict=True)
        ):
            assert found.size == computed[name]
        else:
            assert all(one <= other for one, other in zip(found.size, computed[name], strict=True))


def test_neighbours_are_a_jump_apart() -> None:
    network = archdsl.load("model m { input(1x64x64); conv(2, 5, stride=2); maxpool(2); c: conv(2, 3) }")
    module, x = network.build(seed=0), torch.randn(1, 1, 64, 64)
    one, other = (receptive_field(module, [x], "c", (6, column)) for column in (6, 7))
    jump = network.fields["c"].jump
    assert (other.start[0] - one.start[0], other.start[1] - one.start[1]) == (0, jump[1]) == (0, 4)
    assert one.size == other.size == network.fields["c"].sizes == (15, 15)


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [("lenet", "features.3", (14, 14)), ("resnet20", "layer1", None), ("squeezenet1_1", "features.6", None)],
)
def test_fields_in_networks_of_the_zoo(name: str, layer: str, size: tuple[int, int] | None) -> None:
    network = archdsl.load(name)
    found = receptive_field(network.build(seed=0), [torch.randn(1, *network.input_shape)], layer)
    assert found.size == found.computed == (size or network.fields[layer].sizes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["alexnet", "vgg11", "resnet18", "googlenet", "densenet121", "mobilenet_v2", "unet", "m5"]
)
def test_fields_of_every_tenth_layer(name: str) -> None:
    network = archdsl.load(name, settings={"pictures": (1, 188, 188)} if name == "unet" else {})
    module, shape = network.build(seed=0), network.input_shape
    checked = 0
    for layer in leaves(module)[:: max(1, len(leaves(module)) // 10)]:
        if layer.startswith("aux"):
            with pytest.raises(SpecError, match="does not run in eval mode"):
                receptive_field(module, [torch.randn(1, *shape)], layer)
            continue
        found = receptive_field(module, [torch.randn(1, *shape)], layer)
        if found.computed is None:  # all positions of a flattened map
            assert not found.extent
            continue
        inside = all(
            start > 0 and stop < size for start, stop, size in zip(found.start, found.stop, shape.spatial, strict=True)
        )
        assert all(one <= other for one, other in zip(found.size, found.computed, strict=True))
        if inside and name != "unet":  # transposed convolutions read fewer positions for some of their units
            assert found.size == found.computed
            checked += 1
    assert checked or name == "unet"


def test_a_squeeze_and_attention_see_the_whole_input() -> None:
    squeeze = "squeeze_excite: excite { adaptive_avgpool(1); conv(4, 1); sigmoid }"
    network = archdsl.load(
        f"model m {{ input(1x20x20); conv(4, 3, padding=1); {squeeze}; c: conv(2, 3) }}".replace("excite {", "scale {")
    )
    found = receptive_field(network.build(seed=0), [torch.randn(1, 1, 20, 20)], "c")
    assert found.size == (20, 20)
    assert "the whole input" in field_words(found)


def test_the_unit_of_a_vector_and_of_a_signal() -> None:
    network = archdsl.load("model m { input(1x9x9); c: conv(2, 3); flatten; l: linear(4) }")
    module, x = network.build(seed=0), torch.randn(1, 1, 9, 9)
    assert receptive_field(module, [x], "l").size == receptive_field(module, [x], "l").computed == (9, 9)
    assert receptive_field(module, [x], "1").computed is None
    signal = archdsl.load("model m { input(2x50); c: conv(3, 5, stride=2); relu; maxpool(2) }").build(seed=0)
    found = receptive_field(signal, [torch.randn(3, 2, 50)], "2", (3,))
    assert (found.start, found.stop) == ((12,), (19,))
    assert found.effective.shape == (50,)


def test_the_effective_field_is_the_gradient_with_the_real_weights() -> None:
    module = archdsl.load("model m { input(1x9x9); c: conv(1, 3, bias=false); relu }").build(seed=0)
    x = torch.randn(1, 1, 9, 9)
    found = receptive_field(module, [x], "c", (2, 3))
    expected = torch.zeros(9, 9)
    expected[2:5, 3:6] = module.get_parameter("c.weight").detach()[0, 0].abs()
    torch.testing.assert_close(found.effective, expected)
    assert (found.start, found.stop) == ((2, 3), (5, 6))


def test_the_module_keeps_its_weights_and_mode() -> None:
    module = archdsl.load("model m { input(1x9x9); conv(2, 3); batchnorm; relu; maxpool(2) }").build(seed=0).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    receptive_field(module, [torch.randn(2, 1, 9, 9)], "3")
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(each._forward_hooks for each in module.modules())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_units_that_are_not_there_are_errors() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(98, 3))
    x = torch.randn(1, 1, 9, 9)
    for layer, position in (("0", (7, 0)), ("0", (1,)), ("2", (0,))):
        with pytest.raises(SpecError, match="no unit at"):
            receptive_field(module, [x], layer, position)
    with pytest.raises(SpecError, match="the input has no positions"):
        receptive_field(nn.Sequential(nn.Linear(4, 2)), [torch.randn(1, 4)])


def test_an_image_as_a_vector_is_seen_whole() -> None:
    module = archdsl.load("model m { input(36); linear(4) }").build(seed=0)
    found = receptive_field(module, [torch.rand(1, 36)], shape=(1, 6, 6))
    assert field_words(found) == "the whole input, 6 x 6 positions"
