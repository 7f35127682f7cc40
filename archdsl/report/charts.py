"""Line charts over the epochs as data: scales, ticks and paths, which a template writes as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

#: The size of a chart in its own units, and the margins around the plot.
WIDTH, HEIGHT = 400, 236
LEFT, RIGHT, TOP, BOTTOM = 50, 20, 10, 28
#: Up to so many epochs each value has a marker; of more than MOST only some are drawn.
MARKED, MOST = 40, 1000
#: From this ratio of the largest to the smallest value on, a scale that allows it is logarithmic.
LOG_FROM = 100

Value = float | None
#: Written for what was not measured.
NONE = "–"


@dataclass(frozen=True)
class Series:
    """A line: its name, its colour (`s1` ... `s8` of the style sheet), and a value or None for each epoch."""

    name: str
    colour: str
    values: Sequence[Value]


@dataclass(frozen=True)
class Tick:
    """A mark on an axis at a position of the drawing."""

    at: float
    label: str


@dataclass(frozen=True)
class Scale:
    """Maps values to positions."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        share = ((math.log10(value) if self.log else value) - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True)
class Chart:
    """A line chart over the epochs `xs`.

    text  writes a value, `unit` follows it there and at the ticks
    best  the series and the index of the value that is marked
    """

    title: str
    xs: Sequence[int]
    series: Sequence[Series]
    text: Callable[[float], str]
    unit: str = ""
    may_be_log: bool = False
    best: tuple[int, int] | None = None
    x: Scale = field(init=False)
    y: Scale = field(init=False)

    def __post_init__(self) -> None:
        low, high = (min(self.xs), max(self.xs)) if self.xs else (0, 1)
        pad = 0.5 if low == high else 0
        object.__setattr__(self, "x", Scale(low - pad, high + pad, LEFT, WIDTH - RIGHT))
        object.__setattr__(self, "y", _vertical(self.finite, may_be_log=self.may_be_log))

    width, height, left, right, top, bottom = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM

    @property
    def finite(self) -> list[float]:
        return [
            value for series in self.series for value in series.values if value is not None and math.isfinite(value)
        ]

    @property
    def has_gaps(self) -> bool:
        """Whether a value is infinite or NaN, which is left out of the line."""
        return any(value is not None and not math.isfinite(value) for one in self.series for value in one.values)

    @property
    def is_marked(self) -> bool:
        return len(self.xs) <= MARKED

    def texts(self, series: Series) -> list[str]:
        """The value of each epoch, without spaces or the unit."""
        return [NONE if value is None else self.text(value) for value in series.values]

    def shown(self, series: Series) -> str:
        """The last value, with its unit."""
        value = series.values[-1] if series.values else None
        return NONE if value is None else self.text(value) + (self.unit if math.isfinite(value) else "")

    @property
    def label(self) -> str:
        """The chart in words, for readers who do not see it."""
        if not self.xs:
            return f"{self.title}: no epochs"
        ends = "; ".join(f"{one.name} {self._end(one, 0)} to {self._end(one, -1)}" for one in self.series)
        return f"{self.title} from epoch {self.xs[0]} to {self.xs[-1]}: {ends}. Arrow keys choose an epoch."

    def _end(self, series: Series, index: int) -> str:
        value = series.values[index]
        return NONE if value is None else f"{self.text(value)}{self.unit}"

    @property
    def x_ticks(self) -> list[Tick]:
        """Whole epochs."""
        if not self.xs:
            return []
        first, last = self.xs[0], self.xs[-1]
        step = max(1, round(_nice((last - first) / 6)))
        rest = range(step * (first // step + 1), last + 1, step)
        values = [first, *(value for value in rest if value - first >= step / 2)]
        return [Tick(self.x(value), f"{value:,}") for value in values]

    @property
    def y_ticks(self) -> list[Tick]:
        if self.y.log:
            powers = range(math.ceil(math.log10(self.y.low) - 1e-9), math.floor(math.log10(self.y.high) + 1e-9) + 1)
            return [Tick(self.y(10.0**power), f"{10.0**power:g}") for power in powers]
        return ticks(self.y, self.unit)

    def path(self, series: Series) -> str:
        """The line as SVG's path data, interrupted where a value is missing."""
        parts, drawing = [], False
        for x, value in self.drawn(series):
            if value is None or not math.isfinite(value):
                drawing = False
                continue
            parts.append(f"{'L' if drawing else 'M'}{self.x(x):g} {self.y(value):g}")
            drawing = True
        return "".join(parts)

    def drawn(self, series: Series) -> list[tuple[int, Value]]:
        """The epochs and values that are drawn: all, or every n-th of more than MOST, and the last."""
        every = -(-len(self.xs) // MOST)
        kept = [i for i in range(len(self.xs)) if i % every == 0 or i == len(self.xs) - 1]
        return [(self.xs[i], series.values[i]) for i in kept]

    def points(self, series: Series) -> list[tuple[float, float, int, float]]:
        """The markers: position, epoch and value."""
        known = [(x, value) for x, value in self.drawn(series) if value is not None and math.isfinite(value)]
        return [(self.x(x), self.y(value), x, value) for x, value in known]

    @property
    def best_point(self) -> tuple[float, float] | None:
        """Where the best value is marked."""
        if self.best is None:
            return None
        series, index = self.best
        value = self.series[series].values[index]
        return None if value is None or not math.isfinite(value) else (self.x(self.xs[index]), self.y(value))


def _vertical(values: Sequence[float], *, may_be_log: bool) -> Scale:
    """The scale of the values: a little more than their range, from 0 where that is near."""
    bottom, top = HEIGHT - BOTTOM, TOP
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if may_be_log and low > 0 and high / low >= LOG_FROM:
        return Scale(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)), bottom, top, log=True)
    if low == high:
        pad = abs(low) / 2 or 0.5
        return Scale(low - pad, high + pad, bottom, top)
    floor = 0.0 if 0 <= low < 0.4 * high else low - 0.06 * (high - low)
    return Scale(floor, high + 0.06 * (high - low), bottom, top)


def ticks(scale: Scale, unit: str = "") -> list[Tick]:
    """About five marks at round values."""
    step = _nice((scale.high - scale.low) / 5)
    count = math.floor(scale.high / step + 1e-9) - (first := math.ceil(scale.low / step - 1e-9))
    values = [(first + i) * step for i in range(count + 1)]
    return [Tick(scale(value), _label(value, step) + unit) for value in values]


def _nice(step: float) -> float:
    """The next larger of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step)) if step > 0 else 1.0
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step - 1e-12)


def _label(value: float, step: float) -> str:
    """A tick with the decimals that its step needs."""
    if step < 1e-5 or step >= 1e6:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e+") if abs(value) > step / 2 else "0"
    return f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
