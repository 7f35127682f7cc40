"""The rules for input sizes are those that loading the spec with each size gives."""

from __future__ import annotations

import json

import pytest

import archdsl
from archdsl.cli import main
from archdsl.shapes import Shape
from archdsl.sizes import AxisSizes, Rule, input_sizes

UNET = """
block twice(n) { conv(n, 3, padding=1); relu; conv(n, 3, padding=1); relu }
block up(skip, n) { conv_transpose(n, 2, stride=2); concat(skip); twice(n) }
model unet(levels = 3) {
  input(1x64x32)
  for i in 1..levels { down{i}: { twice(8) } -> skip[i]; maxpool(2) }
  twice(8)
  for i in 1..levels { up{i}: up(skip[levels + 1 - i], 8) }
}
"""
SPECS = {
    "unet": UNET,
    "flatten": "model m { input(1x20x12); conv(2, 3, stride=3); flatten; linear(3) }",
    "channels of sizes": "model m { input(2x12); transpose(1, 2); groupnorm(1); conv(4, 1); flatten; linear(2) }",
    "groups of a size": "model m { input(4x12x12); flatten(2); transpose(1, 2); channel_shuffle(6) }",
    "ceil": "model m { input(1x20x20); maxpool(3, 2, ceil_mode=true); avgpool(3, 2, ceil_mode=true); conv(2, 2) }",
    "one residual": "model m { input(2x3x3); residual { conv(2, 3) } }",
    "steps of two sizes": "model m { input(2x24x24); inception { maxpool(3, stride=2); avgpool(4, stride=2) } }",
    "condition": "model m { input(1x30x30); if height >= 17 { maxpool(2) }; if width % 3 == 1 { conv(1, 3) } }",
    "sizes of the input": "model m { input(1x30x30); let s = (height, width); maxpool(4); upsample(size=s); crop(7) }",
    "sizes computed": "model m { input(1x30x20); crop((height // 2 - 3, max(width - 9, 2))); conv(1, 3) }",
    "factor": "model m { input(1x12x12) -> x; upsample(scale_factor=1.5); maxpool(2); upsample(size=5); conv(1, 5) }",
    "shuffles": "model m { input(1x12x12) -> x; pixel_unshuffle(3); conv(9, 1); pixel_shuffle(3); add(x) }",
    "attention": "model m { input(4x8x8); conv(8, 4, stride=4); flatten(2); transpose(1, 2); multihead_attention(2) }",
    "embedding of positions": "model m { input(4x8x9); conv(8, 4, stride=4); residual { p: parameter(shape) } }",
    "padding": 'model m { input(1x9x9); conv(1, 5, padding=2, padding_mode="reflect"); pad(4, mode="circular") }',
    "instance": "model m { input(1x9x9); maxpool(3); instancenorm }",
    "broadcast": "model m { input(2x3x3) -> x; maxpool(3); add(x) }",
    "windows": "model m { input(4x9x9); permute(0, 2, 3, 1); shifted_window_attention(2, 3); permute(0, 3, 1, 2) }",
    "volume": "model m { input(1x4x9x9); conv(1, (2, 3, 3), stride=(1, 2, 2)); avgpool(2) }",
    "narrow": "model m { input(1x20); narrow(2, 4, 9); conv(1, 3, dilation=3) }",
    "reuse": "model m { input(2x20x20); a: { conv(2, 3) }; maxpool(2); reuse(a); reuse(a) }",
    "split": "model m { input(2x12); transpose(1, 2); split(3) { { relu }; { tanh }; { } } }",
    "two inputs": "model m { input(a: 1x12x12, b: 1x12x12); maxpool(2); conv(2, 3); use(b); flatten; linear(4) }",
    "words": "model m { input(words: int64(12)); embedding(9, 4); transpose(1, 2); conv(4, 3, stride=2) }",
}


def taken(spec: str, one: AxisSizes, size: int) -> bool:
    """Whether a spec can be loaded with a size, and has the same weights then."""
    own = archdsl.load(spec)
    inputs: dict[str, Shape] = one.axis.resized(own.inputs, size)
    try:
        other = archdsl.load(spec, input=inputs if own.named_inputs else inputs["input"])
    except archdsl.SpecError:
        return False
    return other.state == own.state


