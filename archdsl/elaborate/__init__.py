"""From a spec's text to checked networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.arguments.values import Construct, Entry, RecipeEntries
from archdsl.diagnostics import Diagnostic, Help, Note, Problem, SpecError
from archdsl.diagnostics.codes.files import NoModel, NothingDefined, UnknownModel
from archdsl.diagnostics.codes.limits import Recursive, TooDeep, TooManyModels
from archdsl.diagnostics.codes.names import DuplicateName, UnknownArgument, UnknownName
from archdsl.elaborate.binding import Given, assign
from archdsl.elaborate.elaborator import Elaborator, Place
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment, ModelValue
from archdsl.elaborate.errors import Located, Stop, Unknown
from archdsl.elaborate.files import Loader, Module, read
from archdsl.elaborate.names import Scope
from archdsl.elaborate.outside import Outside, blocks_in, plain
from archdsl.graph.network import Network
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS, MAX_STEPS_AFTER_ERROR, MAX_STEPS_OF_FILE, MAX_VARIANTS, STEPS_OF_LAYER
from archdsl.text.source import Source, Span
from archdsl.text.suggest import suggestion

__all__ = ["check_source", "default_model", "elaborate", "load_module", "models_in", "parameters", "read"]


def load_module(source: Source, path: Path | None = None) -> Module:
    """A source with all it imports; imports are looked for beside `path`.

    Raises:
        SpecError: with all errors of syntax, imports and definitions.
    """
    loader = Loader()
    module = loader.load(source, (path or Path(source.path)).absolute())
    if loader.diagnostics:
        raise SpecError(loader.diagnostics)
    return module


def _text_of(module: Module, model: str, blocks: Sequence[BlockValue]) -> tuple[str, Mapping[BlockValue, str]]:
    """A text from which `model` can be made again, and what the `blocks` are called in it.

    It is the file's own, or where that imports others, the model with its parts and the blocks.
    """
    if not any(isinstance(item, tree.Import) for item in module.file.items):
        return module.source.text, {}
    from archdsl.elaborate.standalone import standalone

    return standalone(module, model, model, blocks)


def models_in(module: Module, given: Collection[str] = ()) -> list[str]:
    """The models of a file that can be built with the `given` settings alone, in the order of the text."""
    return [name for name, model in module.models.items() if set(_open_params(model, module)) <= set(given)]


def default_model(module: Module, given: Collection[str] = ()) -> str | None:
    """The model a command works on unless told otherwise: the one named as the file, else the first."""
    names = models_in(module) or models_in(module, given)
    stem = Path(module.source.path).stem
    return stem if stem in names else next(iter(names), None)


def parameters(module: Module, name: str) -> list[str] | None:
    """The names that can be given as settings to a model of the file; None where there is no such model."""
    model = _lookup(module, name)
    if model is None:
        return None
    try:
        return [param.name for one in _chain(model, module) for param in one.definition.params]
    except Located:
        return None


def _lookup(module: Module, name: str) -> ModelValue | None:
    return module.models.get(name) or module.imported_models.get(name)


def _chain(model: ModelValue, module: Module) -> list[ModelValue]:
    """A variant, the variant or model it is based on, and so on to the model with the body.

    Raises:
        Located: an unknown base, or variants that go round in a circle.
    """
    chain = [model]
    while isinstance(definition := chain[-1].definition, tree.VariantDef):
        base = _lookup(module, definition.base.name)
        if base is None:
            known = [*module.models, *module.imported_models]
            meant = suggestion(definition.base.name, known)
            span = definition.base.name_span
            helps = (Help(f"did you mean `{meant}`?", span, meant),) if meant else ()
            raise Located(UnknownName(definition.base.name), span, label="no model of that name", helps=helps)
        if base in chain:
            raise Located(Recursive(base.name, ""), definition.base.name_span)
        if len(chain) == MAX_VARIANTS:
            raise Located(TooDeep("variants of variants", MAX_VARIANTS), chain[0].definition.span)
        chain.append(base)
    return chain


def _params(chain: Sequence[ModelValue]) -> list[list[tree.Param]]:
    """What can be given to each model of a chain: its own parameters, then those it leaves open in its base."""
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


def _open_params(model: ModelValue, module: Module) -> list[str]:
    """The parameters of a model that have no default and that no variant gives."""
    try:
        chain = _chain(model, module)
    except Located:
        return []
    return [param.name for param in _params(chain)[0] if param.default is None]


def elaborate(
    module: Module,
    name: str | None = None,
    *,
    input: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Network:
    """A model of a file, expanded and checked.

    Raises:
        SpecError: there is no such model, a setting it does not have, or anything wrong in it.
    """
    chosen = name or default_model(module, settings or ())
    if chosen is None:
        params = {model: _open_params(value, module) for model, value in module.models.items()}
        more = "".join(f"; `{model}` needs {', '.join(names)}" for model, names in params.items())
        raise SpecError([Diagnostic(NoModel(module.source.path, more), path=module.source.path)])
    model = _lookup(module, chosen)
    if model is None:
        known = [*module.models, *module.imported_models]
        meant = suggestion(chosen, known)
        helps = (Help(f"did you mean `{meant}`?"),) if meant else ()
        listed = ", ".join(f"`{one}`" for one in known) or "none"
        problem = UnknownModel(module.source.path, chosen, listed)
        raise SpecError([Diagnostic(problem, path=module.source.path, helps=helps)])
    return _Run(module, model, input, settings or {}).network()


class _Run:
    """One model on its way through the elaborator."""

    def __init__(
        self, module: Module, model: ModelValue, input: Sequence[int] | None, settings: Mapping[str, Any]
    ) -> None:
        self.module = module
        self.model = model
        self.settings = dict(settings)
        self.used: dict[str, Any] = {}
        self.elaborator = Elaborator()
        self.elaborator.given_input = tuple(input) if input is not None else None

    def network(self) -> Network:
        elaborator = self.elaborator
        try:
            definition, env = self._bind()
        except Located as error:
            elaborator.report(error, Place(Scope(), Environment()))
            raise SpecError(elaborator.diagnostics) from None
        # The recipe is this file's, whatever file the model's body is from, and the body may bind its parameters again.
        params = Environment(self.module.globals, dict(env.values))
        root = elaborator.model(definition.body, env, self.model.name)
        recipe = self._recipe(params)
        if elaborator.diagnostics:
            raise SpecError(sorted(elaborator.diagnostics, key=_position))
        spec, names = _text_of(self.module, self.model.name, blocks_in(self.used))
        return Network(
            name=self.model.name,
            settings={name: plain(value, names) for name, value in self.used.items()},
            root=root,
            outputs=tuple(elaborator.outputs),
            spec=spec,
            path=self.module.source.path,
            recipe=recipe,
        )

    def _bind(self) -> tuple[tree.ModelDef, Environment]:
        """The model with the body and the values of its parameters: settings first, then what the variants give."""
        chain = _chain(self.model, self.module)
        self._reject_unknown_settings(chain)
        given: list[Given] = []
        params = _params(chain)
        for i, model in enumerate(chain):
            definition = model.definition
            names = [param.name for param in definition.params]
            what = f"model `{model.name}`"
            bound = _assign_to_model(given, chain[i:], params[i:])
            own = {name: one for name, one in bound.items() if name in names}
            own |= {
                name: Given(name, Outside(self.settings[name], self.module.globals), definition.name.span)
                for name in names
                if name in self.settings
            }
            env = self.elaborator.bind(what, definition.params, list(_named(own)), model.home, definition.name.span)
            self.used |= {name: env.values[name] for name in names}
            if isinstance(definition, tree.ModelDef):
                return definition, env
            given = self._arguments(definition.base, chain[i + 1].definition.params, env)
            given += [one for name, one in bound.items() if name not in names]
        raise AssertionError("a chain of variants ends in a model")

    def _arguments(self, base: tree.Call, params: Sequence[tree.Param], env: Environment) -> list[Given]:
        """What a variant gives to its base; what a setting replaces is not evaluated."""
        given, names = [], iter(params)
        for one in base.arguments:
            param = next(names, None) if one.name is None else None
            name = param.name if param else one.name
            if name in self.settings:
                given.append(Given(one.name, UNKNOWN, one.value.span if one.name is None else one.span))
            else:
                given += self.elaborator.arguments([one], Place(Scope(), env))
        return given

    def _reject_unknown_settings(self, chain: Sequence[ModelValue]) -> None:
        known = [param.name for model in chain for param in model.definition.params]
        for name in self.settings:
            if name not in known:
                meant = suggestion(name, known)
                listed = ", ".join(f"`{one}`" for one in known) or "none"
                hint = f"did you mean `{meant}`?" if meant else f"its parameters are {listed}"
                problem = UnknownArgument(f"model `{self.model.name}`", name)
                diagnostic = Diagnostic(problem, path=self.module.source.path, helps=(Help(hint),))
                raise SpecError([diagnostic])

    def _recipe(self, env: Environment) -> RecipeEntries | None:
        """The entries of the `train` block for this model; one that names the model goes before one for all."""
        blocks = [block for block in self.module.trains if self._is_for(block)]
        if not blocks:
            return None
        block = max(blocks, key=lambda one: bool(one.models))
        entries: RecipeEntries = {}
        self.elaborator.evaluator.has_tensor = False  # `features` is a label here, and no figure
        for setting in block.entries:
            try:
                if setting.name in entries:
                    raise Located(DuplicateName("the entry", setting.name), setting.name_span)
                value = self.elaborator.evaluator.evaluate(setting.value, env, constructs=True)
                entries[setting.name] = Entry(_constructs(value), setting.span)
            except (Unknown, Stop):
                continue
            except Located as error:
                self.elaborator.report(error, Place(Scope(), env))
        return entries

    def _is_for(self, block: tree.TrainDef) -> bool:
        for name in block.models:
            if _lookup(self.module, name.name) is None:
                error = Located(UnknownName(name.name), name.span, label="no model of that name")
                self.elaborator.report(error, Place(Scope(), Environment()))
        return not block.models or self.model.name in [name.name for name in block.models]


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
        raise Located(UnknownArgument(what, one.name), place, label=f"`{giver}` gives it itself")


def _named(bound: Mapping[str, Given]) -> Iterator[Given]:
    return (Given(name, one.value, one.span) for name, one in bound.items())


def _constructs(value: Any) -> Any:
    """A recipe's value; a name that happens to be a block's is only a name here."""
    if isinstance(value, BlockValue):
        return Construct(value.name, span=value.definition.name.span)
    if isinstance(value, list):
        return [_constructs(item) for item in value]
    return list(value) if isinstance(value, range) else value


def _position(diagnostic: Diagnostic) -> tuple[str, int]:
    span = diagnostic.span
    return ("", -1) if span is None else (span.source.path, span.start)


class Checked(NamedTuple):
    """What a check looked at, and all that is wrong, in the order of the text."""

    errors: list[Diagnostic]
    models: int = 0
    blocks: int = 0


def check_source(source: Source, path: Path | None = None) -> Checked:
    """All that is wrong with a file: with its definitions, those of the files it imports, its models and recipes.

    Every definition is looked at as it is written, and every model that can be built without settings is expanded.
    """
    try:
        module = load_module(source, path)
    except SpecError as error:
        return Checked(list(error.diagnostics))
    if not module.file.items:
        return Checked([Diagnostic(NothingDefined(source.path), path=source.path)])
    found: dict[tuple[Span | None, Problem], Diagnostic] = {}
    # What the expansion says comes first: it knows more, and the calls that led there.
    finders = (_problems_of_models, _problems_of_definitions, _problems_of_variants)
    for one in (one for find in finders for one in find(module)):
        found.setdefault((one.span, one.problem), one)
        if len(found) == MAX_ERRORS:
            break
    blocks = sum(isinstance(item, tree.BlockDef) for item in module.file.items)
    return Checked(sorted(found.values(), key=_position), len(module.models), blocks)


def _problems_of_definitions(module: Module) -> Sequence[Diagnostic]:
    from archdsl.elaborate.definitions import problems_of

    return problems_of(module.with_imports())


def _problems_of_models(module: Module) -> Iterator[Diagnostic]:
    """What is wrong with the models that can be built, and with their recipes.

    Those that are left when the others took too many steps are not looked at; after an error nobody misses them.
    """
    steps, most = 0, MAX_STEPS_OF_FILE
    for name in models_in(module):
        model = module.models[name]
        if steps > most:
            if most == MAX_STEPS_OF_FILE:
                problem = TooManyModels(MAX_STEPS_OF_FILE, name)
                yield Diagnostic(problem, model.definition.name.span)
            return
        run = _Run(module, model, None, {})
        try:
            network = run.network()
            found: Sequence[Diagnostic] = () if network.recipe is None else _problems_of_recipe(network)
        except SpecError as error:
            found = error.diagnostics
        if found:
            most = MAX_STEPS_AFTER_ERROR
        yield from found
        steps += run.elaborator.evaluator.steps + STEPS_OF_LAYER * run.elaborator.layers


def _problems_of_recipe(network: Network) -> Sequence[Diagnostic]:
    """What does not suit the network in its recipe.

    Raises:
        SpecError: the recipe itself is wrong.
    """
    from archdsl.recipe import Recipe
    from archdsl.recipe.fit import misfits

    found = misfits(Recipe.from_entries(network.recipe), network, network.path)
    return [dataclasses.replace(one, notes=(*one.notes, Note(f"for model `{network.name}`"))) for one in found]


def _problems_of_variants(module: Module) -> Iterator[Diagnostic]:
    """Unknown bases of variants, and arguments that a base does not take."""
    for each in module.with_imports():
        for model in each.models.values():
            try:
                _require_base(model, each)
            except Located as error:
                yield Diagnostic(error.problem, error.span, error.label, error.notes, error.helps)


def _require_base(model: ModelValue, module: Module) -> None:
    """Reject a variant's base or arguments, whatever their values are.

    Raises:
        Located: there is no such base, or an argument that it does not take.
    """
    models = _chain(model, module)
    if not isinstance(model.definition, tree.VariantDef):
        return
    given = [
        Given(one.name, None, one.value.span if one.name is None else one.span)
        for one in model.definition.base.arguments
    ]
    _assign_to_model(given, models[1:], _params(models[1:]))


def _assign_to_model(
    given: Sequence[Given], chain: Sequence[ModelValue], params: Sequence[Sequence[tree.Param]]
) -> dict[str, Given]:
    """The arguments for the first model of a chain by the parameters they are for, its own or those it hands on.

    `params` are those that can be given to each of them.

    Raises:
        Located: an argument that it does not take.
    """
    own = [param.name for param in chain[0].definition.params]
    handed_on = [param.name for param in params[0] if param.name not in own]
    what = f"model `{chain[0].name}`"
    _reject_closed(what, given, chain, params)
    return assign(what, own, [], given, chain[0].definition.name.span, extra=handed_on)
