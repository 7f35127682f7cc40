"""What can be written at a character."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from archdsl.arguments.values import spec_text
from archdsl.assist.analysis import Analysis
from archdsl.combinators import COMBINATORS
from archdsl.elaborate.environment import BlockValue
from archdsl.elaborate.functions import CONSTANTS, FUNCTIONS
from archdsl.graph.requirements import FIGURES
from archdsl.layers import Argument, all_kinds, arguments, described, kind_named
from archdsl.recipe import FAMILIES, Recipe
from archdsl.syntax import tree

Kind = Literal["layer", "block", "keyword", "combinator", "argument", "name", "value", "function", "entry"]

STATEMENTS = {
    "input": "the shapes of the inputs",
    "use": "continue with a tap",
    "output": "also return these taps",
    "reuse": "an earlier part again, with its weights",
    "chunk": "taps of equal parts of the channels",
    "aux": "a head that runs in training only",
    "require": "bounds for figures",
    "let": "a value with a name",
    "for": "a loop",
    "if": "a condition",
}
TOP_LEVEL = {
    "model": "a network",
    "block": "a part that is called by name",
    "inline block": "a block without a scope of its own",
    "train": "the recipe",
    "let": "a value with a name",
    "import": "everything that a file defines",
    "from": "names that a file defines",
}


class Completion(NamedTuple):
    """A text to insert; `detail` stands beside it, `documentation` is Markdown."""

    text: str
    kind: Kind
    detail: str = ""
    documentation: str = ""


class Context(NamedTuple):
    """Where the cursor is.

    top      the definition around it: "model", "block", "train", "require" or ""
    call     the name of the innermost call that is open, with the text before the cursor inside its parentheses
    entry    the entry of the recipe whose value is written
    start    whether a statement begins
    """

    top: str
    call: str | None
    inside: str
    entry: str | None
    start: bool


#: Comments and strings, which are no place for brackets.
QUIET = re.compile(r'#[^\n]*|"(?:[^"\\\n]|\\.)*"?')
TOP = re.compile(r"(?m)^(?:inline|block|model|train|let|import|from)\b")
CALL = re.compile(r"([^\W\d]\w*)\s*$")
BEGIN = re.compile(r"(?:^|[\n;{}]|[\w}-]:)[ \t]*(?:inline[ \t]+)?\w*$")
ENTRY = re.compile(r"(?:^|[\n;{])\s*(\w+)[ \t]*=[ \t]*[^\n;]*$")
NAMED = re.compile(r"(?:^|[(,])\s*(\w+)\s*=\s*[\w\".]*$")


def completions(analysis: Analysis, offset: int) -> list[Completion]:
    """What can be written at a character, whatever part of a word stands before it."""
    before = QUIET.sub(lambda found: " " * len(found[0]), analysis.source.text[:offset])
    if re.search(r"#[^\n]*$", analysis.source.text[:offset]):
        return []
    context = context_of(before)
    return list({one.text: one for one in _candidates(analysis, offset, context)}.values())


def context_of(before: str) -> Context:
    """The context at the end of a text without comments and strings.

    What is left open in an earlier definition does not count.
    """
    before = before[max((found.start() for found in TOP.finditer(before)), default=0) :]
    brackets: list[int] = []
    for i, sign in enumerate(before):
        if sign in "([{":
            brackets.append(i)
        elif sign in ")]}" and brackets:
            brackets.pop()
    call, inside = None, ""
    for place in reversed(brackets):
        if before[place] == "{":
            break
        found = CALL.search(before[:place])
        if before[place] == "(" and found:
            call, inside = found[1], before[place + 1 :]
            break
    top = _top(before, brackets)
    # A list of several lines belongs to the entry before its bracket.
    outer = before[: brackets[1]] if len(brackets) > 1 else before
    entry = ENTRY.search(outer) if top == "train" else None
    start = not (brackets and before[brackets[-1]] in "([") and BEGIN.search(before) is not None
    return Context(top, call, inside, entry[1] if entry else None, start)


def _top(before: str, brackets: list[int]) -> str:
    """What the braces that are open belong to."""
    braces = [place for place in brackets if before[place] == "{"]
    if not braces:
        return ""
    words = re.findall(r"(?:^|\n)[ \t]*(?:inline\s+)?(model|block|train)\b[^\n{]*$", before[: braces[0]])
    inner = re.search(r"\brequire\s*$", before[: braces[-1]])
    return "require" if inner else words[-1] if words else ""


def _candidates(analysis: Analysis, offset: int, context: Context) -> Iterator[Completion]:
    if not context.top and context.call is None:
        yield from (Completion(word, "keyword", detail) for word, detail in TOP_LEVEL.items() if context.start)
        yield from _names(analysis, offset) if not context.start else ()
    elif context.top == "require":
        yield from (Completion(name, "name", one.summary) for name, one in FIGURES.items())
    elif context.top == "train":
        yield from _in_recipe(context)
    elif context.call is not None:
        yield from _in_call(analysis, offset, context)
    elif context.start:
        yield from _statements(analysis)
        yield from (Completion(word, "keyword", detail) for word, detail in STATEMENTS.items())
        yield from (Completion(word, "combinator", one.summary) for word, one in COMBINATORS.items())
    else:
        yield from _values(analysis, offset)


def _statements(analysis: Analysis) -> Iterator[Completion]:
    """Blocks and layer types."""
    for name, value in analysis.module.globals.values.items():
        if isinstance(value, BlockValue):
            params = ", ".join(param.span.text for param in value.definition.params)
            yield Completion(name, "block", f"({params})")
    for name, kind in all_kinds().items():
        summary = (kind.__doc__ or "").strip().partition("\n")[0]
        yield Completion(name, "layer", _signature(arguments(kind)), summary)


def _signature(listed: Iterable[Argument]) -> str:
    return f"({', '.join(one.name if not one.default else f'{one.name}={one.default}' for one in listed)})"


def _in_call(analysis: Analysis, offset: int, context: Context) -> Iterator[Completion]:
    """Arguments of the call that are not given yet, and values; the values of an argument by its type."""
    name = str(context.call)
    if name in {"use", "output"}:
        yield from _taps(analysis, offset)
        return
    if name == "reuse":
        yield from _labels(analysis, offset)
        return
    listed = _arguments(analysis, name)
    named = NAMED.search(f"({context.inside}")
    if named is not None:
        yield from _choices(next((one for one in listed if one.name == named[1]), None))
    else:
        given = set(re.findall(r"(\w+)\s*=(?!=)", context.inside))
        for one in listed:
            if one.name not in given:
                yield Completion(f"{one.name}=", "argument", f"{one.type}{f' = {one.default}' if one.default else ''}")
    kind = kind_named(name)
    if kind is not None and (kind.takes_taps or kind.tap_arguments):
        yield from _taps(analysis, offset)
    yield from _values(analysis, offset)


def _arguments(analysis: Analysis, name: str) -> list[Argument]:
    """The arguments of a block, a model or a layer type."""
    value = analysis.module.globals.values.get(name)
    model = analysis.module.models.get(name) or analysis.module.imported_models.get(name)
    if isinstance(value, BlockValue) or model is not None:
        definition: Any = value.definition if isinstance(value, BlockValue) else model.definition  # type: ignore[union-attr]
        return [
            Argument(param.name, "", param.default.span.text if param.default is not None else "")
            for param in definition.params
        ]
    kind = kind_named(name)
    return [] if kind is None else arguments(kind)


def _choices(argument: Argument | None) -> Iterator[Completion]:
    """The values that an argument's type lists."""
    if argument is None:
        return
    for word in argument.type.split(" or "):
        if word.startswith('"') or word in {"true", "false", "none"}:
            yield Completion(word, "value", argument.name)
        elif word == "bool":
            yield from (Completion(each, "value", argument.name) for each in ("true", "false"))


