"""One model of a file, expanded and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property
from typing import Any

from archdsl.arguments.bind import Given
from archdsl.arguments.values import Construct, Entry, RecipeEntries
from archdsl.diagnostics import Diagnostic, Help, Located, SpecError, did_you_mean
from archdsl.diagnostics.codes.files import NoModel, UnknownModel
from archdsl.diagnostics.codes.names import DuplicateName, UnknownArgument, UnknownName
from archdsl.elaborate.calls import arguments, bind
from archdsl.elaborate.elaborator import Elaborator
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment, ModelValue
from archdsl.elaborate.errors import Reporting, Stop, Unknown
from archdsl.elaborate.modules import Module
from archdsl.elaborate.outside import Outside, blocks_in, plain
from archdsl.elaborate.variants import assign_to_model, chain_of, default_model, lookup, open_params, params_of
from archdsl.elaborate.walk import UNKNOWN_SHAPE
from archdsl.graph import Group
from archdsl.graph.network import Network
from archdsl.shapes import InputSizes, Shape
from archdsl.syntax import tree
from archdsl.text.limits import STEPS_OF_LAYER
from archdsl.text.source import Span

#: The errors whose cause may be the size of the input.
ABOUT_SIZES = frozenset({"E402", "E403", "E404", "E406"})


def elaborate(
    module: Module,
    name: str | None = None,
    *,
    input: InputSizes | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Network:
    """A model of a file, expanded and checked.

    Raises:
        SpecError: there is no such model, a setting it does not have, or anything wrong in it.
    """
    run = run_of(module, name, input=input, settings=settings)
    network = run.network
    if run.diagnostics:
        raise SpecError(run.diagnostics)
    return network


def run_of(
    module: Module,
    name: str | None = None,
    *,
    input: InputSizes | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """The expansion of a model of a file, which may have errors; arguments as those of `elaborate`.

    Raises:
        SpecError: there is no such model, or none that can be built with the settings.
    """
    return Run(module, choose(module, name, settings or {}), input, settings or {})


def choose(module: Module, name: str | None, settings: Mapping[str, Any]) -> ModelValue:
    """The model of a file that is meant by `name`, or the default model.

    Raises:
        SpecError: there is no such model, or none that can be built with the settings.
    """
    chosen = name or default_model(module, settings)
    if chosen is None:
        params = {model: open_params(value, module) for model, value in module.models.items()}
        more = "".join(f"; `{model}` requires {', '.join(names)}" for model, names in params.items())
        raise SpecError([Diagnostic(NoModel(module.source.path, more), path=module.source.path)])
    model = lookup(module, chosen)
    if model is None:
        known = [*module.models, *module.imported_models]
        listed = ", ".join(f"`{one}`" for one in known) or "none"
        problem = UnknownModel(module.source.path, chosen, listed)
        raise SpecError([Diagnostic(problem, path=module.source.path, helps=did_you_mean(chosen, known))])
    return model


class Run:
    """The expansion of one model. `used` has the values of its parameters."""

    def __init__(
        self, module: Module, model: ModelValue, input: InputSizes | None, settings: Mapping[str, Any]
    ) -> None:
        self.module = module
        self.model = model
        self.settings = dict(settings)
        self.used: dict[str, Any] = {}
        self.elaborator = Elaborator(input)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """The errors that were found, in the order of the files."""
        return sorted(map(self._with_sizes, self.elaborator.diagnostics), key=position)

    def _with_sizes(self, diagnostic: Diagnostic) -> Diagnostic:
        """An error with the input sizes without it, if its report is shown and it has no edit that fixes it."""
        if diagnostic.code not in ABOUT_SIZES or any(help.span for help in diagnostic.helps):
            return diagnostic
        return dataclasses.replace(diagnostic, more=self._other_sizes)

    @cached_property
    def _other_sizes(self) -> Callable[[], tuple[Help, ...]]:
        from archdsl.elaborate.nearby import MOST_STEPS, other_sizes

        elaborator = self.elaborator
        named = {tap.name: tap.shape for tap in elaborator.inputs}
        inputs = named or ({} if elaborator.input is None else {"": elaborator.input})
        left = MOST_STEPS

        def fits(inputs: Mapping[str, Shape]) -> bool | None:
            nonlocal left
            run = Run(self.module, self.model, inputs if named else inputs[""], self.settings)
            run.elaborator.most_errors = 1
            _ = run.network
            left -= run.steps
            return None if left < 0 else not run.elaborator.diagnostics

        return cache(lambda: other_sizes(inputs, fits))

    @property
    def steps(self) -> int:
        """The size of the expansion."""
        return self.elaborator.evaluator.steps + STEPS_OF_LAYER * self.elaborator.layers

    @cached_property
    def network(self) -> Network:
        """The model, expanded; after an error, as far as it is known."""
        elaborator = self.elaborator
        root, recipe = unknown_graph(self.model.definition.span), None
        try:
            with Reporting(elaborator.report):
                definition, env = self._bind()
                # The recipe is this file's, whatever file the body is from; the body may bind its parameters again.
                params = Environment(self.module.globals, dict(env.values))
                root = elaborator.model(definition.body, env, self.model.name)
                recipe = self._recipe(params)
        except Stop as stop:
            with suppress(Stop):  # that there are too many errors is no other one
                elaborator.report(stop)
        known = {name: value for name, value in self.used.items() if value is not UNKNOWN}
        whole = not self.module.is_broken and not elaborator.diagnostics
        spec, names = _text_of(self.module, self.model.name, blocks_in(known), alone=whole)
        return Network(
            name=self.model.name,
            settings={name: plain(value, names) for name, value in known.items()},
            root=root,
            outputs=tuple(elaborator.outputs),
            requirements=tuple(dict.fromkeys(elaborator.requirements)),
            named_inputs=tuple(elaborator.inputs),
            spec=spec,
            path=self.module.source.path,
            recipe=recipe,
            reads=frozenset(elaborator.evaluator.reads),
        )

    def _bind(self) -> tuple[tree.ModelDef, Environment]:
        """The model with the body and its parameters' values: settings first, then the variants' arguments."""
        chain = chain_of(self.model, self.module)
        self._reject_unknown_settings(chain)
        given: list[Given] = []
        params = params_of(chain)
        for i, model in enumerate(chain):
            definition = model.definition
            names = [param.name for param in definition.params]
            what = f"model `{model.name}`"
            bound = assign_to_model(given, chain[i:], params[i:])
            own = {name: one for name, one in bound.items() if name in names}
            own |= {
                name: Given(name, Outside(self.settings[name], self.module.globals), definition.name.span)
                for name in names
                if name in self.settings
            }
            env = bind(self.elaborator, what, definition.params, list(_named(own)), model.home, definition.name.span)
            self.used |= {name: env.values[name] for name in names}
            if isinstance(definition, tree.ModelDef):
                return definition, env
            given = self._arguments(definition.base, chain[i + 1].definition.params, env)
            given += [one for name, one in bound.items() if name not in names]
        raise AssertionError("a chain of variants ends in a model")

    def _arguments(self, base: tree.Call, params: Sequence[tree.Param], env: Environment) -> list[Given]:
        """The arguments of a variant's base; those that a setting replaces are not evaluated."""
        given, names = [], iter(params)
        for one in base.arguments:
            param = next(names, None) if one.name is None else None
            name = param.name if param else one.name
            if name in self.settings:
                given.append(Given(one.name, UNKNOWN, one.span))
            else:
                given += arguments(self.elaborator, [one], env)
        return given

    def _reject_unknown_settings(self, chain: Sequence[ModelValue]) -> None:
        known = [param.name for model in chain for param in model.definition.params]
        for name in self.settings:
            if name not in known:
                listed = ", ".join(f"`{one}`" for one in known) or "none"
                problem = UnknownArgument(f"model `{self.model.name}`", name)
                helps = did_you_mean(name, known, otherwise=f"its parameters are {listed}")
                self.elaborator.diagnostics.append(Diagnostic(problem, path=self.module.source.path, helps=helps))
                raise Unknown

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
                self.elaborator.report(error)
        return entries

    def _is_for(self, block: tree.TrainDef) -> bool:
        for name in block.models:
            if lookup(self.module, name.name) is None:
                error = Located(UnknownName(name.name), name.span, label="no model of that name")
                self.elaborator.report(error)
        return not block.models or self.model.name in [name.name for name in block.models]


