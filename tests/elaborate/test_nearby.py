"""Errors about sizes name the next input sizes that fit, when they are shown."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import archdsl
from archdsl.diagnostics.render import render_text
from archdsl.elaborate import check_source
from archdsl.elaborate.nearby import other_sizes
from archdsl.shapes import IntegerShape, Shape
from archdsl.text.source import Source

UNET = """
block up(skip) { conv_transpose(4, 2, stride=2); concat(skip); conv(4, 3, padding=1) }
model unet(levels = 4) {
  input(1x96x96)
  for i in 1..levels { conv(4, 3, padding=1) -> skip[i]; maxpool(2) }
  for i in 1..levels { up(skip[levels + 1 - i]) }
}
"""


def helps(spec: str, *sizes: int) -> list[str]:
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(spec, input=sizes or None)
    return [help.message for help in caught.value.diagnostics[0].suggestions]


def test_the_next_sizes_of_a_u_net() -> None:
    assert helps(UNET, 1, 100, 100) == ["the next input sizes that fit: 1x96x96, 1x112x112 and 1x128x128"]
    assert helps(UNET, 1, 100, 60) == ["the next input size that fits: 1x112x64"]
    assert "the next input size that fits: 1x112x64" in str(error(UNET, 1, 100, 60))


def error(spec: str, *sizes: int) -> archdsl.SpecError:
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(spec, input=sizes)
    return caught.value


def test_a_size_that_is_too_small() -> None:
    assert helps("alexnet", 3, 50, 50)[-1] == "the next input sizes that fit: 3x63x63 and 3x64x64"


def test_an_error_that_no_size_fixes_names_none() -> None:
    assert helps("model m { input(3x8x8); maxpool(3, padding=2) }") == ["padding=1 is the largest for a kernel of 3"]
    assert not any("next input" in text for text in helps("model m { input(3x8x8); residual { conv(4, 3) } }"))


def test_several_inputs_change_together() -> None:
    spec = "model m { input(a: 1x9x9, words: int64(9), b: 1x9x9); maxpool(2); conv_transpose(1, 2, stride=2); add(b) }"
    assert helps(spec) == [
        "the next input sizes that fit: (a: 1x8x8, b: 1x8x8), (a: 1x10x10, b: 1x10x10) and (a: 1x12x12, b: 1x12x12)"
    ]


def test_the_search_ends_when_the_steps_are_used_up() -> None:
    tried: list[Mapping[str, Shape]] = []

    def fits(inputs: Mapping[str, Shape]) -> bool | None:
        tried.append(inputs)
        return None if len(tried) == 5 else False

    assert other_sizes({"": Shape((1, 9, 9))}, fits) == ()
    assert len(tried) == 5
    assert other_sizes({"": IntegerShape((9,))}, fits) == ()


def test_nothing_is_searched_before_the_report_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("archdsl.elaborate.nearby.other_sizes", never)
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(UNET, input=(1, 100, 100))
    with pytest.raises(AssertionError):
        _ = caught.value.diagnostics[0].suggestions


def test_an_error_elsewhere_ends_no_command() -> None:
    """The search for sizes stops at the first error, which may be one of the recipe."""
    text = "model m {\n  input(3x8x8)\n  conv(8, 11)\n}\ntrain {\n  epochs = 1\n  epochs = 2\n}\n"
    found = check_source(Source("m.arch", text)).errors
    assert [one.code for one in found] == ["E402", "E208"]
    assert "E402" in render_text(found)
