"""`init = ...` and `trainable`: the initializer of each weight, and the weights that are frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from archdsl.arguments.bind import Given, given_of, make
from archdsl.arguments.describe import describe
from archdsl.arguments.values import Construct
from archdsl.diagnostics import Help, Located, Note, Rejected, did_you_mean
from archdsl.diagnostics.codes.names import BadArgument, UnknownName
from archdsl.elaborate.environment import TapValue
from archdsl.layers import all_kinds
from archdsl.layers.base import Layer
from archdsl.shapes import Shape, Tensor
from archdsl.text.source import Span

if TYPE_CHECKING:
    from archdsl.layers.initializers import Initializer

#: The names of parameters that a setting can address for layers of every type.
PARAMETERS = ("weight", "bias")


class Chosen(NamedTuple):
    """An initializer with its place in the file."""

    initializer: Initializer
    span: Span


#: One `init = ...`: initializers by layer type and parameter; "*" stands for all types, "" for those with a matrix.
Rules = Mapping[tuple[str, str], Chosen]
#: The settings in force, the innermost last.
Initialisation = tuple[Rules, ...]


def is_dictionary(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether the value is a dictionary with strings as keys, and not a family of taps."""
    return isinstance(value, dict) and not any(
        isinstance(item, TapValue) or not isinstance(key, str) for key, item in value.items()
    )


def initializer(value: Any, span: Span) -> Chosen:
    """A value such as `kaiming_normal(mode="fan_out")` as an initializer."""
    if not isinstance(value, Construct):
        raise Located(BadArgument("`init`", "init", "must be an initializer", describe(value)), span)
    place = value.span or span
    made = make(f"`{value.name}`", initializer_named(value.name, place), given_of(value, place), place)
    try:
        made.require_sound()
    except Rejected as rejected:
        raise Located(rejected.problem, place) from None
    return Chosen(made, place)


def initializer_named(name: str, span: Span) -> type[Initializer]:
    """The initializer of this name, which stands at the place.

    Raises:
        Located: there is none.
    """
    from archdsl.layers.initializers import INITIALIZERS

    cls = INITIALIZERS.get(name)
    if cls is None:
        helps = did_you_mean(name, INITIALIZERS, span, "known: " + ", ".join(INITIALIZERS))
        raise Located(UnknownName(name), span, label="not an initializer of torch.nn.init", helps=helps)
    return cls


def rules(value: Any, span: Span) -> Rules:
    """The rules of `init = ...` in a body.

    A lone initializer is for the weight of every layer that has a matrix or kernel (not for norms).
    A dictionary addresses layer types (`conv: ...`), parameters of all types (`bias: ...`), or parameters of one
    type (`linear: {weight: ..., bias: ...}`).
    """
    if not is_dictionary(value):
        return {("", "weight"): initializer(value, span)}
    found: dict[tuple[str, str], Chosen] = {}
    for key, entry in value.items():
        require_key(key, span)
        if key in PARAMETERS:
            found["*", key] = initializer(entry, span)
        elif is_dictionary(entry):
            for name, one in entry.items():
                require_parameter(key, name, span)
                found[key, name] = initializer(one, span)
        else:
            require_parameter(key, "weight", span)
            found[key, "weight"] = initializer(entry, span)
    return found


def require_key(key: str, span: Span) -> None:
    """Reject a key of `init = {...}` that is neither a layer type nor a parameter of all of them.

    Raises:
        Located: at the place of the setting.
    """
    if key not in PARAMETERS and key not in all_kinds():
        helps = did_you_mean(key, [*all_kinds(), *PARAMETERS])
        raise Located(UnknownName(key), span, label="neither a layer type nor a parameter", helps=helps)


def require_parameter(kind: str, name: str, span: Span) -> None:
    """Reject a parameter that no layer of this type has.

    Raises:
        Located: at the place of the setting.
    """
    cls = all_kinds()[kind]
    is_known = bool(cls.parameters) or cls.weights is Layer.weights  # a type of another project may not list them
    if is_known and not cls.has_parameter(name):
        listed = ", ".join(f"`{one}`" for one in cls.parameters) or "none"
        helps = did_you_mean(name, cls.parameters, otherwise=f"its parameters: {listed}")
        raise Located(UnknownName(name), span, label=f"no parameter of `{kind}`", helps=helps)


