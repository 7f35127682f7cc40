"""An ONNX model in ONNX Runtime, and how far its outputs are from those of a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archdsl.backends.onnx.builder import Array
from archdsl.diagnostics import Diagnostic, Problem, SpecError
from archdsl.diagnostics.codes.commands import MissingPackage, OnnxRejected, WrongOutputShape
from archdsl.graph.network import Network
from archdsl.shapes import Shape

#: A batch of each input, by the inputs' names.
Batches = Mapping[str, Array]
#: Outputs that vary by a smaller share of their largest value are flat: rounding errors would look like differences.
FLAT = 0.02
#: Smaller numbers are too close to float32's smallest ones to have its precision.
FAINT = 1e-25


def failed(problem: Problem, path: str) -> SpecError:
    """The error for one problem with the network of a spec, or with a file."""
    return SpecError([Diagnostic(problem, path=path)])


class Session:
    """A model that runs on batches. Its inputs and outputs go by position; `content` is a path or the bytes."""

    def __init__(self, content: Path | bytes, network: Network) -> None:
        self._path = network.path
        try:
            import onnxruntime
        except ImportError as error:
            problem = MissingPackage("the comparison with an ONNX file", "onnxruntime", "onnx")
            raise failed(problem, self._path) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised too
        model = str(content) if isinstance(content, Path) else content
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise self._rejected(error) from error

    def run(self, x: Batches, piece: int | None = None) -> list[Array]:
        """The outputs for one batch, which goes in pieces of so many samples where a size is given."""
        pieces = [[array] if piece is None else np.split(array, len(array) // piece) for array in x.values()]
        names = [one.name for one in self._session.get_inputs()]
        try:
            outputs = [
                self._session.run(None, dict(zip(names, each, strict=True))) for each in zip(*pieces, strict=True)
            ]
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise self._rejected(error) from error
        return [np.concatenate(each) for each in zip(*outputs, strict=True)]

    def _rejected(self, error: Exception) -> SpecError:
        return failed(OnnxRejected("ONNX Runtime", str(error).strip()), self._path)


@dataclass(frozen=True)
class Output:
    """How one output of a file compares with the module's, over all batches.

    difference   the largest absolute difference, 0 where both are the same infinity or both not a number
    spread       how far the module's values for different inputs are apart, at most
    largest      the module's largest finite value
    """

    name: str
    difference: float
    spread: float
    largest: float

    @property
    def varies(self) -> bool:
        """Whether the output differs between inputs by enough to tell a right file from a wrong one."""
        return self.spread > FAINT and self.spread >= FLAT * self.largest

    @property
    def range(self) -> float:
        """What differences are relative to."""
        return max(self.spread, FLAT * self.largest, FAINT)


def compare_outputs(
    found: Sequence[Sequence[Array]], expected: Sequence[Mapping[str, Array]], network: Network
) -> list[Output]:
    """Compare a file's outputs, by position, with the module's for the same batches."""
    pairs: dict[str, list[tuple[Array, Array]]] = {name: [] for name in expected[0]}
    for values, batch in zip(found, expected, strict=True):
        for value, (name, truth) in zip(values, batch.items(), strict=True):
            _require_shape(name, value, truth, network)
            pairs[name].append((value, truth))
    return [_output(name, each) for name, each in pairs.items()]


def all_vary(outputs: Mapping[str, Array]) -> bool:
    """Whether every output of a batch differs between its samples by enough to compare it."""
    return all(_output(name, [(values, values)]).varies for name, values in outputs.items())


def _require_shape(name: str, found: Array, expected: Array, network: Network) -> None:
    if found.shape != expected.shape:
        raise failed(WrongOutputShape(name, str(Shape(found.shape)), str(Shape(expected.shape))), network.path)


def _output(name: str, pairs: Sequence[tuple[Array, Array]]) -> Output:
    truths = np.concatenate([truth for _, truth in pairs]).astype(np.float64)
    finite = truths[np.isfinite(truths)]
    return Output(
        name,
        difference=max(_difference(*pair) for pair in pairs),
        spread=_spread(truths),
        largest=float(np.abs(finite).max(initial=0)),
    )


def _difference(found: Array, expected: Array) -> float:
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(found.astype(np.float64) - expected))
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0))


def _spread(values: Array) -> float:
    """The largest difference between two samples at one place; places where not all are finite are left out."""
    columns = values.reshape(len(values), -1)
    finite = columns[:, np.isfinite(columns).all(axis=0)]
    return float(np.ptp(finite, axis=0).max(initial=0))
