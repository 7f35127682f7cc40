"""Charts as data: whole epochs, round ticks, gaps, scales."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from archdsl.report.charts import BOTTOM, HEIGHT, LEFT, MOST, RIGHT, TOP, WIDTH, Chart, Series

NAN = float("nan")


def chart(values: Sequence[float | None], *, log: bool = False) -> Chart:
    return Chart("Loss", range(1, len(values) + 1), [Series("a", "1", values)], "{:.2f}".format, may_be_log=log)


@pytest.mark.parametrize(
    ("epochs", "ticks"),
    [
        (1, ["1"]),
        (2, ["1", "2"]),
        (3, ["1", "2", "3"]),
        (10, ["1", "2", "4", "6", "8", "10"]),
        (90, ["1", "20", "40", "60", "80"]),
        (1200, ["1", "200", "400", "600", "800", "1,000", "1,200"]),
    ],
)
def test_epochs_are_whole(epochs: int, ticks: list[str]) -> None:
    assert [tick.label for tick in chart([0.5] * epochs).x_ticks] == ticks


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([2.0, 0.1], ["0.0", "0.5", "1.0", "1.5", "2.0"]),
        ([0.98, 0.97], ["0.970", "0.975", "0.980"]),
        ([0.5], ["0.3", "0.4", "0.5", "0.6", "0.7"]),
        ([0.0], ["-0.4", "-0.2", "0.0", "0.2", "0.4"]),
        ([-3.0, 5.0], ["-2", "0", "2", "4"]),
        ([2e-7, 1e-7], None),
        ([1e12, 3e12], None),
        ([NAN], ["0.0", "0.5", "1.0"]),
    ],
)
def test_ticks_are_round_and_inside(values: list[float], labels: list[str] | None) -> None:
    found = chart(values).y_ticks
    assert all(TOP <= tick.at <= HEIGHT - BOTTOM for tick in found)
    assert 2 <= len(found) <= 8
    if labels is not None:
        assert [tick.label for tick in found] == labels


def test_points_lie_where_their_values_say() -> None:
    found = chart([4.0, 2.0, 1.0])
    (first, second, third) = found.points(found.series[0])
    assert first[0] == LEFT
    assert third[0] == WIDTH - RIGHT
    assert second[0] == pytest.approx((first[0] + third[0]) / 2, abs=0.1)
    assert (second[1] - first[1]) / (third[1] - second[1]) == pytest.approx(2, rel=0.01)
    assert (
        found.path(found.series[0])
        == f"M{first[0]:g} {first[1]:g}L{second[0]:g} {second[1]:g}L{third[0]:g} {third[1]:g}"
    )


def test_what_is_not_a_number_interrupts_the_line() -> None:
    found = chart([1.0, NAN, 3.0, None, 2.0, 1.0])
    assert re.sub(r"[\d. ]+", "", found.path(found.series[0])) == "MMML"
    assert found.has_gaps
    assert not chart([1.0, None]).has_gaps
    assert found.texts(found.series[0]) == ["1.00", "nan", "3.00", "–", "2.00", "1.00"]


def test_a_loss_over_several_powers_of_ten_is_logarithmic() -> None:
    found = chart([100.0, 1.0, 0.01], log=True)
    assert found.y.log
    assert [tick.label for tick in found.y_ticks] == ["0.01", "0.1", "1", "10", "100"]
    steps = [point[1] for point in found.points(found.series[0])]
    assert steps[1] - steps[0] == pytest.approx(steps[2] - steps[1], abs=0.2)
    assert not chart([100.0, 1.0, 0.0], log=True).y.log
    assert not chart([100.0, 1.0, 0.01]).y.log


def test_of_many_epochs_some_are_drawn() -> None:
    found = chart([1 / (i + 1) for i in range(5 * MOST + 3)])
    drawn = found.drawn(found.series[0])
    assert len(drawn) <= MOST
    assert (drawn[0][0], drawn[-1][0]) == (1, 5 * MOST + 3)
    assert not found.is_marked
