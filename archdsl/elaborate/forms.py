"""Rules for calls and statements that need no values; the walk and the check of definitions share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archdsl.arguments.bind import Given, assign, assign_fields
from archdsl.arguments.describe import describe, is_number
from archdsl.diagnostics import Help, Located, did_you_mean
from archdsl.diagnostics.codes.limits import Recursive
from archdsl.diagnostics.codes.names import BadArgument, Misplaced, NotALayer, UnknownLayer, WrongInput
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment, KindValue, PartialValue
from archdsl.elaborate.errors import Unknown
from archdsl.elaborate.outside import named
from archdsl.layers import all_kinds, kind_named
from archdsl.layers.base import Layer
from archdsl.syntax import tree
from archdsl.text.source import Span

#: Statements that are written like a layer.
STATEMENTS = ("input", "use", "output", "reuse", "chunk", "split")


class Callee(NamedTuple):
    """The block or layer type that a call means, and the arguments that its value has already."""

    target: BlockValue | type[Layer]
    value: PartialValue | None = None

    @property
    def given(self) -> list[Given]:
        return [] if self.value is None else self.value.given


def callee(form: tree.LayerCall, env: Environment) -> Callee:
    """What a call means, by its name or by that of a parameter that holds a layer or block.

    Raises:
        Located: there is none of that name, or the name stands for something else.
        Unknown: the name's value was wrong, or is not known yet.
    """
    reject_declarations(form)
    try:
        value = env.find(form.name)
    except KeyError:
        value = KindValue(form.name)
    if value is UNKNOWN:
        raise Unknown
    if isinstance(value, str):
        value = named(value, [env]) or value
    whole = value if isinstance(value, PartialValue) else None
    if whole is not None:
        value = whole.callee
    if isinstance(value, BlockValue):
        return Callee(value, whole)
    if not isinstance(value, KindValue):
        raise _not_a_layer(form, value)
    cls = kind_named(value.kind)
    if cls is None:
        raise _unknown_layer(form, env)
    return Callee(cls, whole)


#: The arguments of every layer besides those of its type.
OF_EVERY_LAYER = ("init", "trainable", "parametrization")


def own_arguments(cls: type[Layer], given: Sequence[Given]) -> list[Given]:
    """The arguments that are a layer type's own: no taps, and not those that every layer takes."""
    return [one for one in given if one.name not in OF_EVERY_LAYER and not is_tap(cls, one)]


def require_known(value: PartialValue) -> None:
    """Reject arguments that a layer type or block does not have; what is missing may be given where it is called.

    Raises:
        Located: an argument is unknown, surplus or given twice.
    """
    if isinstance(value.callee, BlockValue):
        params = [param.name for param in value.callee.definition.params]
        assign(f"`{value.callee.name}`", params, (), value.given, value.span)
    elif (cls := kind_named(value.callee.kind)) is not None:
        assign_fields(f"`{cls.kind}`", cls, own_arguments(cls, value.given), value.span, complete=False)


def _not_a_layer(form: tree.LayerCall, value: object) -> Located:
    hides = f"it hides the layer `{form.name}`: rename the value" if kind_named(form.name) else ""
    helps = did_you_mean(value if isinstance(value, str) else "", all_kinds(), otherwise=hides)
    return Located(NotALayer(form.name, describe(value)), form.name_span, helps=helps)


def _unknown_layer(form: tree.LayerCall, env: Environment) -> Located:
    def helps() -> tuple[Help, ...]:
        blocks = {name for name in env.names() if isinstance(env.find(name), BlockValue)}
        known = [*sorted(blocks), *all_kinds(), *STATEMENTS]
        return did_you_mean(form.name, known, form.name_span, "`archdsl layers` lists the layer types")

    return Located(UnknownLayer(form.name), form.name_span, helps=helps)


def reject_declarations(form: tree.LayerCall) -> None:
    """Reject `name: value` in a call of anything but `input`."""
    for one in form.arguments:
        if one.declares and form.name != "input":
            colon = Span(one.span.source, one.span.start + len(str(one.name)), one.value.span.start)
            helps = (Help("an argument by name is written with `=`", colon, "=", certain=True),)
            raise Located(WrongInput(f"`{form.name}` takes no inputs"), one.span, helps=helps)


