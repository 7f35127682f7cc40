"""What is in an ONNX file: its interface, and the weights that it shares with what the export writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import numpy_helper

from archdsl.backends.onnx.emit import ELEMENTS, output_names
from archdsl.backends.onnx.runtime import Session, failed
from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.commands import OnnxRejected, OtherInterface, WeightsDiffer
from archdsl.diagnostics.codes.files import NotFound
from archdsl.graph.network import Network
from archdsl.shapes import Shape

#: Protobuf holds no message of 2 GB or more; from here on the weights go into a file of their own.
DATA_LIMIT = 2_000_000_000
#: At most so many weights that differ are named in one report.
SHOWN = 8

Tensors = Mapping[str, onnx.TensorProto]


def read(path: Path) -> onnx.ModelProto:
    """A file with all its weights. Raises SpecError where it cannot be read or is no ONNX file."""
    if not path.exists():
        raise failed(NotFound(str(path), ""), str(path))
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's errors and those of missing data have no common class
        raise failed(OnnxRejected("onnx", _reason(error)), str(path)) from error
    if not model.graph.output or not model.opset_import:
        raise failed(OnnxRejected("onnx", "it is not an ONNX file"), str(path))
    return model


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it is not an ONNX file" if type(error).__name__ == "DecodeError" else str(error).strip()


def save(model: onnx.ModelProto, path: Path, data_limit: int = DATA_LIMIT) -> bool:
    """Write a model; returns whether its weights went into PATH.data, and out of `model`: above `data_limit` bytes."""
    separate = _size(model) > data_limit
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=separate,
        all_tensors_to_one_file=True,
        location=f"{path.name}.data" if separate else None,
        size_threshold=1024,
    )
    return separate


def _size(model: onnx.ModelProto) -> int:
    """The bytes of all weights and constants."""
    return sum(len(array.raw_data) for array in model.graph.initializer)


def session_of(model: onnx.ModelProto, network: Network) -> Session:
    """A session of a model in memory; one that is too large for a message goes through a file."""
    if _size(model) <= DATA_LIMIT:
        return Session(model.SerializeToString(), network)
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        save(model, path)
        return Session(path, network)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that a model uses."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def initializers(model: onnx.ModelProto) -> Tensors:
    """The weights and constants of a model, by their names."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def fixed_batch(model: onnx.ModelProto, network: Network) -> int | None:
    """The one batch size that a file takes, or None for any; raises SpecError where the network has other inputs."""
    own = initializers(model)
    inputs = [value for value in model.graph.input if value.name not in own]
    shapes = list(network.inputs.values())
    if len(inputs) != len(shapes) or not all(map(_is_batch_of, inputs, shapes)):
        expected = ", ".join(f"{shape.dtype} batch x {shape.sizes}" for shape in shapes)
        raise failed(OtherInterface("inputs", _listed(inputs), expected), network.path)
    names = output_names(network)
    if len(model.graph.output) != len(names):
        expected = f"{len(names)}: {', '.join(names)}"
        raise failed(OtherInterface("outputs", _listed(model.graph.output), expected), network.path)
    return inputs[0].type.tensor_type.shape.dim[0].dim_value or None


def _is_batch_of(value: onnx.ValueInfoProto, shape: Shape) -> bool:
    kind = value.type.tensor_type
    sizes = [size.dim_value for size in kind.shape.dim]
    fits = len(sizes) == len(shape) + 1 and all(size in (0, own) for size, own in zip(sizes[1:], shape, strict=True))
    return fits and kind.elem_type == ELEMENTS[shape.dtype]


def _listed(values: Iterable[onnx.ValueInfoProto]) -> str:
    return ", ".join(f"{value.name} ({_described(value)})" for value in values) or "none"


def _described(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type
    sizes = "x".join(str(size.dim_value or size.dim_param or "?") for size in kind.shape.dim)
    return f"{onnx.TensorProto.DataType.Name(kind.elem_type).lower()} {sizes}"


def has_dynamic_size(model: onnx.ModelProto) -> bool:
    """Whether a file that archdsl wrote takes inputs of several sizes."""
    if model.producer_name != "archdsl":
        return False
    axes = (axis for value in model.graph.input for axis in value.type.tensor_type.shape.dim[1:])
    return any(axis.dim_param for axis in axes)


def holds(model: onnx.ModelProto, expected: Tensors) -> bool:
    """Whether a file has all the initializers that the export writes, by their names and sizes."""
    own = initializers(model)
    return all(name in own and list(own[name].dims) == list(tensor.dims) for name, tensor in expected.items())


def require_same_weights(model: onnx.ModelProto, expected: Tensors, network: Network) -> None:
    """Raise SpecError for each initializer of a file that is not, bit for bit, what the export writes."""
    own = initializers(model)
    problems = [_difference(own[name], tensor) for name, tensor in expected.items() if not same(own[name], tensor)]
    if problems:
        raise SpecError([Diagnostic(problem, path=network.path) for problem in problems[:SHOWN]])


def same(found: onnx.TensorProto, expected: onnx.TensorProto) -> bool:
    """Whether two tensors are the same, bit for bit."""
    return found.data_type == expected.data_type and _bytes(found) == _bytes(expected)


def _bytes(tensor: onnx.TensorProto) -> bytes:
    return tensor.raw_data or numpy_helper.to_array(tensor).tobytes()


def _difference(found: onnx.TensorProto, expected: onnx.TensorProto) -> WeightsDiffer:
    """How many values differ, of how many, and by how much at most."""
    values, truth = (numpy_helper.to_array(tensor).astype(np.float64) for tensor in (found, expected))
    largest = float(np.nan_to_num(np.abs(values - truth), nan=np.inf).max(initial=0))
    return WeightsDiffer(expected.name, int((values != truth).sum()), truth.size, largest)


def replace_initializers(model: onnx.ModelProto, by: Tensors) -> None:
    """Put other values into a model's initializers, by their names."""
    for tensor in model.graph.initializer:
        if tensor.name in by:
            tensor.CopyFrom(by[tensor.name])