def _values(analysis: Analysis, offset: int) -> Iterator[Completion]:
    """Names in sight, figures of the current tensor, functions, and layers and blocks as values."""
    yield from _names(analysis, offset)
    for name, function in FUNCTIONS.items():
        yield Completion(name, "function", function.summary)
    for name in (*CONSTANTS, "true", "false", "none"):
        yield Completion(name, "value")
    yield from (Completion(name, "name", "of the current tensor") for name in ("channels", "height", "width", "length"))
    yield from _statements(analysis)


def _names(analysis: Analysis, offset: int) -> Iterator[Completion]:
    """Values, parameters and loop variables that can be seen."""
    for one in _seen(analysis, offset):
        if one.kind in {"parameter", "value", "loop variable"}:
            yield Completion(one.name, "name", one.kind)


def _seen(analysis: Analysis, offset: int) -> Iterator[Any]:
    """The definitions of the file's top level, and those before the character in the definition around it."""
    around = analysis.item_at(offset)
    spans = [item.span for item in analysis.items if not isinstance(item, tree.Let | tree.Import)]
    for one in analysis.definitions:
        if one.span.source is not analysis.source:
            if one.name in analysis.module.globals.values:
                yield one
        elif around is not None and one.span.is_inside(around.span):
            if one.span.start < offset:
                yield one
        elif not any(one.span.is_inside(span) for span in spans):
            yield one


