"""Whether an ONNX file is well formed, has the checker's shapes, and computes what the module computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx

from archdsl.backends.onnx.builder import Array
from archdsl.backends.onnx.contents import (
    Tensors,
    fixed_batch,
    has_dynamic_size,
    holds,
    initializers,
    opset_of,
    read,
    replace_initializers,
    require_same_weights,
    same,
    session_of,
)
from archdsl.backends.onnx.dynamic import Dynamic, dynamic
from archdsl.backends.onnx.emit import BATCH, OPSETS, Normalization, emit, statistics
from archdsl.backends.onnx.runtime import Batches, Output, Session, all_vary, compare_outputs, failed
from archdsl.diagnostics import SpecError
from archdsl.diagnostics.codes.commands import ExportDiffers, NothingCompared, OnnxRejected, WrongOutputShape
from archdsl.graph.network import Network
from archdsl.shapes import Shape

#: Sizes of random weights to try until the outputs vary: after a sigmoid small ones make all inputs look alike.
GAINS = (1.0, 3.0, 10.0)
#: Integers that no embedding reads are drawn below this.
UNLIMITED = 10
#: How many times the module's own rounding error a file may differ, and up to what share of an output's range that
#: still tells a right file from a wrong one.
ROUNDING, MOST = 4.0, 1e-2


def check(path: Path, model: onnx.ModelProto, network: Network) -> None:
    """Run onnx.checker with full shape inference on a file, and compare the shapes it infers with the checker's.

    `model` is the file's content; its weights may have been changed or removed.
    """
    expected = {value.name: _sizes(value) for value in (*model.graph.value_info, *model.graph.output)}
    try:
        onnx.checker.check_model(str(path), full_check=True)
        inferred = onnx.shape_inference.infer_shapes(_without_shapes(model), strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise failed(OnnxRejected("onnx.checker", str(error).strip()), network.path) from error
    found = {value.name: _sizes(value) for value in (*inferred.graph.value_info, *inferred.graph.output)}
    agree = _agree_if_stated if has_dynamic_size(model) else _agree
    for name, sizes in expected.items():
        known = found.get(name)
        if known and (len(known) != len(sizes) or not all(map(agree, known, sizes))):
            raise failed(WrongOutputShape(name, _text(known), _text(sizes)), network.path)


def _without_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with the shapes of the inputs only; these stand for the large weights too, whose values do not matter."""
    large = [array for array in model.graph.initializer if prod(array.dims) > 64]
    stand_ins = [onnx.helper.make_tensor_value_info(array.name, array.data_type, array.dims) for array in large]
    graph = onnx.helper.make_graph(
        model.graph.node,
        model.graph.name,
        [*model.graph.input, *stand_ins],
        [
            onnx.helper.make_tensor_value_info(each.name, each.type.tensor_type.elem_type, None)
            for each in model.graph.output
        ],
        [array for array in model.graph.initializer if prod(array.dims) <= 64],
    )
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _sizes(value: onnx.ValueInfoProto) -> list[int | str | None]:
    """The sizes of a value, each an integer, a symbol or None where unknown; none at all where the rank is unknown."""
    return [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
        for dim in value.type.tensor_type.shape.dim
    ]


def _agree(found: int | str | None, expected: int | str | None) -> bool:
    """Whether an inferred size can be the expected one. Those that ONNX cannot infer are left to ONNX Runtime."""
    known = isinstance(found, int) or found == BATCH
    return found == expected or not known


def _agree_if_stated(found: int | str | None, expected: int | str | None) -> bool:
    """The same for a file whose sizes depend on its input: those that do are not stated."""
    return expected is None or _agree(found, expected)