def unknown_graph(span: Span) -> Group:
    """The graph of a model of which nothing is known."""
    return Group(name="", label="", input=UNKNOWN_SHAPE, output=UNKNOWN_SHAPE, span=span, nodes=())


def _text_of(
    module: Module, model: str, blocks: Sequence[BlockValue], *, alone: bool
) -> tuple[str, Mapping[BlockValue, str]]:
    """A source of the model and the names of the `blocks` in it.

    It is the file's own; if that imports others and the source is to stand `alone`, the model with all its parts.
    """
    if not alone or not module.imports:
        return module.source.text, {}
    from archdsl.elaborate.standalone import standalone

    return standalone(module, model, model, blocks)


def _named(bound: Mapping[str, Given]) -> Iterator[Given]:
    return (Given(name, one.value, one.span) for name, one in bound.items())


def _constructs(value: Any) -> Any:
    """A recipe's value; the name of a block is only a name here."""
    if isinstance(value, BlockValue):
        return Construct(value.name, span=value.definition.name.span)
    if isinstance(value, list):
        return [_constructs(item) for item in value]
    return list(value) if isinstance(value, range) else value


def position(diagnostic: Diagnostic) -> tuple[str, int]:
    """The sort key of a diagnostic: its file, then its offset there."""
    span = diagnostic.span
    return ("", -1) if span is None else (span.source.path, span.start)
