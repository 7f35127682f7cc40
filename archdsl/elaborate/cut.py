"""Parts of a tensor along its channels: `split([8, 24]) { }`, `chunk(2) -> a, b`."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.arguments.bind import Given, assign
from archdsl.arguments.describe import describe, is_whole
from archdsl.diagnostics import Located
from archdsl.diagnostics.codes.names import BadArgument
from archdsl.diagnostics.codes.shapes import NotDivisible, WrongRank
from archdsl.diagnostics.codes.values import OtherNumberOfParts, PartsDoNotAddUp
from archdsl.elaborate.errors import Unknown
from archdsl.elaborate.taps import define
from archdsl.elaborate.walk import Outcome, Place, Walk
from archdsl.graph import Cut
from archdsl.shapes import Shape
from archdsl.shapes.symbolic import is_symbolic
from archdsl.syntax import tree
from archdsl.text.limits import MAX_LENGTH
from archdsl.text.source import Span


def only_argument(name: str, given: Sequence[Given], span: Span) -> Given:
    """The one argument of `split` or `chunk`; several numbers are a list of sizes.

    Raises:
        Located: it is missing, or there are others.
    """
    if name == "split" and len(given) > 1 and all(one.name is None for one in given):
        given = [Given(None, [one.value for one in given], given[0].span.to(given[-1].span))]
    parameter = "parts" if name == "split" else "chunks"
    return assign(f"`{name}`", [parameter], [parameter], given, span)[parameter]


def sizes(name: str, given: Sequence[Given], span: Span, x: Shape | None) -> tuple[int, ...] | int:
    """The channels of each part that `split` or `chunk` makes of `x`; the number of the parts if `x` is not known.

    Raises:
        Located: a wrong argument, or parts that do not fit `x`.
    """
    one = only_argument(name, given, span)
    value = one.value
    parts = [value] if is_whole(value) else value if name == "split" and isinstance(value, list | tuple) else []
    if not parts or not all(is_whole(part) and part >= 1 for part in parts) or max(len(parts), parts[0]) > MAX_LENGTH:
        is_split = name == "split"
        expected = "must be an integer of at least 1" + ", or the sizes of the parts" * is_split
        problem = BadArgument(f"`{name}`", "parts" if is_split else "chunks", expected, describe(value))
        raise Located(problem, one.span)
    count = value if is_whole(value) else len(parts)
    if x is None:
        return count
    if not x:
        raise Located(WrongRank(f"`{name}`", "a tensor with channels", str(x)), span)
    if name == "chunk":
        if is_symbolic(x.channels):
            from archdsl.shapes.growing import Opaque

            raise Opaque  # how many parts there are depends on the member of the family
        size = -(-x.channels // count)
        return tuple([min(size, x.channels - start) for start in range(0, x.channels, size)])
    if is_whole(value):
        if x.channels % count:
            raise Located(NotDivisible("channels", x.channels, "parts", count), one.span)
        return (x.channels // count,) * count
    if sum(parts) != x.channels:
        raise Located(PartsDoNotAddUp(" + ".join(map(str, parts)), sum(parts), str(x), x.channels), one.span)
    return tuple(parts)


def cut(
    walk: Walk, item: tree.Item, form: tree.LayerCall, given: Sequence[Given], place: Place, x: Shape | None
) -> Outcome:
    """`chunk(2) -> a, b` or `split([8, 24]) -> a, b`: the parts of `x` become taps, and `x` stays."""
    if x:
        # Other channels may make other parts.
        walk.evaluator.reads.add((0, x))
    found = sizes(form.name, given, form.span, x)
    targets = item.taps
    count = found if isinstance(found, int) else len(found)
    if count != len(targets):
        what = f"`{form.span.text}`" + ("" if x is None else f" of {x}")
        units = "part" if count == 1 else "parts"
        raise Located(OtherNumberOfParts(what, count, len(targets), units), targets[0].span.to(targets[-1].span))
    if x is None or isinstance(found, int):
        raise Unknown
    taps = [define(walk, target, x.with_channels(size), place, x) for target, size in zip(targets, found, strict=True)]
    parts = tuple([tap for tap in taps if tap is not None])
    return Outcome(Cut(name=place.scope.path, label=None, input=x, output=x, span=form.span, parts=parts), x)