def _rules_for(kind: str, name: str, sizes: int, settings: Iterable[Rules]) -> Chosen | None:
    for rules in settings:
        keys = [(kind, name), ("*", name)] + ([("", name)] if sizes > 1 else [])
        for key in keys:
            if key in rules:
                return rules[key]
    return None


def for_layer(
    kind: str, weights: Mapping[str, Tensor], settings: Initialisation, own: Given | None, span: Span
) -> dict[str, Initializer]:
    """The initializer of each weight of the layer at `span`; weights with PyTorch's default are left out.

    `own` is the layer's argument `init`: an initializer for its `weight` (or its only parameter, whatever that
    is called), or a dictionary by parameter.

    Raises:
        Located: an initializer that is not in torch.nn.init, or that cannot fill its weight.
    """
    its_own = _own(kind, weights, own)
    chosen = dict(its_own)
    for name, tensor in weights.items():
        rule = None if name in chosen else _rules_for(kind, name, len(tensor.shape), reversed(settings))
        if rule is not None:
            chosen[name] = rule
    for name, one in chosen.items():
        sizes = weights[name].shape
        try:
            one.initializer.require_fit(sizes)
        except Rejected as rejected:
            found = f"`{name}` of this `{kind}` is {sizes}"
            label, notes = (found, ()) if one.span.is_inside(span) else ("", (Note(found, span),))
            address = Help(f"name the layers it applies to: `init = {{conv: {one.span.text}}}`")
            helps = (_fitting(sizes) if name in its_own else address,)
            raise Located(rejected.problem, one.span, label=label, notes=notes, helps=helps) from None
    return {name: one.initializer for name, one in chosen.items()}


def _own(kind: str, weights: Mapping[str, Tensor], own: Given | None) -> dict[str, Chosen]:
    """The initializers that the layer's own argument `init` names."""
    chosen: dict[str, Chosen] = {}
    if own is not None and own.value is not None:
        main = next(iter(weights)) if len(weights) == 1 else "weight"
        by_name = own.value if is_dictionary(own.value) else {main: own.value}
        for name, value in by_name.items():
            _require_weight(name, kind, weights, own)
            chosen[name] = initializer(value, own.span)
    return chosen


def _fitting(sizes: Shape) -> Help:
    """Names the initializers for a weight of these sizes that need no arguments."""
    from archdsl.layers.initializers import INITIALIZERS

    fitting = [
        name
        for name, cls in INITIALIZERS.items()
        if (cls.axes is None or len(sizes) in cls.axes)
        and not any(one.is_required() for one in cls.model_fields.values())
    ]
    return Help(
        f"for {len(sizes)} {'axis' if len(sizes) == 1 else 'axes'}: " + ", ".join(f"`{one}`" for one in fitting)
    )


def frozen_weights(
    kind: str, weights: Mapping[str, Tensor], replaced: Mapping[str, Tensor], own: Given | None
) -> frozenset[str]:
    """The parameters of a layer that its argument `trainable` freezes: all with `false`, else by name.

    `replaced` are the parameters after a parametrization; the name of a weight that it computes means all of those
    that it is computed from.
    """
    if own is None:
        return frozenset()
    by_name = trainable_by_name(kind, own)
    if isinstance(by_name, bool):
        return frozenset() if by_name else frozenset(replaced)
    for name in by_name:
        _require_weight(name, kind, {**weights, **replaced}, own)
    named = {name for name, trained in by_name.items() if not trained}
    if named <= replaced.keys():
        return frozenset(named)
    return frozenset((named & replaced.keys()) | (replaced.keys() - weights.keys()))


def trainable_by_name(kind: str, own: Given) -> bool | dict[str, bool]:
    """The value of an argument `trainable`: for all parameters of a layer, or for each by its name."""
    value = own.value
    if not all(isinstance(one, bool) for one in (value.values() if is_dictionary(value) else [value])):
        need = "must be `true`, `false` or a dictionary of these by parameter"
        raise Located(BadArgument(f"`{kind}`", "trainable", need, describe(value)), own.span)
    found: bool | dict[str, bool] = value
    return found


def _require_weight(name: str, kind: str, weights: Mapping[str, Tensor], own: Given) -> None:
    if name not in weights:
        known = ", ".join(f"`{one}`" for one in weights) or "none"
        problem = BadArgument(f"`{kind}`", str(own.name), f"names parameters of the layer ({known})", f"`{name}`")
        raise Located(problem, own.span)