def _text(sizes: Sequence[int | str | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in sizes)


class Peer(Protocol):
    """The module that a file is compared with."""

    @property
    def weights(self) -> Mapping[str, Array]:
        """Its state_dict."""

    def outputs(self, x: Batches) -> Mapping[str, Array]:
        """Its outputs for a batch, in the order and by the names of a file that the export writes."""

    def outputs_with_random_weights(self, x: Batches, gain: float) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """Other weights for it, random and none of them zero, and its outputs for a batch with them.

        Linear maps make their input larger by about `gain`.
        """

    def exact(self, x: Batches, weights: Mapping[str, Array]) -> Mapping[str, Array]:
        """Its outputs for a batch with the given weights, computed in float64."""


@dataclass(frozen=True)
class Comparison:
    """What was found of a file that agrees with a module.

    outputs          with the module's own weights in both; None where they were not compared
    random_outputs   with the same random weights in both; None where the file's weights have other names
    """

    outputs: Sequence[Output] | None
    random_outputs: Sequence[Output] | None

    @property
    def difference(self) -> float:
        """The largest absolute difference of an output with the module's own weights; with random ones without them."""
        return max(output.difference for output in self.outputs or self.random_outputs or ())

    @property
    def relative(self) -> float:
        """The largest difference with random weights, as a share of how much its output varies between inputs."""
        return max(output.difference / output.range for output in self.random_outputs or self.outputs or ())

    @property
    def flat(self) -> list[str]:
        """The outputs that hardly vary between inputs with the module's own weights: these show no mistake."""
        return [output.name for output in self.outputs or () if not output.varies]

    @property
    def unseen(self) -> list[str]:
        """The outputs that hardly vary with random weights either."""
        every = [*(self.outputs or ()), *(self.random_outputs or ())]
        seen = {output.name for output in every if output.varies}
        return list(dict.fromkeys(output.name for output in every if output.name not in seen))


#: Writes a network with other weights in the same form: the opset, folding and normalisation of a file.
Writer = Callable[[Mapping[str, Array]], onnx.ModelProto]


def verify(
    path: str | os.PathLike[str],
    network: Network,
    peer: Peer,
    *,
    normalize: Normalization | None = None,
    tolerance: float = 1e-4,
    weights: bool = True,
) -> Comparison:
    """Compare any ONNX file with a module. Raises SpecError where it differs, or where nothing could show that.

    `weights` False leaves the module's own weights out. Other arguments: `compare`.
    """
    statistics(normalize or ((0,), (1,)), network)
    model = read(Path(path))
    fixed_batch(model, network)  # a file of another network is reported as such first
    sizes = dynamic(network) if has_dynamic_size(model) else None
    writer = _writer_of(model, network, peer.weights, normalize, sizes)
    if writer is not None:
        expected = initializers(writer(peer.weights))
        require_same_weights(model, expected if weights else _constants(writer, expected, peer.weights), network)
    elif not weights:
        reason = (
            "its weights are named differently from those that archdsl writes, so the module's weights are required"
        )
        raise failed(NothingCompared(reason), network.path)
    found = compare(Path(path), model, network, peer, writer, normalize=normalize, tolerance=tolerance, weights=weights)
    if found.unseen:
        reason = f"with these weights {' and '.join(found.unseen)} hardly varies between inputs"
        raise failed(NothingCompared(reason), network.path)
    return found


def _writer_of(
    model: onnx.ModelProto,
    network: Network,
    weights: Mapping[str, Array],
    normalize: Normalization | None,
    sizes: Dynamic | None,
) -> Writer | None:
    """How the export writes such a file; None if its initializers are others."""
    opset = opset_of(model)
    # A folded file has fewer initializers, all of which the other has too.
    for folded in (False, True) if OPSETS[0] <= opset <= OPSETS[1] else ():
        writer = partial(emit, network, opset=opset, fold_batchnorm=folded, normalize=normalize, dynamic=sizes)
        try:
            if holds(model, initializers(writer(weights))):
                return writer
        except SpecError:  # an operator that the file's opset does not have
            return None
    return None


def _constants(writer: Writer, expected: Tensors, weights: Mapping[str, Array]) -> Tensors:
    """Those of the expected initializers that do not depend on the weights."""
    others = {key: array + 1 if array.dtype == np.float32 else array for key, array in weights.items()}
    return {name: tensor for name, tensor in initializers(writer(others)).items() if same(tensor, expected[name])}


def compare(
    path: Path,
    model: onnx.ModelProto,
    network: Network,
    peer: Peer,
    writer: Writer | None,
    *,
    normalize: Normalization | None = None,
    tolerance: float = 1e-4,
    weights: bool = True,
) -> Comparison:
    """Run a file, and the `model` in it, and `peer` on random inputs; raises SpecError where the outputs differ.

    Both first have their own weights, then random ones, which find what the module's own weights hide. The
    random ones are put into `model` as `writer` gives them; None where its initializers have other names. A
    difference is more than `tolerance` times how much the output varies.
    """
    piece = fixed_batch(model, network)
    random = np.random.default_rng(0)
    outputs = random_outputs = None
    if weights:
        batches = [random_batch(random, piece or 1, network, normalize) for _ in range(2)]
        session = Session(path, network)
        found = [session.run(x) for x in batches]
        expected = [peer.outputs(x) for x in batches]
        own = peer.weights
        outputs = _compared(
            found, expected, lambda: [peer.exact(x, own) for x in batches], "its own weights", network, tolerance
        )
    if writer is not None:
        x = random_batch(random, 3 * (piece or 1), network, normalize)
        state, varied = _varied(peer, x)
        replace_initializers(model, initializers(writer(state)))
        found = [session_of(model, network).run(x, piece)]
        random_outputs = _compared(
            found, [varied], lambda: [peer.exact(x, state)], "random weights in both", network, tolerance
        )
    return Comparison(outputs, random_outputs)


def _varied(peer: Peer, x: Batches) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    """Random weights and the outputs with them, which vary between inputs if any gain makes them."""
    for gain in GAINS:
        weights, outputs = peer.outputs_with_random_weights(x, gain)
        if all_vary(outputs):
            break
    return weights, outputs


def _compared(
    found: Sequence[Sequence[Array]],
    expected: Sequence[Mapping[str, Array]],
    exact: Callable[[], Sequence[Mapping[str, Array]]],
    used: str,
    network: Network,
    tolerance: float,
) -> list[Output]:
    """The outputs of a file beside those of the module.

    Deep networks can amplify rounding errors beyond any fixed tolerance. Where a file is beyond it, the module's
    outputs are compared with `exact` ones in float64, and the file may differ by what these errors explain. Where they
    are a good part of an output, it tells nothing, and counts as one that does not vary.

    Raises:
        SpecError: an output differs by more (E707).
    """
    outputs = compare_outputs(found, expected, network)
    if all(output.difference <= tolerance * output.range for output in outputs):
        return outputs
    errors = compare_outputs([list(batch.values()) for batch in expected], exact(), network)
    compared = []
    for output, error in zip(outputs, errors, strict=True):
        rounding = ROUNDING * error.difference
        if rounding > MOST * output.range:
            compared.append(replace(output, difference=0.0, spread=0.0))
            continue
        allowed = max(tolerance * output.range, rounding)
        if output.difference > allowed:
            raise failed(ExportDiffers(output.name, output.difference, used, allowed, output.range), network.path)
        compared.append(output)
    return compared


def random_batch(
    random: np.random.Generator, batch: int, network: Network, normalize: Normalization | None = None
) -> Batches:
    """A batch of each input: standard normal after the normalisation, scaled in turn by 1, 0.01 and 3, or integers."""
    limits = network.integer_limits
    drawn = {
        name: random.integers(0, limits.get(name, UNLIMITED), (batch, *shape))
        if shape.dtype == "int64"
        else _random_floats(random, batch, shape)
        for name, shape in network.inputs.items()
    }
    if normalize is not None:
        mean, std = statistics(normalize, network)
        first = next(iter(drawn))
        drawn[first] = drawn[first] * std + mean
    return drawn


def _random_floats(random: np.random.Generator, batch: int, shape: Shape) -> Array:
    x = random.standard_normal((batch, *shape), dtype=np.float32)
    x *= np.resize(np.array([1, 0.01, 3], dtype=np.float32), batch).reshape(-1, *[1] * len(shape))
    return x
