"""Whether an ONNX file is well formed, has the checker's shapes, and computes what the module computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from archdsl.diagnostics import Diagnostic, Problem, SpecError
from archdsl.diagnostics.runtime import ExportDiffers, MissingPackage, OnnxRefused, WrongOutputShape
from archdsl.network import Network
from archdsl.onnx.builder import Array
from archdsl.onnx.emit import BATCH, INPUT, Normalization, statistics

#: The outputs by the file's names for a batch of inputs.
Reference = Callable[[Array], Mapping[str, Array]]


def check(path: Path, network: Network) -> None:
    """Run onnx.checker with full shape inference on a file, and compare the shapes it infers with the checker's."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(str(path), load_external_data=False)
        expected = {value.name: _sizes(value) for value in (*model.graph.value_info, *model.graph.output)}
        _forget_shapes(model)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise _failed(OnnxRefused("onnx.checker", str(error).strip()), network) from error
    found = {value.name: _sizes(value) for value in (*inferred.graph.value_info, *inferred.graph.output)}
    for name, sizes in expected.items():
        known = found.get(name)
        if known and (len(known) != len(sizes) or not all(map(_agree, known, sizes))):
            raise _failed(WrongOutputShape(name, _text(known), _text(sizes)), network)


def _forget_shapes(model: onnx.ModelProto) -> None:
    """Leave only the shapes of the inputs; inputs stand for the large weights too, whose values do not matter."""
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    small = [array for array in model.graph.initializer if prod(array.dims) <= 64]
    for array in model.graph.initializer:
        if prod(array.dims) > 64:
            model.graph.input.append(onnx.helper.make_tensor_value_info(array.name, array.data_type, array.dims))
    del model.graph.initializer[:]
    model.graph.initializer.extend(small)


def _sizes(value: onnx.ValueInfoProto) -> list[int | str | None]:
    """The sizes of a value, each an integer, a symbol or None where unknown; none at all where the rank is unknown."""
    return [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
        for dim in value.type.tensor_type.shape.dim
    ]


def _agree(found: int | str | None, expected: int | str | None) -> bool:
    """Whether an inferred size can be the expected one. Some ONNX cannot infer: the runs in ONNX Runtime will tell."""
    known = isinstance(found, int) or found == BATCH
    return found == expected or not known


def _text(sizes: Sequence[int | str | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in sizes)


def compare(
    path: Path,
    network: Network,
    reference: Reference,
    *,
    normalize: Normalization | None = None,
    batches: Sequence[int] = (1, 3),
    tolerance: float = 1e-4,
    seed: int = 0,
) -> float:
    """Run a file in ONNX Runtime on a random batch of each size; returns the largest difference from `reference`.

    Raises SpecError where it is over `tolerance` * max(1, largest output).
    """
    session = _session(path, network)
    names = [output.name for output in session.get_outputs()]
    random = np.random.default_rng(seed)
    largest = 0.0
    for batch in batches:
        x = random_batch(random, batch, network, normalize)
        try:
            found = dict(zip(names, session.run(names, {INPUT: x}), strict=True))
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise _failed(OnnxRefused("ONNX Runtime", str(error).strip()), network) from error
        expected = reference(x)
        for name in names:
            largest = max(largest, _difference(name, found[name], expected[name], network, tolerance))
    return largest


def random_batch(
    random: np.random.Generator, batch: int, network: Network, normalize: Normalization | None = None
) -> Array:
    """Inputs that are standard normal behind the normalisation, by turns as they are, much smaller and larger."""
    x = random.standard_normal((batch, *network.input_shape), dtype=np.float32)
    scales = np.resize(np.array([1, 0.01, 3], dtype=np.float32), batch)
    x *= scales.reshape(-1, *[1] * len(network.input_shape))
    if normalize is not None:
        mean, std = statistics(normalize, network)
        x = x * std + mean
    return x


def _difference(name: str, found: Array, expected: Array, network: Network, tolerance: float) -> float:
    """The largest absolute difference of one output; it is 0 where both are the same infinity or both not a number."""
    if found.shape != expected.shape:
        raise _failed(WrongOutputShape(name, _text(found.shape), _text(expected.shape)), network)
    if not expected.size:
        return 0.0
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(found.astype(np.float64) - expected))
    difference = float(np.nan_to_num(apart, nan=np.inf).max())
    finite = np.abs(expected[np.isfinite(expected)])
    allowed = tolerance * max(1.0, float(finite.max(initial=0)))
    if difference > allowed:
        raise _failed(ExportDiffers(name, difference, allowed, len(expected)), network)
    return difference


def _session(path: Path, network: Network) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise _failed(MissingPackage("the comparison after an export", "onnxruntime", "onnx"), network) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise _failed(OnnxRefused("ONNX Runtime", str(error).strip()), network) from error


def _failed(problem: Problem, network: Network) -> SpecError:
    return SpecError([Diagnostic(problem, path=network.path)])
