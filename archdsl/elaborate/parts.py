"""Labelled parts, and what is inside them: `reuse(layer{i})`, `reuse(a.b)`, `stem.skip`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from archdsl.diagnostics import Help, Located, did_you_mean
from archdsl.diagnostics.codes.names import Misplaced, NoSuchTap, UnknownName
from archdsl.elaborate.environment import Labels
from archdsl.elaborate.errors import Unknown
from archdsl.syntax import tree
from archdsl.text.source import Span

#: Among the labels of a scope: one that is not known, after a mistake or without values.
ANY_LABEL = ""


def written_label(label: tree.Label) -> str:
    """A label as it is written; `ANY_LABEL` for one that depends on a value."""
    fixed = all(isinstance(part, str) for part in label.parts)
    return "".join(map(str, label.parts)) if fixed else ANY_LABEL


def reused_labels(form: tree.LayerCall) -> Sequence[tree.Label]:
    """The labels that lead to the part that `reuse(a.b)` names.

    Raises:
        Located: it has another form.
    """
    value = form.arguments[0].value if len(form.arguments) == 1 and form.arguments[0].name is None else None
    match value:
        case tree.Name():
            return [tree.Label([value.name], value.span)]
        case tree.Literal():
            return [tree.Label([str(value.value)], value.span)]
        case tree.Member():
            return value.labels
        case _:
            problem = Misplaced("`reuse(label)` takes the label of an earlier part of the same block or model")
            raise Located(problem, form.span)


def require_tap(expression: tree.Member) -> None:
    """Reject a label that stands where a value is expected.

    Raises:
        Located: at the label.
    """
    if len(expression.labels) == 1:
        helps = (Help(f"a tap in it: `{expression.span.text}.name`; to run it again: `reuse({expression.span.text})`"),)
        raise Located(Misplaced("a label is not a value"), expression.span, helps=helps)


def holder_of(labels: Labels, name: str, span: Span) -> Labels:
    """The nearest scope that has a part with the label.

    Raises:
        Located: there is none.
        Unknown: there may be one, after a mistake.
    """
    found = labels.holder(name)
    if found is not None:
        return found
    if labels.holder(ANY_LABEL) is not None:
        raise Unknown
    made = [one for scope in labels.scopes() for one in scope.parts]
    raise no_such_part(name, span, made)


def no_such_part(name: str, span: Span, known: Iterable[str], inside: str = "") -> Located:
    """The error of a label that no earlier part of a block or model has, or none `inside` a part."""
    where = f"not a labelled part of `{inside}`" if inside else "not the label of an earlier part"
    return Located(UnknownName(name), span, label=where, helps=did_you_mean(name, known, span))


def tap_inside(labels: Labels, path: Sequence[str], name: str, expression: tree.Member) -> Any:
    """The tap, or family of taps, that was made under a name in the part that `path` leads to.

    Raises:
        Located: there is no such part or tap.
        Unknown: the part is not known after a mistake.
    """
    spans = [one.span for one in expression.labels]
    scope: Labels | None = holder_of(labels, path[0], spans[0])
    for i, label in enumerate(path):
        if scope is None or label not in scope.parts:
            raise no_such_part(label, spans[i], () if scope is None else scope.parts, path[i - 1])
        part = scope.parts[label]
        if part is None:
            raise Unknown
        scope = part.labels
    taps = {} if scope is None else scope.taps
    if name not in taps:
        listed = (
            f"its taps are {', '.join(f'`{one}`' for one in taps)}" if taps else "write `-> name` after an item in it"
        )
        problem = NoSuchTap(".".join(path), name)
        raise Located(problem, spans[-1], helps=did_you_mean(name, taps, spans[-1], listed))
    return taps[name]
