"""The models of a file, their variants, and the parameters of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from archdsl.arguments.bind import Given, assign
from archdsl.diagnostics import Located, did_you_mean
from archdsl.diagnostics.codes.limits import Recursive, TooDeep
from archdsl.diagnostics.codes.names import UnknownArgument, UnknownName
from archdsl.elaborate.environment import ModelValue
from archdsl.elaborate.modules import Module
from archdsl.syntax import tree
from archdsl.text.limits import MAX_VARIANTS
from archdsl.text.source import Span


def models_in(module: Module, given: Collection[str] = ()) -> list[str]:
    """The models of a file that can be built with the `given` settings alone, in source order."""
    return [name for name, model in module.models.items() if set(open_params(model, module)) <= set(given)]


def default_model(module: Module, given: Collection[str] = ()) -> str | None:
    """The model a command works on unless told otherwise: the one named as the file, else the first."""
    names = models_in(module) or models_in(module, given)
    return module.stem if module.stem in names else next(iter(names), None)


def parameters(module: Module, name: str) -> list[str] | None:
    """The names that can be given as settings to a model of the file; None if there is no such model."""
    params = all_params(module, name)
    return None if params is None else [param.name for param in params]


def all_params(module: Module, name: str) -> list[tree.Param] | None:
    """The parameters of a model and of those that it is a variant of; None if one of them is not known."""
    model = lookup(module, name)
    if model is None:
        return None
    try:
        return [param for one in chain_of(model, module) for param in one.definition.params]
    except Located:
        return None


def lookup(module: Module, name: str) -> ModelValue | None:
    """The model of a name that the file defines or imports."""
    return module.models.get(name) or module.imported_models.get(name)


def chain_of(model: ModelValue, module: Module) -> list[ModelValue]:
    """A variant, the variant or model it is based on, and so on to the model with the body.

    Raises:
        Located: an unknown base, or variants of each other in a circle.
    """
    chain = [model]
    while isinstance(definition := chain[-1].definition, tree.VariantDef):
        base = lookup(module, definition.base.name)
        if base is None:
            known = [*module.models, *module.imported_models]
            span = definition.base.name_span
            helps = did_you_mean(definition.base.name, known, span)
            raise Located(UnknownName(definition.base.name), span, label="no model of that name", helps=helps)
        if base in chain:
            raise Located(Recursive(base.name, ""), definition.base.name_span)
        if len(chain) == MAX_VARIANTS:
            raise Located(TooDeep("variants of variants", MAX_VARIANTS), chain[0].definition.span)
        chain.append(base)
    return chain


def params_of(chain: Sequence[ModelValue]) -> list[list[tree.Param]]:
    """The parameters of each model of a chain: its own, then those of its base that it leaves open."""
    found: list[list[tree.Param]] = []
    for i, model in enumerate(reversed(chain)):
        own = model.definition
        still_open: list[tree.Param] = []
        if isinstance(own, tree.VariantDef):
            still_open = _left_open(found[-1], own.base.arguments, chain[len(chain) - i].definition)
        found.append([*own.params, *still_open])
    return found[::-1]


def _left_open(
    params: Sequence[tree.Param], arguments: Sequence[tree.Argument], base: tree.ModelDef | tree.VariantDef
) -> list[tree.Param]:
    """The parameters of a model that the arguments of its variant leave open; positions are for its own."""
    positions = min(sum(one.name is None for one in arguments), len(base.params))
    given = {one.name for one in arguments}
    return [param for param in params[positions:] if param.name not in given]


def open_params(model: ModelValue, module: Module) -> list[str]:
    """The parameters of a model that have no default and that no variant gives."""
    try:
        chain = chain_of(model, module)
    except Located:
        return []
    return [param.name for param in params_of(chain)[0] if param.default is None]


def _reject_closed(
    what: str, given: Sequence[Given], chain: Sequence[ModelValue], params: Sequence[Sequence[tree.Param]]
) -> None:
    """Reject an argument for the first model of a chain that it, or a variant it is based on, gives itself.

    `params` are those that can be given to each of them.
    """
    takes = [{param.name for param in still_open} for still_open in params] if given else []
    for one in given:
        if one.name is None or one.name in takes[0] or not any(one.name in names for names in takes):
            continue
        place = Span(one.span.source, one.span.start, one.span.start + len(one.name))
        giver = [model.name for model, names in zip(chain, takes, strict=True) if one.name not in names][-1]
        raise Located(UnknownArgument(what, one.name), place, label=f"`{giver}` already sets it")


def require_base(model: ModelValue, module: Module) -> None:
    """Reject a variant's base or arguments, whatever their values are.

    Raises:
        Located: there is no such base, or an argument that it does not take.
    """
    models = chain_of(model, module)
    if not isinstance(model.definition, tree.VariantDef):
        return
    given = [Given(one.name, None, one.span) for one in model.definition.base.arguments]
    assign_to_model(given, models[1:], params_of(models[1:]))


def assign_to_model(
    given: Sequence[Given], chain: Sequence[ModelValue], params: Sequence[Sequence[tree.Param]]
) -> dict[str, Given]:
    """The arguments for the first model of a chain by parameter, its own or those of its base.

    `params` are those that can be given to each of them.

    Raises:
        Located: an argument that it does not take.
    """
    own = [param.name for param in chain[0].definition.params]
    inherited = [param.name for param in params[0] if param.name not in own]
    what = f"model `{chain[0].name}`"
    _reject_closed(what, given, chain, params)
    return assign(what, own, [], given, chain[0].definition.name.span, extra=inherited)
