"""`let` binds a name of the block again, and a new name until the end of its body."""

from __future__ import annotations

import pytest

import archdsl
from archdsl import Network
from archdsl.diagnostics import SpecError


def model(body: str, before: str = "", params: str = "") -> Network:
    return archdsl.load(f"{before}\nmodel m{params} {{ input(3x32x32); {body} }}")


def channels(network: Network) -> list[int]:
    return [layer.output.channels for layer in network.layers if layer.kind == "conv"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("let c = 16; for i in 1..3 { let c = c + 2; conv(c, 3) }", [18, 20, 22]),
        ("let c = 16; for i in 1..3 { let c = c + 2 }; conv(c, 3)", [22]),
        ("let c = 4; for i in 1..2 { for j in 1..2 { let c = c + i; conv(c, 1) } }", [5, 6, 8, 10]),
        ("let c = 8; if c > 4 { let c = 2 * c } else { let c = 1 }; conv(c, 1)", [16]),
        ("let c = 8; { let c = 2 * c; conv(c, 1) }; conv(c, 1)", [16, 16]),
        ("let c = 8; part: { let c = 2 * c; conv(c, 1) }; conv(c, 1)", [16, 16]),
        ("let a, b = (4, 8); for i in 1..2 { let a, b = (b, a + b); conv(a, 1) }", [8, 12]),
        ("let c = 8; residual { let c = 3; conv(c, 1) } shortcut { conv(c, 1) }", [3, 3]),
        # In a combinator the text goes on from one branch to the next.
        ("let c = 2; inception { for i in 1..3 { let c = c + 2; conv(c, 1) } }; conv(c, 1)", [4, 6, 8, 8]),
        ("let c = 2; dense { for i in 1..2 { let c = c + 2; conv(c, 1) } }", [4, 6]),
        # A new name, and that of a loop, end with their body.
        ("let c = 4; for c in [8, 16] { conv(c, 1); let c = c + 1; conv(c, 1) }; conv(c, 1)", [8, 9, 16, 17, 4]),
        ("let c = 4; let d = [c + 1 for c in [8, 16]]; conv(c, 1); conv(d[1], 1)", [4, 17]),
        # A tap is a name too: the last one that was given counts.
        ("conv(4, 1) -> t; if true { let t = 7 }; conv(t, 1)", [4, 7]),
        ("let t = 7; conv(4, 1) -> t; conv(2, 1); concat(t); conv(channels, 1)", [4, 2, 6]),
    ],
)
def test_a_name_is_bound_again(body: str, expected: list[int]) -> None:
    assert channels(model(body)) == expected


def test_parameters_are_bound_again_for_the_rest_of_the_model_but_not_for_its_recipe() -> None:
    network = archdsl.load(
        "model m(n = 4) { input(3x8x8); for i in 1..2 { let n = n + 1 }; conv(n, 1) }\ntrain { epochs = n }"
    )
    assert channels(network) == [6]
    assert network.settings == {"n": 4}
    assert network.recipe["epochs"].value == 4


def test_a_new_name_ends_with_its_body() -> None:
    with pytest.raises(SpecError, match="`c` is not defined"):
        model("for i in 1..2 { let c = i; conv(c, 1) }; conv(c, 1)")


def test_a_name_of_the_file_is_hidden_and_not_bound_again() -> None:
    network = model("for i in 1..2 { let c = c + i; conv(c, 1) }; conv(c, 1); b", "let c = 4\nblock b { conv(c, 1) }")
    assert channels(network) == [5, 6, 4, 4]


def test_blocks_see_and_change_nothing_of_their_caller() -> None:
    block = "block b(c) { for i in 1..2 { let c = c + 1; conv(c, 1) } }"
    # The third call is a copy of the second.
    assert channels(model("let c = 8; for i in 1..3 { b(c) }; conv(c, 1)", block)) == [9, 10, 9, 10, 9, 10, 8]
    with pytest.raises(SpecError, match="`c` is not defined"):
        model("let c = 8; b", "block b { let c = c + 1; conv(c, 1) }")


def test_a_block_repeated_with_changed_values_is_another() -> None:
    block = "inline block b(n) { for i in 1..2 { let n = n * 2; conv(n, 1) } }"
    assert channels(model("let n = 1; for i in 1..2 { let n = n + 1; b(n) }", block)) == [4, 8, 6, 12]


def test_reuse_runs_on_the_values_of_the_first_use() -> None:
    network = model(
        "let c = 3; a: { let c = 2 * c; conv(c, 1); conv(3, 1) }; let c = 9; reuse(a); reuse(a); conv(c, 1)"
    )
    assert channels(network) == [6, 3, 6, 3, 6, 3, 9]
    assert list(network.state) == ["a.0.weight", "a.0.bias", "a.1.weight", "a.1.bias", "1.weight", "1.bias"]


@pytest.mark.parametrize(
    "body",
    [
        "let c = 8; if nosuch { let c = [8] }; conv(c[0], 1)",
        "let c = 8; for i in nosuch { let c = [8] }; conv(c[0], 1)",
        "let c = 8; residual when nosuch { let c = [8] }; conv(c[0], 1)",
        "if nosuch { conv(8, 1) -> t }; conv(8, 1); add(t)",
        "for i in nosuch { a{i}: conv(8, 1) }; reuse(a1)",
        "if nosuch { a: conv(8, 1) }; reuse(a)",
        "a: { conv(nosuch, 1) }; reuse(a)",
        "a: conv(8, 1); b: { conv(8, 1, nosuch=2) -> t }; reuse(a); reuse(b)",
    ],
)
def test_what_a_mistake_leaves_unknown_is_silent(body: str) -> None:
    with pytest.raises(SpecError) as raised:
        model(body)
    assert len(raised.value.diagnostics) == 1
    assert "nosuch" in str(raised.value.diagnostics[0].problem)
