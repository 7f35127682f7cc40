"""The binder that layers, functions and recipes share: positions, then names, and every error at its place."""

from typing import Annotated, Any, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from archdsl.arguments.bind import Given, assign, bind, broken, make
from archdsl.diagnostics import Located
from archdsl.text.source import Source, Span


class Box(BaseModel):
    """A typed class with two rules about both of its sides."""

    model_config = ConfigDict(strict=True)

    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)] = 1
    name: str | None = None
    sizes: Annotated[tuple[float, float] | None, Field(description="a pair of numbers")] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.height > self.width:
            raise broken("at most the width", "height")
        if self.name == "":
            raise ValueError("a box needs a name")
        return self


def given(text: str, **values: Any) -> tuple[list[Given], Span]:
    """The arguments of a call as it is written, with their values by position or name."""
    source = Source("call", text)
    found, start = [], text.index("(") + 1
    for argument in filter(None, text[start:-1].split(", ")):
        at = text.index(argument, start)
        name, _, value = argument.rpartition("=")
        found.append(Given(name or None, values.get(value, value), Span(source, at, at + len(argument))))
        start = at
    return found, Span(source, 0, len(text))


def message(error: Located) -> str:
    return f"{error.problem.code} {error.problem} [{error.span.text}]" + "".join(
        f"; {one.message}" for one in error.helps
    )


VALUES = {"1": 1, "2": 2, "0": 0, "1.5": 1.5, "half": 0.5, "empty": "", "pair": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f()", "E205 `f` requires `width` [f()]"),
        ("f(1, wdth=2)", "E203 `f` has no argument `wdth` [wdth]; did you mean `width`?"),
        ("f(1, x=2)", "E203 `f` has no argument `x` [x]; it takes `width`, `height`, `name`, `sizes`"),
        ("f(1, width=2)", "E204 `f` is given `width` twice [width=2]"),
        ("f(0)", "E207 `width` of `f` must be greater than 0, found 0 [0]"),
        ("f(1.5)", "E207 `width` of `f` must be an integer, found 1.5 [1.5]"),
        ("f(1, sizes=2)", "E207 `sizes` of `f` must be a pair of numbers, found 2 [sizes=2]"),
        ("f(1, 2)", "E207 `height` of `f` must be at most the width, found 2 [2]"),
        ("f(1, name=empty)", "E405 `f`: a box needs a name [f(1, name=empty)]"),
    ],
)
def test_each_error_is_at_its_place(text: str, expected: str) -> None:
    arguments, span = given(text, **VALUES)
    with pytest.raises(Located) as error:
        make("`f`", Box, arguments, span)
    assert message(error.value) == expected


def test_positions_come_first_and_lists_are_tuples() -> None:
    arguments, span = given("f(2, 1, sizes=pair)", **VALUES)
    assert make("`f`", Box, arguments, span) == Box(width=2, height=1, sizes=(1.0, 2.0))


def test_all_errors_of_a_call_are_collected_and_the_first_is_raised() -> None:
    arguments, span = given("f(a, b, c, x=1, z=2)")
    bound = bind("`f`", ["x", "y"], ["y"], arguments, span)
    assert list(bound.arguments) == ["x", "y"]
    assert [message(one) for one in bound.errors] == [
        "E206 `f` takes at most 2 arguments by position, but got 3 [c]",
        "E204 `f` is given `x` twice [x=1]",
        "E203 `f` has no argument `z` [z]; it takes `x`, `y`",
    ]
    with pytest.raises(Located) as error:
        assign("`f`", ["x", "y"], ["y"], arguments, span)
    assert error.value.problem == bound.errors[0].problem
