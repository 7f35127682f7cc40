"""The facts of a run for its reader, before the first step and after the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from archdsl.arguments.values import Construct, spec_text
from archdsl.datasets.splits import Several, Split
from archdsl.recipe import Recipe
from archdsl.recipe.parts import as_construct, plain
from archdsl.runs.best import best_epoch
from archdsl.runs.checkpoint import Position
from archdsl.runs.environment import environment
from archdsl.runs.folder import EpochMetrics, RunFolder
from archdsl.runs.plan import Figures, Outcome, Plan, Resumed
from archdsl.text.paths import shown
from archdsl.train.evaluation import Evaluation
from archdsl.train.setup import Setup, Trainable

#: Entries of the recipe that a plan names among others if they are not at their defaults.
OPTIONS = (
    *("target", "accumulate", "weights", "freeze", "decay", "rates", "clip_norm", "clip_value", "ema", "aux_weight"),
    *("patience", "compile", "sync_batchnorm", "seed"),
)


def plan_of(
    network: Trainable,
    setup: Setup,
    module: nn.Module,
    folder: RunFolder,
    *,
    epoch_steps: int,
    steps: int,
    processes: int,
    resumed: Position | None,
) -> Plan:
    """What a run will do with a network: `steps` in all, from the position at which it is resumed."""
    recipe, data = setup.recipe, setup.data
    machine = environment(setup.device)
    weights = list(module.parameters())
    return Plan(
        model=network.title,
        settings=network.settings,
        spec=shown(network.path),
        params=sum(weight.numel() for weight in weights),
        trainable_params=sum(weight.numel() for weight in weights if weight.requires_grad),
        inputs={name: tuple(shape) for name, shape in network.inputs.items()},
        fit=tuple("" if each is None else each.note for each in data.fits or (data.fit,)),
        dataset=data.name,
        place=data.place,
        train=_count(data.train),
        validation=_count(data.validation),
        test=_count(data.test) if data.has_test else 0,
        validates_on_test=data.validates_on_test,
        classes=len(setup.classes),
        augment=tuple(map(str, recipe.augment)),
        loss=str(recipe.loss),
        optimizer=_optimizer(recipe),
        lr=recipe.optimizer.lr,
        schedule=str(recipe.schedule),
        options=_options(recipe),
        batch=recipe.batch,
        epochs=-(-steps // epoch_steps),
        epoch_steps=epoch_steps,
        steps=steps,
        precision=recipe.precision,
        device=str(setup.device),
        device_name=machine["device_name"],
        threads=machine["threads"],
        processes=processes,
        folder=folder.path,
        resumed=None if resumed is None else Resumed(resumed.epoch, resumed.step),
        images=not isinstance(data.train, Several),
    )


def _count(split: Split) -> int:
    return len(split.labels)


def _optimizer(recipe: Recipe) -> str:
    """The optimizer as a spec writes it, with its learning rate also where that is the default."""
    found = as_construct(recipe.optimizer)
    arguments = {"lr": recipe.optimizer.lr} | dict(found.kwargs)
    return spec_text(Construct(found.name, kwargs=arguments))


def _options(recipe: Recipe) -> Mapping[str, str]:
    default = Recipe()
    values = {name: getattr(recipe, name) for name in OPTIONS}
    return {name: spec_text(plain(value)) for name, value in values.items() if value != getattr(default, name)}


def outcome_of(
    setup: Setup, folder: RunFolder, history: Sequence[EpochMetrics], test: Evaluation | None, *, stalled: int
) -> Outcome:
    """What a run has done; `stalled` is the number of epochs without a better one that ended it, 0 for none."""
    return Outcome(
        state="early" if stalled else "finished",
        folder=folder.path,
        monitor=setup.monitor,
        best=best_epoch(history, setup.monitor),
        last=history[-1] if history else None,
        test=None if test is None else Figures(test.samples, test.loss, test.accuracy, test.top5, _f1(setup, test)),
        waited=stalled,
        report=_report(folder) if setup.recipe.report else None,
        seconds=sum(line.seconds for line in history),
        images=not isinstance(setup.data.train, Several),
    )


def _f1(setup: Setup, found: Evaluation) -> float | None:
    return found.f1 if "f1" in setup.figures else None


def _report(folder: RunFolder) -> Path | None:
    return folder.report if folder.report.is_file() else None
