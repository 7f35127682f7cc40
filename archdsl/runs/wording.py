"""What a run says of itself, as text that fits the terminal: its plan, a table of its epochs, its outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from shlex import quote
from shutil import get_terminal_size
from textwrap import wrap
from typing import NamedTuple

from archdsl.cards.folders import shown_spec
from archdsl.runs.folder import EpochMetrics
from archdsl.runs.plan import Outcome, Plan

#: Names and texts of facts; a name may be empty, which continues the fact before.
Facts = Sequence[tuple[str, str]]
#: The columns of the names.
NAMES = 10
#: How the commands start.
COMMAND = "archdsl "


def terminal_width() -> int:
    """The columns of the terminal ($COLUMNS first); 80 where there is none."""
    return max(get_terminal_size((80, 24)).columns, 20)


def lines_of(facts: Facts, width: int) -> list[str]:
    """A line for each fact, its name first; longer texts continue under themselves, commands and paths are not cut."""
    rest = " " * (NAMES + 2)
    lines = []
    for name, text in facts:
        start = f"{name:<{NAMES}}  "
        folded = wrap(
            text,
            width,
            initial_indent=start,
            subsequent_indent=rest,
            break_long_words="/" not in text,
            break_on_hyphens=False,
        )
        lines += [start + text] if text.startswith(COMMAND) else folded
    return lines


# The plan


def plan_facts(plan: Plan) -> Facts:
    """What the run will do."""
    facts = [
        ("Model", f"{plan.model} in {shown_spec(plan.spec)}" if plan.spec else plan.model),
        ("Parameters", _parameters(plan)),
        ("Input", _inputs(plan)),
        ("Data", _data(plan)),
        ("Augment", ", ".join(plan.augment) or "none"),
        ("Loss", plan.loss),
        ("Optimizer", f"{plan.optimizer}, schedule {plan.schedule}"),
        ("Options", ", ".join(f"{name} = {text}" for name, text in plan.options.items())),
        ("Length", _length(plan)),
        ("Device", _device(plan)),
        ("Run", str(plan.folder)),
        ("Resumed", _resumed(plan)),
    ]
    return [(name, text) for name, text in facts if text]


def _parameters(plan: Plan) -> str:
    share = "all" if plan.trainable_params == plan.params else f"{plan.trainable_params:,}"
    return f"{plan.params:,} ({share} trainable)"


def _inputs(plan: Plan) -> str:
    several = len(plan.inputs) > 1
    shown = []
    for (name, shape), fit in zip(plan.inputs.items(), plan.fit, strict=True):
        sizes = "x".join(map(str, shape))
        shown.append((f"{name} {sizes}" if several else sizes) + (f", {fit}" if fit else ""))
    return "; ".join(shown)


def _data(plan: Plan) -> str:
    where = {"": "", "included": " (included)"}.get(plan.place, f" in {plan.place}")
    counts = f"{plan.dataset}{where}: {plan.train:,} training"
    if plan.validates_on_test:
        return f"{counts} and {plan.test:,} test samples; validation is on the test samples"
    if plan.test:
        return f"{counts}, {plan.validation:,} validation and {plan.test:,} test samples"
    return f"{counts} and {plan.validation:,} validation samples; there are no test samples"


def _length(plan: Plan) -> str:
    batches = f"in batches of {plan.batch:,}"
    if plan.steps == plan.epochs * plan.epoch_steps:
        return f"{_number(plan.epochs, 'epoch')} of {_number(plan.epoch_steps, 'step')} {batches}"
    return f"{_number(plan.steps, 'step')} {batches}, {plan.epoch_steps:,} in an epoch"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _device(plan: Plan) -> str:
    threads = _number(plan.threads, "thread") if plan.device == "cpu" else ""
    inside = ", ".join(filter(None, (plan.device_name, threads)))
    processes = f", {plan.processes} processes" if plan.processes > 1 else ""
    return f"{plan.device} ({inside}), {plan.precision}{processes}"


def _resumed(plan: Plan) -> str:
    if plan.resumed is None:
        return ""
    epoch, step = plan.resumed
    if step:
        return f"in epoch {epoch + 1} of {plan.epochs}, after step {step} of {plan.epoch_steps}"
    return f"after epoch {epoch} of {plan.epochs}" if epoch else "before the first step"


# The epochs


class _Column(NamedTuple):
    """A column of the epochs: its title, the text of a cell, its width, and when it is dropped (0: never)."""

    title: str
    cell: Callable[[EpochMetrics], str]
    width: int
    drop: int = 0


class EpochTable:
    """A line for each epoch, in the columns that fit `width` and whose figures `first` has."""

    def __init__(self, epochs: int, first: EpochMetrics, width: int) -> None:
        wide = len(f"{epochs}/{epochs}")
        start = _Column("epoch", lambda line: f"{line.epoch}/{epochs}", wide)
        shown = [start, *(column for column in COLUMNS if column.cell(first))]
        while _total(shown, 1) > width and any(one.drop for one in shown):
            shown.remove(max(shown, key=lambda one: one.drop))
        self.columns, self.gap = shown, 2 if _total(shown, 2) <= width else 1

    @property
    def header(self) -> str:
        """The titles of the columns."""
        return self._joined([*(one.title for one in self.columns), BEST])

    def line(self, metrics: EpochMetrics, *, best: bool) -> str:
        """The figures of an epoch, marked where it is the best so far."""
        return self._joined([*(one.cell(metrics) for one in self.columns), MARK if best else ""])

    def _joined(self, cells: Sequence[str]) -> str:
        padded = [f"{cell:>{_width(column)}}" for cell, column in zip(cells, self.columns, strict=False)]
        return (" " * self.gap).join([*padded, cells[-1]]).rstrip()


#: The title of the column of marks, and the mark of an epoch that is the best so far.
BEST, MARK = "best", "*"


def _width(column: _Column) -> int:
    return max(len(column.title), column.width)


def _total(columns: Sequence[_Column], gap: int) -> int:
    return sum(map(_width, columns)) + gap * len(columns) + len(BEST)


def figure(value: float) -> str:
    """A loss in four decimals, or with an exponent where these would not show it."""
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e3 or value == 0 else f"{value:.2e}"


def share(value: float | None) -> str:
    """A share in percent, empty where it is not measured."""
    return "" if value is None else f"{value:.2%}"


COLUMNS = (
    _Column("train loss", lambda line: figure(line.train_loss), 8, drop=3),
    _Column("accuracy", lambda line: share(line.train_accuracy), 7, drop=4),
    _Column("val loss", lambda line: figure(line.val_loss), 8),
    _Column("accuracy", lambda line: share(line.val_accuracy), 7),
    _Column("top5", lambda line: share(line.val_top5), 7, drop=1),
    _Column("f1", lambda line: share(line.val_f1), 7, drop=2),
    _Column("lr", lambda line: f"{line.lr:.3g}", 8, drop=6),
    _Column("images/s", lambda line: f"{line.images_per_second:,.0f}", 7, drop=7),
    _Column("time", lambda line: duration(line.seconds), 5, drop=5),
)


# The outcome


def outcome_facts(outcome: Outcome) -> Facts:
    """What the run has done, and what to do next."""
    facts = [("Ended", f"early: no better validation {outcome.monitor} for {_number(outcome.waited, 'epoch')}")]
    facts = facts if outcome.state == "early" else []
    best, last, monitor = outcome.best, outcome.last, outcome.monitor
    if best is not None and best is not last:
        facts.append(("Best", f"{_epoch(best, monitor)} (best.safetensors)"))
    if last is not None:
        name, which = ("Best", ", the last") if best is last else ("Last", "")
        facts.append((name, f"{_epoch(last, monitor)}{which} (weights.safetensors)"))
    if (test := outcome.test) is not None:
        shown = _figures(monitor, loss=test.loss, accuracy=test.accuracy, top5=test.top5, f1=test.f1)
        facts.append(("Test", f"{shown} of {test.samples:,} samples"))
    report = "" if outcome.report is None else f", report in {outcome.report}"
    facts.append(("Saved", f"{outcome.folder} in {duration(outcome.seconds)} of training{report}"))
    return [*facts, *zip(("Next", "", ""), next_commands(outcome), strict=False)]


def _epoch(line: EpochMetrics, monitor: str) -> str:
    names = ("accuracy", "top5", "f1", "loss")
    shown = _figures(monitor, **{name: getattr(line, f"val_{name}") for name in names})
    return f"validation {shown} in epoch {line.epoch}"


def _figures(monitor: str, **found: float | None) -> str:
    """The figures that were measured, the monitored one first."""
    names = sorted(("accuracy", "top5", "f1", "loss"), key=lambda name: name != monitor)
    measured = {name: value for name in names if (value := found[name]) is not None}
    return ", ".join(f"{name} {figure(value) if name == 'loss' else share(value)}" for name, value in measured.items())


def next_commands(outcome: Outcome) -> list[str]:
    """The commands that use a finished run."""
    run = quote(str(outcome.folder))
    name = outcome.folder.resolve().name
    commands = [f"eval {run}", f"predict {run} IMAGE", f"export {run} -o {quote(f'{name}.onnx')}"]
    return [COMMAND + command for command in commands if outcome.images or not command.startswith("predict")]


def duration(seconds: float) -> str:
    """`0.4s`, `42s`, `1:23`, `3h04m`."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if seconds < 59.5:
        return f"{seconds:.0f}s"
    minutes = round(seconds / 60)
    return clock(seconds) if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def clock(seconds: float) -> str:
    """`0:07`, `12:34`, `3:04:05`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
