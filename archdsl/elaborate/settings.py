"""Values of options: what stands behind `--set key=`."""

from __future__ import annotations

from typing import Any

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.elaborate.environment import Environment
from archdsl.elaborate.errors import Located
from archdsl.elaborate.expressions import Evaluator
from archdsl.source import Source
from archdsl.syntax.parser import parse_expression
from archdsl.values import Construct, Entry


def parse_value(text: str, key: str = "") -> object:
    """The value of a model's parameter, written as in a spec: `--set classes=10`. A bare word is a text.

    Raises:
        SpecError: it is no expression, or has no value; its source is called `--set key`.
    """
    return _words_as_texts(_evaluate(text, key))


def parse_entry(text: str, key: str = "") -> Entry:
    """The value of a recipe's entry: `--set optimizer=adam(lr=0.001)`. A bare word is a name, as in a recipe.

    Raises:
        SpecError: it is no expression, or has no value; its source is called `--set key`.
    """
    value = _evaluate(text, key)
    return Entry(list(value) if isinstance(value, range) else value)


def _evaluate(text: str, key: str) -> Any:
    source = Source(f"--set {key}".rstrip(), text)
    expression = parse_expression(source)
    try:
        return Evaluator().evaluate(expression, Environment(), constructs=True)
    except Located as error:
        diagnostic = Diagnostic(error.problem, error.span, error.label, error.notes, error.helps)
        raise SpecError([diagnostic]) from None


def _words_as_texts(value: Any) -> Any:
    """A model's parameter has no constructs but names: `--set head=maxpool`."""
    match value:
        case Construct(args=(), kwargs={}) if value.span is not None and value.span.text == value.name:
            return value.name
        case list():
            return [_words_as_texts(item) for item in value]
        case tuple():
            return tuple(_words_as_texts(item) for item in value)
        case dict():
            return {key: _words_as_texts(item) for key, item in value.items()}
        case _:
            return value
