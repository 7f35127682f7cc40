"""Checks a file: all errors of its definitions, models and recipes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.diagnostics import Diagnostic, Located, Note, Problem, SpecError
from archdsl.diagnostics.codes.files import NothingDefined
from archdsl.diagnostics.codes.limits import TooManyModels
from archdsl.elaborate.modules import Module, Reader, load, read
from archdsl.elaborate.references import Definition
from archdsl.elaborate.run import Run, position
from archdsl.elaborate.variants import models_in, require_base
from archdsl.graph.network import Network
from archdsl.graph.requirement import Requirement
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS, MAX_STEPS_AFTER_ERROR, MAX_STEPS_OF_FILE
from archdsl.text.source import Source, Span

if TYPE_CHECKING:
    from archdsl.elaborate.warnings import Expanded


class Checked(NamedTuple):
    """The errors and warnings of a file in source order, the number of models and blocks checked, and the files that it
    imports.
    """

    errors: list[Diagnostic]
    models: int = 0
    blocks: int = 0
    warnings: Sequence[Diagnostic] = ()
    imported: frozenset[Path] = frozenset()


class Found(NamedTuple):
    """The errors and warnings of a file in source order, and the names that it and its imports define."""

    errors: list[Diagnostic]
    definitions: list[Definition]
    warnings: list[Diagnostic]


def check_source(
    source: Source, path: Path | None = None, required: Sequence[Requirement] = (), read: Reader = read
) -> Checked:
    """Check a file: its definitions, those of the files it imports with `read`, its models and recipes.

    Every definition is checked as it is written; every model that can be built without settings is expanded, and must
    also meet what is `required`.
    """
    module, errors = load(source, path, read)
    if errors:
        return Checked(errors)
    blocks = sum(isinstance(item, tree.BlockDef) for item in module.file.items)
    found = check_module(module, required=required)
    imported = frozenset(Path(one.source.path).resolve() for one in module.with_imports()[1:])
    return Checked(found.errors, len(module.models), blocks, found.warnings, imported)


def check_module(
    module: Module, chosen: Run | None = None, required: Sequence[Requirement] = (), runs: Iterable[Run] | None = None
) -> Found:
    """Check a file that could be loaded. `chosen` is a model to check first, optionally with settings.

    `runs` are the expansions to look at, instead of those of all models. Warnings are those of a file without errors,
    from which they might follow.
    """
    from archdsl.elaborate.definitions import check_definitions
    from archdsl.elaborate.warnings import Expanded, warnings_of

    errors, definitions = check_definitions(module.with_imports())
    found: dict[tuple[Span | None, Problem], Diagnostic] = {}
    # Errors of the expansion come first: they have the calls that led there.
    expanded = Expanded()
    for one in chain(
        _problems_of_models(_runs(module, chosen) if runs is None else runs, required, expanded),
        errors,
        _problems_of_variants(module),
    ):
        found.setdefault((one.span, one.problem), one)
        if len(found) == MAX_ERRORS:
            break
    if not module.file.items:
        nothing = NothingDefined(module.source.path)
        found[None, nothing] = Diagnostic(nothing, path=module.source.path)
    warnings = [] if found else warnings_of(module, definitions, expanded)
    return Found(sorted(found.values(), key=position), definitions, warnings)


def _runs(module: Module, chosen: Run | None) -> Iterator[Run]:
    """The expansions of all models that can be built without settings, and of the `chosen` one first."""
    if chosen is not None:
        yield chosen
    for name in models_in(module):
        if chosen is None or module.models[name] is not chosen.model:
            yield Run(module, module.models[name], None, {})


def _problems_of_models(
    runs: Iterable[Run], required: Sequence[Requirement], expanded: Expanded
) -> Iterator[Diagnostic]:
    """Errors of the models that can be built, and of their recipes; `expanded` looks at those without any.

    Models that are left when the others took too many steps are not checked; that is an error, except after others.
    """
    steps, most = 0, MAX_STEPS_OF_FILE
    for run in runs:
        if steps > most:
            if most == MAX_STEPS_OF_FILE:
                problem = TooManyModels(MAX_STEPS_OF_FILE, run.model.name)
                yield Diagnostic(problem, run.model.definition.name.span)
            return
        network = run.network
        found = run.diagnostics or [*_unmet(run, required), *_problems_of_recipe(network)]
        if found:
            most = MAX_STEPS_AFTER_ERROR
        else:
            expanded.add(network)
        yield from found
        steps += run.steps


def _unmet(run: Run, required: Sequence[Requirement]) -> list[Diagnostic]:
    """Requirements that a model does not meet; at its name if they are not the file's."""
    network, name = run.network, run.model.definition.name.span
    if not (network.requirements or required):
        return []
    from archdsl.graph.requirements import unmet

    own = unmet(network)
    others = [dataclasses.replace(one, span=name) for one in unmet(network, required)[len(own) :]]
    note = Note(f"for model `{network.name}`")
    return [dataclasses.replace(one, notes=(*one.notes, note)) for one in (*own, *others)]


def _problems_of_recipe(network: Network) -> list[Diagnostic]:
    """Errors of the network's recipe, and entries that do not fit the network."""
    if network.recipe is None:
        return []
    from archdsl.recipe import read_recipe
    from archdsl.recipe.fit import misfits

    try:
        found = misfits(read_recipe(network.recipe), network, network.path)
    except SpecError as error:
        return list(error.diagnostics)
    return [dataclasses.replace(one, notes=(*one.notes, Note(f"for model `{network.name}`"))) for one in found]


def _problems_of_variants(module: Module) -> Iterator[Diagnostic]:
    """Unknown bases of variants, and arguments that a base does not take."""
    for each in module.with_imports():
        for model in each.models.values():
            try:
                require_base(model, each)
            except Located as error:
                yield error.diagnostic()