def recursive(block: tree.BlockDef, way: Sequence[tree.BlockDef]) -> Recursive:
    """The problem of a block that is called again inside the blocks on a `way` of calls, of which it is one."""
    between = ", ".join(f"`{one.name.name}`" for one in way[way.index(block) + 1 :])
    return Recursive(block.name.name, f" through {between}" if between else "")


def no_tensor(span: Span) -> Located:
    """The error of a layer before the model's input."""
    helps = (Help("start the model with its input, for example `input(3x224x224)`"),)
    return Located(Misplaced("there is no tensor yet"), span, helps=helps)


def no_input(span: Span) -> Located:
    """The error of a model without an input; `span` is that of its body."""
    return Located(
        Misplaced("a model must start with `input(...)`"), span, helps=(Help("for example `input(3x224x224)`"),)
    )


def misplaced_input(form: tree.LayerCall) -> Located:
    """The error of an `input` that is not the first statement of a model's own body."""
    return Located(Misplaced("`input` must be the first statement of a model, and appear once"), form.span)


def reject_channels_as_eps(cls: type[Layer], given: Sequence[Given]) -> None:
    """`batchnorm(64)` means PyTorch's BatchNorm2d(64), whose 64 is inferred here, and not eps=64."""
    for name, one in zip(cls.model_fields, (one for one in given if one.name is None), strict=False):
        if name == "eps" and isinstance(one.value, int) and one.value > 1:
            expected = "is the first argument (the number of channels is inferred)"
            raise Located(BadArgument(f"`{cls.kind}`", "eps", expected, describe(one.value)), one.span)


def is_tap(cls: type[Layer], given: Given) -> bool:
    """Whether an argument stands where the layer type takes a tap; some take a number there too."""
    return cls.takes_taps and given.name is None and not (cls.takes_number and is_number(given.value))


def require_combinator(form: tree.CombinatorForm, *, aux: bool = False) -> None:
    """Reject arguments of a combinator that takes none, and an `aux` that stands in another.

    Raises:
        Located: at the argument or the keyword.
    """
    if form.kind not in ("split", "scale") and form.arguments:
        raise Located(Misplaced(f"`{form.kind}` takes no arguments"), form.arguments[0].span)
    if form.kind == "aux" and aux:
        raise Located(Misplaced("`aux` cannot be nested"), form.kind_span)


def reject_taps(item: tree.Item) -> None:
    """Reject several taps of an item with one output.

    Raises:
        Located: at the second tap.
    """
    if item.more:
        helps = (Help("`chunk(2) -> a, b` and `split([8, 24]) -> a, b` make several taps"),)
        raise Located(Misplaced("this has one output, so it can have one tap"), item.more[0].span, helps=helps)


def require_place(form: tree.LayerCall, item: tree.Item, *, block: bool, aux: bool) -> None:
    """Reject a misplaced statement: one with a label, or an `output` outside the model's own body.

    Raises:
        Located: at the label, the tap or the statement.
    """
    reject_declarations(form)
    if item.label is not None:
        raise Located(Misplaced(f"`{form.name}` creates no module, so it cannot have a label"), item.label.span)
    if form.name in ("chunk", "split"):
        if item.tap is None:
            helps = (Help(f"for example `{form.span.text} -> a, b`"),)
            raise Located(Misplaced(f"`{form.name}` without a body needs names for the parts"), form.span, helps=helps)
    elif item.more:
        reject_taps(item)
    if form.name == "output":
        if item.tap is not None:
            raise Located(Misplaced("`output` returns no tensor, so it cannot have a tap"), item.tap.span)
        if block or aux:
            raise Located(Misplaced("`output` is only allowed in a model, not in a block or `aux`"), form.span)
        if not form.arguments:
            raise Located(Misplaced("`output` requires the taps to return"), form.span)
