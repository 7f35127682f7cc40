"""Everything that is wrong with a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, Located, Note, Problem, SpecError
from archdsl.diagnostics.codes.files import NothingDefined
from archdsl.diagnostics.codes.limits import TooManyModels
from archdsl.elaborate.modules import Module, load_module
from archdsl.elaborate.run import Run, position
from archdsl.elaborate.variants import models_in, require_base
from archdsl.graph.network import Network
from archdsl.syntax import tree
from archdsl.text.limits import MAX_ERRORS, MAX_STEPS_AFTER_ERROR, MAX_STEPS_OF_FILE, STEPS_OF_LAYER
from archdsl.text.source import Source, Span


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
    return Checked(sorted(found.values(), key=position), len(module.models), blocks)


def _problems_of_definitions(module: Module) -> Sequence[Diagnostic]:
    from archdsl.elaborate.definitions import check_definitions

    return check_definitions(module.with_imports()).errors


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
        run = Run(module, model, None, {})
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
    from archdsl.recipe import read_recipe
    from archdsl.recipe.fit import misfits

    found = misfits(read_recipe(network.recipe), network, network.path)
    return [dataclasses.replace(one, notes=(*one.notes, Note(f"for model `{network.name}`"))) for one in found]


def _problems_of_variants(module: Module) -> Iterator[Diagnostic]:
    """Unknown bases of variants, and arguments that a base does not take."""
    for each in module.with_imports():
        for model in each.models.values():
            try:
                require_base(model, each)
            except Located as error:
                yield error.diagnostic()
