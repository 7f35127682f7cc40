"""Facts about the specs from the course notes and the papers, and examples of the shape rule."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl import zoo
from archdsl.elaborate import check_source, read
from archdsl.graph import layer_nodes
from archdsl.layers.conv import Conv

SPECS = sorted(zoo.specs_folder().rglob("*.arch"))


def outputs(name: str) -> list[str]:
    """The output shape of every layer that changes the shape, in order."""
    return [str(layer.output) for layer in zoo.load(name).layers if layer.output != layer.input]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_is_right(path: Path) -> None:
    checked = check_source(read(path), path)
    assert not checked.errors
    assert checked.models
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#"), "a spec begins with where it is from"


def test_a_name_stands_for_a_model_of_its_spec() -> None:
    """The parameter counts in test_cards.py show that each name is the right model."""
    for name in zoo.names():
        entry = zoo.find(name)
        assert entry is not None
        assert entry.path.is_file()
        assert entry.model == name


def test_lenet_goes_through_the_shapes_of_the_notes() -> None:
    assert outputs("lenet") == ["6x28x28", "6x14x14", "16x10x10", "16x5x5", "400", "120", "84", "10"]


def test_the_alexnet_of_the_paper() -> None:
    network = zoo.load("alexnet_2012")
    assert network.input_shape == (3, 227, 227)
    assert network.layers[0].output == (96, 55, 55)
    assert [layer.kind for layer in network.layers[:4]] == ["conv", "relu", "local_response_norm", "maxpool"]
    groups = [layer.layer.groups for layer in layer_nodes(network.root) if isinstance(layer.layer, Conv)]
    assert groups == [1, 2, 1, 2, 2]


@pytest.mark.parametrize(("name", "classes"), [("nin", 1000), ("nin_cifar10", 10)])
def test_network_in_network_has_no_linear_layer(name: str, classes: int) -> None:
    network = zoo.load(name)
    assert "linear" not in {layer.kind for layer in network.layers}
    assert network.output_shape == (classes,)


def test_the_cifar_network_is_as_large_as_the_notes_say() -> None:
    network = zoo.load("cifar_cnn")
    assert network.params == 5_852_170
    assert round((network.param_bytes + network.buffer_bytes) / 1024**2, 2) == 22.33


def test_the_perceptrons_of_the_notes() -> None:
    assert zoo.load("mlp").params == 784 * 300 + 300 + 300 * 10 + 10
    assert [layer.kind for layer in zoo.load("mlp").layers] == ["linear", "leaky_relu", "linear"]
    assert zoo.load("mlp_cat_dog").params == 1_574_402
    assert [layer.kind for layer in zoo.load("mlp_cat_dog").layers] == ["linear", "tanh", "linear", "log_softmax"]


def test_three_strided_convolutions_leave_two_by_two() -> None:
    assert zoo.load("strided_conv").output_shape == (64, 2, 2)


@pytest.mark.parametrize("head", ["flatten", "maxpool", "conv"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("widths", "kernel"), [((16, 32, 64), 5), ((8, 8, 8), 3)])
def test_the_three_convolutions_vary_by_parameter(
    head: str, batch_norm: bool, widths: tuple[int, int, int], kernel: int
) -> None:
    n1, n2, n3 = widths
    network = zoo.load("three_conv", head=head, batch_norm=batch_norm, n1=n1, n2=n2, n3=n3, kernel=kernel)
    convolutions = kernel**2 * (3 * n1 + n1 * n2 + n2 * n3) + n1 + n2 + n3
    last = (n3 if head == "maxpool" else n3 * 4 * 4) * 10 + 10
    assert network.params == convolutions + last + (2 * (n1 + n2 + n3) if batch_norm else 0)
    assert network.output_shape == (10,)


def test_an_image_becomes_an_image() -> None:
    for shape in ((1, 28, 28), (3, 17, 40)):
        network = zoo.load("image_to_image", input=shape)
        assert network.output_shape == network.input_shape == shape


@pytest.mark.parametrize(("shortcuts", "params"), [("padding", 269_722), ("projection", 272_474)])
def test_resnet20_with_both_kinds_of_shortcut(shortcuts: str, params: int) -> None:
    assert zoo.load("resnet20", shortcuts=shortcuts).params == params


def test_identity_shortcuts_have_no_parameters_and_all_may_be_projections() -> None:
    names = {layer.name for layer in zoo.load("resnet20", shortcuts="all").layers}
    assert {f"layer{i}.{j}.downsample.0" for i in (1, 2, 3) for j in (0, 1, 2)} <= names
    assert not any("downsample" in layer.name for layer in zoo.load("resnet20").layers)


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ("input(3x227x227); conv(96, 11, stride=4)", (96, 55, 55)),
        ("input(3x28x28); conv(8, 5, padding=2)", (8, 28, 28)),
        ("input(3x32x32); for i in 1..7 { conv(3, 5) }", (3, 4, 4)),
        ("input(3x240x240); for i in 1..10 { conv(3, 5) }", (3, 200, 200)),
    ],
)
def test_the_shape_rule(body: str, output: tuple[int, ...]) -> None:
    assert archdsl.load(f"model m {{ {body} }}").output_shape == output


def test_a_megapixel_into_a_thousand_hidden_units_is_three_billion_weights() -> None:
    network = archdsl.load("model m { input(3x1000x1000); flatten; linear(1000, bias=false) }")
    assert network.params == 3_000_000_000


IMPORTING = [name for name in zoo.names() if (entry := zoo.find(name)) and 'from "' in entry.path.read_text("utf-8")]


@pytest.mark.parametrize("name", IMPORTING)
def test_the_text_of_a_network_needs_no_other_file(name: str) -> None:
    network = zoo.load(name)
    again = archdsl.load(network.spec, model=name)
    assert 'from "' not in network.spec
    assert again.state == network.state
    assert again.macs == network.macs
