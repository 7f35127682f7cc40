"""The sizes that a network takes, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from archdsl.graph.network import Network
from archdsl.sizes import AxisSizes, Reason
from archdsl.sizes.rule import runs
from archdsl.view.tables import wrapped

#: How many sizes are listed, and how many reasons are shown for each axis.
LISTED, REASONS = 5, 6


def to_text(network: Network, found: Sequence[AxisSizes], width: int) -> str:
    """A paragraph for each axis; axes with the same answer share one. The title is within `width`."""
    shapes = network.inputs
    several = len(shapes) > 1
    listed = ", ".join(f"{name}: {shape}" if several else str(shape) for name, shape in shapes.items())
    lines = wrapped(f"{network.title}  input {listed}", width)
    if not found:
        lines += ["", "the input has features only, whose number the weights fix"]
    groups: dict[object, list[AxisSizes]] = {}
    for one in found:
        groups.setdefault(_same(one), []).append(one)
    for group in groups.values():
        lines += ["", ", ".join(one.axis.name for one in group), *(f"  {line}" for line in _lines(group[0]))]
    return "\n".join(lines)


def _same(one: AxisSizes) -> object:
    """What axes have in common that share a paragraph."""
    return one.rule, one.checked, one.taken, tuple((reason.size, _part(reason)) for reason in one.reasons)


def _lines(one: AxisSizes) -> Iterator[str]:
    if one.rule is None:
        yield f"{runs(one.taken) or 'none'}, of those up to {one.checked}; no rule for larger ones could be proved"
    else:
        first = list(islice(one.rule.taken(), LISTED + 1))
        more = f": {', '.join(map(str, first[:LISTED]))}, ..." if one.rule.period > 1 and len(first) > LISTED else ""
        yield f"{one.rule}{more}"
    for reason in one.reasons[:REASONS]:
        yield f"not {reason.size}: {_part(reason)}: {reason.fault.problem}"
    if len(one.reasons) > REASONS:
        yield f"and {len(one.reasons) - REASONS} more parts that reject sizes (--format json lists all)"


def _part(reason: Reason) -> str:
    """The part that rejects a size, with its place."""
    fault = reason.fault
    place = "" if fault.span is None else f" ({fault.span.source.path}:{fault.span.line})"
    return f"{fault.kind} `{fault.part}`".strip() + place


def to_json(network: Network, found: Sequence[AxisSizes]) -> str:
    """The JSON of docs/json.md."""
    return json.dumps({"model": network.name, "axes": [_axis(one) for one in found]}, indent=2, ensure_ascii=False)


def _axis(one: AxisSizes) -> dict[str, Any]:
    rule = one.rule
    entry: dict[str, Any] = {"axis": one.axis.name, "size": one.axis.size}
    if rule is None:
        entry |= {"minimum": None, "period": None, "remainders": None, "smaller": list(one.taken)}
        entry["checked"] = one.checked
    else:
        entry |= {"minimum": rule.minimum, "period": rule.period, "remainders": list(rule.remainders)}
        entry["smaller"] = list(rule.smaller)
    entry["next"] = one.after(one.axis.size, LISTED)
    entry["reasons"] = [_reason(reason) for reason in one.reasons]
    return entry


def _reason(reason: Reason) -> dict[str, Any]:
    span, problem = reason.fault.span, reason.fault.problem
    place = {"file": span.source.path, "line": span.line} if span else {"file": None, "line": None}
    entry = {"size": reason.size, "part": reason.fault.part, "kind": reason.fault.kind or None}
    return entry | {"code": problem.code, "message": str(problem), **place}
