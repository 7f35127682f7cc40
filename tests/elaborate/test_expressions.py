"""Expressions, compared with Python's, whose arithmetic they share."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from archdsl.diagnostics import Located
from archdsl.elaborate.environment import Environment
from archdsl.elaborate.expressions import Evaluator
from archdsl.shapes import Shape
from archdsl.syntax import parse_expression
from archdsl.text.source import Source


def value(text: str, **names: Any) -> Any:
    env = Environment()
    env.values |= names
    return Evaluator().evaluate(parse_expression(Source("test", text)), env)


def code(text: str, **names: Any) -> str:
    with pytest.raises(Located) as raised:
        value(text, **names)
    return raised.value.problem.code


NUMBERS = st.one_of(
    st.integers(0, 20).map(str), st.sampled_from(["a", "b", "0.5", "1e-3"]), st.integers(-3, -1).map("({})".format)
)
ARITHMETIC = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        st.tuples(inner, inner).map(lambda two: f"max({two[0]}, {two[1]})"),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} if {three[1]} < {three[2]} else {three[1]})"),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(ARITHMETIC)
def test_arithmetic_is_pythons(text: str) -> None:
    try:
        expected = eval(text, {}, {"a": 3, "b": 2.5, "max": max})
    except ZeroDivisionError:
        assert code(text, a=3, b=2.5) == "E302"
        return
    found = value(text, a=3, b=2.5)
    assert found == expected
    # Python's `//` gives a fraction where one of the numbers is one.
    assert type(found) is type(expected) or "//" in text


@settings(max_examples=200, deadline=None)
@given(ARITHMETIC, ARITHMETIC, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.sampled_from(["and", "or"]))
def test_conditions_are_pythons(left: str, right: str, compare: str, join: str) -> None:
    text = f"not ({left} {compare} {right}) {join} a == 3"
    try:
        expected = eval(text, {}, {"a": 3, "b": 2.5, "max": max})
    except ZeroDivisionError:
        reject()
    assert value(text, a=3, b=2.5) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1..4", [1, 2, 3, 4]),
        ("2..1", []),
        ("0..n-1", [0, 1, 2]),
        ("3x224x224", (3, 224, 224)),
        ("(1,)", (1,)),
        ("[1, 2][-1]", 2),
        ("[1, 2, 3, 4][1:3]", [2, 3]),
        ("[1, 2, 3, 4][::2]", [1, 3]),
        ("[64] * 2 + [128]", [64, 64, 128]),
        ('{a: 1, "b c": 2}["b c"]', 2),
        ('"a" + "b"', "ab"),
        ('"same" in ["same", "valid"]', True),
        ("4 not in 1..3", True),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("7 // 2 * 2 + 7 % 2", 7),
        ("len([1, 2]) + sum([1, 2]) + min(3, 1) + max([4, 2])", 10),
        ("range(2, 8, 3)[1]", 5),
        ("[18.5 // 1, -7.5 // 2, 7 // 2.0]", [18, -4, 3]),
        ("round(8.44, digits=1)", 8.4),
        ("len(2..5) + sum(2..3) + max(1, 2.5, 2)", 11.5),
        ("divisible(20, minimum=none)", 24),
        ("[ceil(1.2), floor(1.8), round(2.5), abs(-3)]", [2, 1, 2, 3]),
        ("sqrt(9)", 3.0),
        ("exp(log(2))", 2.0),
        ("round(sin(pi / 6) + cos(pi), 12)", -0.5),
        ("[exp(i) for i in 0..1][0]", 1.0),
        ("zip([1, 2], [3, 4])", [(1, 3), (2, 4)]),
        ("enumerate([5, 6], 1)", [(1, 5), (2, 6)]),
        ("1 if true else 1 // 0", 1),
        ("false and 1 // 0 == 0", False),
        ("none == none", True),
        ("[a * a for a in 1..n]", [1, 4, 9]),
        ("[a * b for a, b in [(1, 2), (0, 5), (3, 4)] if a > 0]", [2, 12]),
        ("[i + a - b for i, (a, b) in enumerate([(5, 1), (6, 2)])]", [4, 5]),
        ("[[a * b for a in 1..b] for b in 1..2]", [[1], [2, 4]]),
        ("[n for n in [n, n + 1]] + [n]", [3, 4, 3]),
        ("[a for (a,) in [(1,), [2]]]", [1, 2]),
        ("[a if a > 1 else none for a in range(3)]", [None, None, 2]),
        ("[a for a in [] if 1 // 0 == 0]", []),
        (r'"a\"b\\c\n"', 'a"b\\c\n'),
    ],
)
def test_value(text: str, expected: Any) -> None:
    found = value(text, n=3)
    assert repr(list(found) if isinstance(found, range) else found) == repr(expected)


@pytest.mark.parametrize(("channels", "expected"), [(32 * 0.35, 16), (96 * 0.75, 72), (12, 16), (3, 8), (20, 24)])
def test_divisible_follows_mobilenet(channels: float, expected: int) -> None:
    """Rounded to a multiple of 8, half up, and up where more than 10 % would be lost."""
    assert value("divisible(n)", n=channels) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + true", "E301"),
        ("1 and true", "E301"),
        ("not 1", "E301"),
        ('1 < "a"', "E301"),
        ("1..2.5", "E301"),
        ("[1][0.5]", "E301"),
        ("len(3)", "E301"),
        ("min([])", "E302"),
        ("sqrt(-1)", "E302"),
        ("log(0)", "E302"),
        ("exp(1000)", "E505"),
        ("(-8) ** 0.5", "E302"),
        ("zip([1], [])", "E302"),
        ("[1][1]", "E303"),
        ('{a: 1}["b"]', "E202"),
        ("unknown", "E202"),
        ("unknown(1)", "E202"),
        ("len()", "E205"),
        ("len([1], [2])", "E206"),
        ("round(8.4, 1.5)", "E301"),
        ("round(5, -10 ** 9)", "E301"),
        ("round(8.4, places=1)", "E203"),
        ("round(8.4, x=1)", "E204"),
        ("range()", "E205"),
        ("range(1.5)", "E301"),
        ("range(1, 2, 0)", "E302"),
        ("range(1, 2, 3, 4)", "E206"),
        ("enumerate(3)", "E301"),
        ("enumerate([3], 1.0)", "E301"),
        ("divisible(8, 0)", "E301"),
        ("divisible(8, 2.5)", "E301"),
        ("min(1)", "E301"),
        ("min(1, true)", "E301"),
        ('min([1, "a"])', "E301"),
        ("max([])", "E302"),
        ("zip()", "E205"),
        ("zip(1, 2)", "E301"),
        ("sum([true])", "E301"),
        ("sqrt(true)", "E301"),
        ("1e300 // 1e-300", "E505"),
        ("maxpol(2)", "E202"),
        ("(1, 2) - (1, 2, 3)", "E340"),
        ("(1, true) // 2", "E301"),
        ('(1, "a") * 2', "E301"),
        ("((1, 2), 3) % 2", "E301"),
        ("[1, 2] // 2", "E301"),
        ("(1, 2) // 0", "E302"),
        ("(1, 10 ** 18) * 1000", "E505"),
        ("(1e300, 1) * 1e300", "E505"),
        ("abs(1, 2)", "E206"),
        ("[a for a in 3]", "E301"),
        ('[a for a in "abc"]', "E301"),
        ("[a for a in [1] if a]", "E301"),
        ("[a for a, b in [1]]", "E304"),
        ("[a for a, (b, c) in [(1, 2)]]", "E304"),
        ("[a for (a,) in [(1, 2)]]", "E304"),
        ("[1 for a in 1..9] + [a]", "E202"),
        ("[a for b in 1..20000]", "E504"),
        ("10 ** 18 * 100", "E505"),
        ("2.0 ** 10000", "E505"),
    ],
)
def test_error(text: str, expected: str) -> None:
    assert code(text) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((784,), {"channels": 784, "features": 784}),
        ((2, 10), {"channels": 2, "length": 10}),
        ((3, 8, 9), {"channels": 3, "height": 8, "width": 9}),
        ((3, 7, 8, 9), {"depth": 7, "height": 8, "width": 9}),
    ],
)
def test_figures_of_the_current_tensor(shape: tuple[int, ...], expected: dict[str, int]) -> None:
    evaluator = Evaluator()
    evaluator.has_tensor, evaluator.current = True, Shape(shape)
    for name in ("channels", "features", "length", "depth", "height", "width"):
        expression = parse_expression(Source("test", name))
        if name in expected or name in {"channels", "features"}:
            assert evaluator.evaluate(expression, Environment()) == expected.get(name, shape[0])
        else:
            with pytest.raises(Located, match="current tensor"):
                evaluator.evaluate(expression, Environment())
    assert evaluator.evaluate(parse_expression(Source("test", "shape")), Environment()) == shape


def test_a_name_of_the_spec_goes_before_a_figure() -> None:
    evaluator = Evaluator()
    evaluator.has_tensor, evaluator.current = True, Shape((3, 8, 8))
    env = Environment()
    env.values["width"] = 5
    assert evaluator.evaluate(parse_expression(Source("test", "width")), env) == 5


def test_no_number_is_infinite() -> None:
    assert code("1e308 * 10") == "E505"
    assert math.isfinite(value("1e308"))


@pytest.mark.parametrize("op", ["+", "-", "*", "/", "//", "%", "**"])
@pytest.mark.parametrize("other", ["2", "3.5", "(2, 5)"])
def test_tuples_compute_element_by_element(op: str, other: str) -> None:
    if op == "+" and other == "(2, 5)":
        return  # joins the two
    each = other.strip("()").split(", ") * 2
    expected = (value(f"7 {op} {each[0]}"), value(f"3 {op} {each[1]}"))
    assert value(f"7x3 {op} {other}") == expected
    assert value(f"{other} {op} (7, 3)") == (value(f"{each[0]} {op} 7"), value(f"{each[1]} {op} 3"))


def test_tuples_as_pytorch_users_write_them() -> None:
    assert value("kernel // 2", kernel=(1, 3)) == (0, 1)
    assert value("dilation * (kernel - 1) // 2", kernel=(1, 3), dilation=2) == (0, 2)
    assert value("(kernel - 1) * dilation // 2", kernel=(1, 3), dilation=(2, 3)) == (0, 3)
    assert value("1x3 + 2x2") == (1, 3, 2, 2)
    assert value("[1, 3] * 2") == [1, 3, 1, 3]
