"""What was added, removed, changed and renamed: edits by hand with their known answers, and counts that must agree."""

from __future__ import annotations

from itertools import permutations

import pytest

import archdsl
from archdsl.diff import Difference
from archdsl.graph import layer_nodes
from archdsl.view.diff import change_rows, to_dict
from tests.diff.test_random import check_layers

BODY = "conv(8, 3, padding=1); relu; conv(8, 3, padding=1); flatten; linear(10)"


def spec(body: str, rest: str = "") -> str:
    return f"{rest}\nmodel m {{\n  input(3x8x8)\n  {body}\n}}"


def rows(old: str, new: str, rest: str = "") -> list[str]:
    """The rows of the changes between two bodies, without their parameters."""
    found = Difference(archdsl.load(spec(old, rest)), archdsl.load(spec(new, rest)))
    return [" ".join(row[:3]).strip() for row in change_rows(found)]


BLOCKS = """
block unit(n) { conv(n, 3, padding=1); relu }
block same(n) { { conv(n, 3, padding=1) }; relu }
block other(n) { conv(n, 1); relu }
inline block spliced(n) { conv(n, 3, padding=1); relu }
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (BODY, BODY, []),
        # One layer between others: those after it have other positions.
        (
            BODY,
            BODY.replace("relu", "batchnorm; relu"),
            ["+ 1 batchnorm, 8x8x8 -> 8x8x8", "> 2 -> 3 renamed", "> 4 -> 5 renamed"],
        ),
        (BODY, BODY.replace("relu; ", ""), ["- 1 relu, 8x8x8 -> 8x8x8", "> 2 -> 1 renamed", "> 4 -> 3 renamed"]),
        (BODY, BODY.replace("relu", "gelu"), ["~ 1 relu -> gelu"]),
        (BODY, BODY.replace("linear(10)", "linear(9, bias=false)"),
         ["~ 4 linear: out_features 10 -> 9, bias true -> false"]),
        # Another way to write the same.
        (BODY, BODY.replace("8, 3, padding=1", "8, (3, 3), padding=1x1"), []),
        (BODY, "{ " + BODY.replace("; flatten", " }; flatten"), []),
        ("unit(8)", "same(8)", []),
        ("a: unit(8)", "a: { spliced(8) }", []),
        # Layers with a residual around them keep their names.
        (BODY, BODY.replace("relu; conv(8, 3, padding=1)", "residual { relu; conv(8, 3, padding=1) }"),
         ["+ (the model) residual around 1 to 2"]),
        ("a: conv(8, 3)", "b: conv(8, 3)", ["> a -> b renamed"]),
        ("a: conv(8, 3)", "b: conv(8, 3, stride=2)", ["~ a -> b conv: stride 1 -> 2"]),
        ("a: { conv(8, 3) }", "b: { conv(8, 3) }", ["> a -> b renamed"]),
        # The same arguments on another number of channels.
        ("conv(4, 3); a: conv(8, 3)", "conv(5, 3); b: conv(8, 3)",
         ["~ 0 conv: out_channels 4 -> 5", "> a -> b renamed, with weights of another shape"]),
        # The same layers after another one, rather than other arguments at the same positions.
        ("conv(4, 3); conv(8, 3)", "conv(2, 3); conv(4, 3); conv(8, 3)",
         ["+ 0 conv, 3x8x8 -> 2x6x6", "> 0 -> 1 renamed, with weights of another shape", "> 1 -> 2 renamed"]),
        ("a: unit(8)", "a: other(8)", ["~ a unit -> other", "~ a.0 conv: kernel_size 3 -> 1, padding 1 -> 0"]),
        ("for i in 1..2 { a{i}: unit(8) }", "for i in 1..6 { a{i}: unit(8) }", ["+ a{3..6} 4 more units, 8 layers"]),
        ("for i in 1..3 { a{i}: unit(8) }", "for i in 1..2 { a{i}: unit(8) }", ["- a3 1 fewer unit, 2 layers"]),
        # The first has other input channels, and so other weights; the last has not changed.
        ("for i in 1..5 { a{i}: unit(8) }", "for i in 1..5 { a{i}: unit(8 if i == 5 else 4) }",
         ["~ a{1..4}.0 conv: out_channels 8 -> 4"]),
        ("for i in 1..3 { a{i}: { relu } }", "for i in 1..3 { a{i}: { relu; conv(8, 1) } }", ["+ a{1..3}.1 conv"]),
        ("for i in 1..2 { a{i}: { for j in 1..3 { b{j}: { relu } } } }",
         "for i in 1..2 { a{i}: { for j in 1..3 { b{j}: { relu; conv(3, 1) } } } }",
         ["+ a{1..2}.b{1..3}.1 conv, 3x8x8 -> 3x8x8"]),
        ("sum { conv(8, 1); conv(8, 3, padding=1) }", "sum { conv(8, 1); conv(8, 3, padding=1); conv(8, 1, groups=1) }",
         ["+ 2 conv, 3x8x8 -> 8x8x8"]),
        ("residual { conv(3, 1) }", "residual { conv(3, 1) } shortcut { conv(3, 1) }",
         ["+ (the model) shortcut, 1 layer"]),
        ("{ } -> a; relu; conv(3, 1) -> b; concat(a)", "{ } -> a; relu; conv(3, 1) -> b; concat(b)",
         ["~ 2 concat: taps a -> b"]),
        ("conv(8, 3)", "conv(8, 3, trainable=false)", ["~ 0 conv: trainable false"]),
        ("chunk(3) -> a, b, c; use(b)", "chunk(3) -> a, b, d; use(b)",
         ["~ (the model) chunk: parts a, b, c -> a, b, d"]),
        ("split([1, 2]) -> a, b; use(b)", "split([2, 1]) -> a, b; use(b)",
         ["~ (the model) chunk: sizes (1, 2) -> (2, 1)"]),
        ("split([1, 2]) { conv(2, 1); conv(2, 1) }", "split([2, 1]) { conv(2, 1); conv(2, 1) }",
         ["~ (the model) split: sizes (1, 2) -> (2, 1)"]),
        ("scale(0.2) { conv(3, 1) }", "scale(0.3) { conv(3, 1) }", ["~ 1 mul: other 0.2 -> 0.3"]),
        ("conv(3, 1)", "conv(3, 1, parametrization=spectral_norm(eps=1e-3))",
         ["~ 0 conv: parametrization none -> spectral_norm(eps=0.001)"]),
        ("a: conv(3, 1, parametrization=weight_norm)", "b: conv(3, 1, parametrization=weight_norm)",
         ["> a -> b renamed"]),
        ("mul(0.5); add(1)", "mul(0.5); add(2)", ["~ 1 add: other 1.0 -> 2.0"]),
        ("dropout(0.1234567)", "dropout(0.7654321)", ["~ 0 dropout: p 0.1235 -> 0.7654"]),
        ("dropout(0.12345671)", "dropout(0.12345672)", ["~ 0 dropout: p 0.12345671 -> 0.12345672"]),
        ("conv(8, 3)", "conv(8, 3, init=zeros)", ["~ 0 conv: init of weight zeros"]),
    ],
)  # fmt: skip
def test_edits(old: str, new: str, expected: list[str]) -> None:
    assert rows(old, new, BLOCKS) == expected


FAMILIES = [
    ("resnet18", "resnet34", "resnet50", "wide_resnet50_2", "preresnet164"),
    ("vgg11", "vgg16_bn", "alexnet", "lenet"),
    ("mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "ghostnet_100"),
    ("googlenet", "inception_v3", "densenet121"),
]


@pytest.mark.parametrize("names", FAMILIES, ids="-".join)
def test_every_layer_is_accounted_for(names: tuple[str, ...]) -> None:
    """Each layer of both sides is in a pair or in a change, once; the names in JSON are those of the layers."""
    networks = {name: archdsl.load(name) for name in names}
    for old, new in permutations(networks, 2):
        found = Difference(networks[old], networks[new])
        check_layers(found)
        for network, side in ((found.old, "old"), (found.new, "new")):
            listed = {name for one in to_dict(found)["changes"] for name in one[side]}
            assert listed <= network.labels | {""} | {node.name for node in layer_nodes(network.root)}


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "googlenet", "vit_b_16", "unet"])
def test_a_network_does_not_differ_from_itself(name: str) -> None:
    found = Difference(archdsl.load(name), archdsl.load(name))
    assert found.is_empty
    assert found.fit.verdict == "loads"


def test_both_directions_are_each_other() -> None:
    there, back = (
        Difference(archdsl.load(old), archdsl.load(new))
        for old, new in (("resnet50", "resnet101"), ("resnet101", "resnet50"))
    )
    assert [(one.action, len(one.parts), one.params) for one in there.changes] == [("added", 17, 18_992_128)]
    assert [(one.action, len(one.parts), one.params) for one in back.changes] == [("removed", 17, -18_992_128)]
    assert there.fit.missing == back.fit.unexpected
    # 44,549,160 and 25,557,032 parameters: torchvision's counts.
    assert there.totals["params"] == (25_557_032, 44_549_160)


def test_a_long_sequence_takes_no_time() -> None:
    """2,000 layers without a scope, of which every tenth is another: the exact alignment would take minutes."""
    old = archdsl.load(spec("for i in 1..2000 { conv(3, 1) }"))
    new = archdsl.load(spec("for i in 1..2000 { if i % 10 == 0 { relu } else { conv(3, 1) } }"))
    found = Difference(old, new)
    assert len(found.pairs) >= 1800 - 2


def test_named_inputs_are_compared_by_name() -> None:
    old, new = (
        archdsl.load(f"model m {{ input({inputs}); flatten; linear(2) -> h; {body} }}")
        for inputs, body in (("image: 1x8x8", ""), ("image: 1x16x16, time: 2", "add(time)"))
    )
    found = Difference(old, new)
    assert found.inputs == {"image": ((1, 8, 8), (1, 16, 16)), "time": (None, (2,))}
    assert [row[:3] for row in change_rows(found)] == [["+", "2", "add, 2 -> 2"]]
    assert found.fit.verdict == "does not load"


def test_inputs_of_another_type() -> None:
    texts = ("label: 4", "use(image)"), ("label: int64(4)", "use(label); float")
    old, new = (archdsl.load(f"model m {{ input(image: 1x4, {label}); {body} }}") for label, body in texts)
    found = Difference(old, new)
    assert list(found.inputs) == ["label"]
    assert to_dict(found)["inputs"]["label"] == {
        "old": {"shape": [4], "dtype": "float32"},
        "new": {"shape": [4], "dtype": "int64"},
    }
    assert [row[:3] for row in change_rows(found)] == [
        ["~", "(the model)", "use: tap image -> label"],
        ["+", "0", "float, int64(4) -> 4"],
    ]


def test_other_shapes_without_a_change_of_layers() -> None:
    old, new = (archdsl.load("resnet18", input=(3, size, size)) for size in (224, 64))
    found = Difference(old, new)
    assert found.changes == []
    assert not found.is_empty
    assert found.fit.verdict == "loads"
    assert (found.shapes[0].name, found.shapes[0].old, found.shapes[0].new) == ("conv1", (64, 112, 112), (64, 32, 32))