def _taps(analysis: Analysis, offset: int) -> Iterator[Completion]:
    for one in _seen(analysis, offset):
        if one.kind in {"tap", "input"}:
            yield Completion(one.name, "name", one.kind)


def _labels(analysis: Analysis, offset: int) -> Iterator[Completion]:
    for one in _seen(analysis, offset):
        if one.kind == "label":
            yield Completion(one.name, "name", one.kind)


def _in_recipe(context: Context) -> Iterator[Completion]:
    """Entries, and the values that one takes."""
    if context.call is not None:
        part = next((family[context.call] for family in FAMILIES.values() if context.call in family), None)
        if part is not None:
            names = [name for name in part.model_fields if name != "kind"]
            for one in described(part.model_fields, names):
                yield Completion(f"{one.name}=", "argument", f"{one.type}{f' = {one.default}' if one.default else ''}")
        return
    if context.entry is None:
        documented = _entry_docs()
        for name, field in Recipe.model_fields.items():
            default = "" if field.is_required() or field.default_factory else spec_text(_plain(field.default))
            yield Completion(name, "entry", f"= {default}" if default else "", documented.get(name, ""))
    elif context.entry in FAMILIES:
        for name, part in FAMILIES[context.entry].items():
            yield Completion(name, "value", (part.__doc__ or "").strip().partition("\n")[0])
    elif context.entry in Recipe.model_fields:
        yield from _choices(described(Recipe.model_fields, [context.entry])[0])


def _plain(value: Any) -> Any:
    return value.kind if hasattr(value, "kind") else value


def _entry_docs() -> Mapping[str, str]:
    """The lines about entries in the recipe's documentation."""
    return dict(re.findall(r"^    (\w+)  +(\S.*)$", Recipe.__doc__ or "", re.MULTILINE))


def signature(analysis: Analysis, offset: int) -> tuple[str, list[str], int] | None:
    """The call that is open at a character: its text, the texts of its parameters, and which of them is written."""
    before = QUIET.sub(lambda found: " " * len(found[0]), analysis.source.text[:offset])
    context = context_of(before)
    if context.call is None:
        return None
    listed = _arguments(analysis, context.call)
    if not listed:
        return None
    texts = [one.name if not one.default else f"{one.name}={one.default}" for one in listed]
    named = NAMED.search(f"({context.inside}")
    names = [one.name for one in listed]
    depth = active = 0
    for sign in context.inside:
        depth += (sign in "([{") - (sign in ")]}")
        active += sign == "," and depth == 0
    if named is not None and named[1] in names:
        active = names.index(named[1])
    return f"{context.call}({', '.join(texts)})", texts, min(active, len(texts) - 1)
