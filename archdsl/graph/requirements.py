"""Requirements: bounds for the figures of a network, and what misses them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, Help
from archdsl.diagnostics.codes.requirements import NoAccuracy, NotMet
from archdsl.graph.network import Network
from archdsl.graph.requirement import Requirement

COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "<=": (operator.le, "at most"),
    "<": (operator.lt, "less than"),
    ">=": (operator.ge, "at least"),
    ">": (operator.gt, "more than"),
    "==": (operator.eq, "exactly"),
}
#: The parts that a report names.
LARGEST = 3
ACCURACY = "accuracy"


class Figure(NamedTuple):
    """A figure that can be required.

    value    of a network
    parts    names and shares of what it is the sum of; none for a figure that is no sum
    unit     what it is counted in
    summary  what it is
    """

    value: Callable[[Network, str], float]
    parts: Callable[[Network], Iterable[tuple[str, float]]]
    unit: str
    summary: str


def _field(network: Network, op: str) -> float:
    """The receptive field of the output, on the axis that is furthest from the bound."""
    sizes = next((layer.receptive_field for layer in reversed(network.layers) if not layer.aux), ()) or (0,)
    return max(sizes) if op in {"<", "<="} else min(sizes)


def _layers(attribute: str, *, aux: bool = True) -> Callable[[Network], Iterable[tuple[str, float]]]:
    """What each layer adds to a sum; `aux` says whether those of auxiliary heads do."""

    def parts(network: Network) -> Iterable[tuple[str, float]]:
        layers = [one for one in network.layers if aux or not one.aux]
        return [(f"{one.name} {one.kind}", getattr(one, attribute)) for one in layers]

    return parts


def _nothing(network: Network) -> Iterable[tuple[str, float]]:
    return ()


def _unknown(network: Network, op: str) -> float:
    raise LookupError("an accuracy is measured")


FIGURES: Mapping[str, Figure] = {
    "params": Figure(lambda n, _: n.params, _layers("params"), "", "parameters, with those of auxiliary heads"),
    "trainable": Figure(
        lambda n, _: n.trainable_params, _layers("trainable_params"), "", "parameters that are trained"
    ),
    "macs": Figure(lambda n, _: n.macs, _layers("macs", aux=False), "", "multiply-adds for one sample"),
    "peak_memory": Figure(
        lambda n, _: n.peak_memory, lambda n: n.peak.tensors, "bytes", "peak memory of inference, float32, one sample"
    ),
    "weights_bytes": Figure(lambda n, _: n.param_bytes, _layers("param_bytes"), "bytes", "bytes of the parameters"),
    "field": Figure(_field, _nothing, "", "receptive field of the output, on each axis"),
    "depth": Figure(lambda n, _: n.depth, _nothing, "", "layers with a kernel or matrix on the longest way"),
    ACCURACY: Figure(_unknown, _nothing, "", "share of test samples whose class is predicted"),
}


def unmet(network: Network, more: Sequence[Requirement] = ()) -> list[Diagnostic]:
    """The requirements that a network does not meet, its own and `more`; not those of its accuracy."""
    wanted = [one for one in (*network.requirements, *more) if one.figure != ACCURACY]
    return [_diagnostic(network, one, value) for one, value in _missed(network, wanted)]


def unmet_accuracy(network: Network, accuracy: float | None, more: Sequence[Requirement] = ()) -> list[Diagnostic]:
    """The required accuracies that a measured one does not meet; None where there are no classes."""
    wanted = [one for one in (*network.requirements, *more) if one.figure == ACCURACY]
    if accuracy is None:
        return [Diagnostic(NoAccuracy(network.name), one.span) for one in wanted]
    missed = [one for one in wanted if not COMPARISONS[one.op][0](accuracy, one.bound)]
    return [_diagnostic(network, one, accuracy) for one in missed]


def _missed(network: Network, wanted: Sequence[Requirement]) -> Iterable[tuple[Requirement, float]]:
    for one in wanted:
        value = FIGURES[one.figure].value(network, one.op)
        if not COMPARISONS[one.op][0](value, one.bound):
            yield one, value


def _diagnostic(network: Network, wanted: Requirement, value: float) -> Diagnostic:
    figure = FIGURES[wanted.figure]
    digits = "" if isinstance(value, int) and isinstance(wanted.bound, int) else ".4g"
    unit = f" {figure.unit}" if figure.unit else ""
    distance = abs(value - wanted.bound)
    more = "more" if value > wanted.bound else "less"
    side = f"{distance:,{digits}}{unit} {more}" if distance else "exactly that"
    share = f" ({(value - wanted.bound) / wanted.bound:+,.1%})" if wanted.bound and distance else ""
    bound = f"{COMPARISONS[wanted.op][1]} {wanted.bound:,{digits}}{unit}"
    problem = NotMet(f"`{wanted.figure}`", f"{value:,{digits}}{unit}", bound, side + share)
    too_much = value > wanted.bound or not distance
    return Diagnostic(problem, wanted.span, helps=_largest(figure.parts(network), value) if too_much else ())


def _largest(parts: Iterable[tuple[str, float]], whole: float) -> tuple[Help, ...]:
    """The parts that weigh most, each with its share."""
    largest = [one for one in sorted(parts, key=lambda one: -one[1])[:LARGEST] if one[1]]
    if not largest:
        return ()
    listed = ", ".join(f"`{name}` {size:,} ({size / whole:.1%})" for name, size in largest)
    return (Help(f"the largest: {listed}"),)