@pytest.mark.parametrize("name", SPECS)
def test_a_rule_gives_the_sizes_with_which_the_spec_can_be_loaded(name: str) -> None:
    spec = SPECS[name]
    for one in input_sizes(archdsl.load(spec)):
        assert one.rule is not None
        most = max(40, one.rule.minimum + 2 * one.rule.period)
        wrong = [n for n in range(1, most) if one.takes(n) != taken(spec, one, n)]
        assert wrong == [], (one.axis.name, one.rule)


def rules(spec: str) -> dict[str, Rule | None]:
    return {one.axis.name: one.rule for one in input_sizes(archdsl.load(spec))}


def test_the_rule_of_a_u_net() -> None:
    assert rules(UNET) == {"height": Rule(8, 8, (0,)), "width": Rule(8, 8, (0,))}
    [height, _] = input_sizes(archdsl.load(UNET))
    assert height.after(64, 3) == [72, 80, 88]
    parts = {reason.fault.part: reason.size for reason in height.reasons}
    assert parts == {"5.1": 12, "6.1": 10, "7.1": 9} or set(parts) >= {"up1.1", "up2.1", "up3.1"}


def test_sizes_fixed_by_a_linear_layer_are_listed() -> None:
    lenet = "model m { input(1x28x28); conv(6, 5, padding=2); maxpool(2); conv(16, 5); maxpool(2); flatten; linear(9) }"
    found = rules(lenet)
    assert found["height = width"] == Rule(32, 1, (), (28, 29, 30, 31))
    assert str(found["height"]) == "only 28 to 31"


def test_without_a_proof_single_sizes_are_answered() -> None:
    [one] = input_sizes(archdsl.load("model m { input(1x20); upsample(scale_factor=0.7); conv(1, 3) }"))
    assert one.rule is None
    assert one.checked == 320
    assert one.taken == tuple(range(5, 321))


def test_loops_over_a_size_have_no_proof() -> None:
    spec = "model m { input(1x8); for i in 1..length // 2 { relu }; last: conv(1, 3) }"
    [one] = input_sizes(archdsl.load(spec))
    assert one.rule is None
    assert one.taken == tuple(range(3, 321))


def test_an_index_that_is_a_size_has_no_proof() -> None:
    spec = "model m { input(1x9); for i in 1..3 { relu -> t[i] }; use(t[length // 4]); c: conv(1, 3) }"
    [one] = input_sizes(archdsl.load(spec))
    assert one.rule is None
    assert one.taken == tuple(range(4, 16))


@pytest.mark.parametrize(
    "body",
    [
        "input(2x4x5); mean(dim=1); chunk(3) -> t0, t1; output(a=t0, b=t1)",
        "input(4x5); mean(dim=1); chunk(2) -> t0, t1; use(t0)",
        "input(3x5); transpose(1, 2); chunk(2) -> a, b; use(a)",
        "input(3x4); transpose(1, 2); split([1, 3]) -> a, b; use(b)",
    ],
)
def test_parts_are_counted_again_for_other_sizes(body: str) -> None:
    spec = f"model m {{ {body} }}"
    for one in input_sizes(archdsl.load(spec)):
        assert [n for n in range(1, 40) if one.takes(n)] == [n for n in range(1, 40) if taken(spec, one, n)]


def test_the_smallest_size_is_1() -> None:
    assert rules("model m { input(4x5); relu }") == {"length": Rule(1, 1, (0,))}


def test_a_vector_has_no_axis_to_change() -> None:
    assert input_sizes(archdsl.load("model m { input(12); linear(3) }")) == []


def test_rules_in_words() -> None:
    assert str(Rule(32, 16, (0,))) == "multiples of 16 from 32"
    assert str(Rule(33, 16, (1,), (1,))) == "multiples of 16 plus 1 from 33, and 1"
    assert str(Rule(7, 8, (1, 2, 3, 7))) == "from 7, if the remainder of division by 8 is 1 to 3, 7"
    assert str(Rule(63, 1, (0,))) == "every size from 63"


def test_json_has_the_rule(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sizes", "alexnet", "--format", "json"]) == 0
    height, width, both = json.loads(capsys.readouterr().out)["axes"]
    assert (height["axis"], width["axis"], both["axis"]) == ("height", "width", "height = width")
    found = {key: height[key] for key in ("size", "minimum", "period", "remainders", "smaller", "next")}
    assert found == {
        "size": 224, "minimum": 63, "period": 1, "remainders": [0], "smaller": [], "next": [225, 226, 227, 228, 229]
    }  # fmt: skip
    assert height["reasons"][0]["part"] == "features.12"
