"""The state of the process is not changed: recursion limit, garbage collector, stack; threads may run in parallel."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

import archdsl
from archdsl.diagnostics import SpecError
from archdsl.elaborate import check_source, elaborate, load_module, models_in, read
from archdsl.syntax import parse, tree_text
from archdsl.text.limits import MAX_BRACKETS, MAX_EXPRESSION_DEPTH, MAX_NESTING
from archdsl.text.source import Source
from archdsl.text.stack import deep
from archdsl.zoo import specs_folder

T = TypeVar("T")

LEVELS = MAX_NESTING - 10
#: Everything nested as deeply as the limits allow, and a little less.
DEEP = {
    "groups": f"model m {{ input(3); {'{ ' * LEVELS}linear(3){' }' * LEVELS} }}",
    "residuals": f"model m {{ input(3); {'residual { ' * (LEVELS // 2)}linear(3){' }' * (LEVELS // 2)} }}",
    "inceptions": f"model m {{ input(3x4x4); {'inception { ' * (LEVELS // 2)}relu{' }' * (LEVELS // 2)} }}",
    "loops": f"model m {{ input(3); {'for i in 1..1 { ' * (LEVELS - 5)}linear(3){' }' * (LEVELS - 5)} }}",
    "blocks": "block b0 { linear(3) }\n"
    + "".join(f"block b{i} {{ b{i - 1} }}\n" for i in range(1, LEVELS - 5))
    + f"model m {{ input(3); b{LEVELS - 6}; b{LEVELS - 6} }}",
    "brackets": f"model m {{ input(3); let a = {'[' * (MAX_BRACKETS - 5)}1{']' * (MAX_BRACKETS - 5)}; linear(3) }}",
    "terms": f"model m {{ input(3); linear({'1 + ' * (MAX_EXPRESSION_DEPTH - 10)}1) }}",
    "terms in loops": f"model m {{ input(3); {'for i in 1..1 { ' * (LEVELS - 5)}"
    f"linear({'1 + ' * (MAX_EXPRESSION_DEPTH - 10)}1){' }' * (LEVELS - 5)} }}",
}


def checked(text: str) -> tuple[int, ...]:
    source = Source("deep.arch", text)
    assert check_source(source)[0] == []
    return tuple(elaborate(load_module(source)).output_shape)


def after_frames(frames: int, function: Callable[[], T]) -> T:
    """The result of a function that is called from so deep in the stack."""
    return function() if frames == 0 else after_frames(frames - 1, function)


@pytest.mark.parametrize("frames", [0, 200, 700])
@pytest.mark.parametrize("name", DEEP)
def test_nested_deeply(name: str, frames: int) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)  # what Python begins with; a test runner may have more
    try:
        assert after_frames(frames, lambda: checked(DEEP[name]))
    finally:
        sys.setrecursionlimit(limit)


def test_too_deep_is_an_error_from_deep_in_the_stack() -> None:
    text = f"model m {{ input(3); {'{ ' * 99}{'for i in 1..1 { ' * 50}relu{' }' * 149} }}"
    found = after_frames(600, lambda: check_source(Source("deep.arch", text))[0])
    assert {one.code for one in found} == {"E501"}


def test_the_limit_and_the_collector_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the process's own")

    for name in ("disable", "enable", "freeze", "set_threshold", "collect"):
        monkeypatch.setattr(gc, name, forbidden)
    monkeypatch.setattr(sys, "setrecursionlimit", forbidden)
    assert archdsl.load("resnet18").params
    assert check_source(Source("a.arch", "model m { input(3); nosuch }"))[0]


def test_the_tree_of_an_expression_that_is_too_deep_to_evaluate() -> None:
    assert tree_text(parse(Source("a.arch", f"let a = {'1 + ' * 5_000}1"))).count("+") == 5_000


def figures(path: Path) -> list[tuple[str, int]]:
    """Parameters of the first models of a file, and the code of an error where one is looked up in vain."""
    module = load_module(read(path), path)
    found = [(name, elaborate(module, name).params) for name in models_in(module)[:2]]
    with pytest.raises(SpecError):
        elaborate(module, "no such model")
    return found


def test_many_threads_elaborate_at_once() -> None:
    paths = [specs_folder() / f"{name}.arch" for name in ("resnet", "unet", "googlenet", "densenet", "vgg", "hrnet")]
    alone = [figures(path) for path in paths]
    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(figures, paths * 4)) == alone * 4


def test_errors_come_through_the_threads_of_deep_stacks() -> None:
    @deep
    def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        after_frames(400, fail)
