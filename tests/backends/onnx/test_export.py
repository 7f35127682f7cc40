"""Exported files are complete, checked and compared; otherwise no file is left."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from archdsl.backends.onnx import emit, export, write
from archdsl.backends.onnx.verify import check
from archdsl.diagnostics import SpecError
from tests.backends.onnx.cases import Peer, Weights, arrays, batch, network, random_weights, run

BODY = "a: conv(6, 3, bias=false); n: batchnorm; relu -> mid; flatten; fc: linear(5); output(mid)"


def truth(weights: Weights, off: float = 0.0) -> Peer:
    """The network BODY in PyTorch; `off` is added to one output value."""

    def run(x: torch.Tensor, w: Weights) -> dict[str, torch.Tensor]:
        y = F.conv2d(x, w["a.weight"])
        mid = F.relu(F.batch_norm(y, w["n.running_mean"], w["n.running_var"], w["n.weight"], w["n.bias"]))
        out = F.linear(mid.flatten(1), w["fc.weight"], w["fc.bias"])
        out[-1, -1] += off
        return {"output": out, "mid": mid}

    return Peer(weights, run)


@pytest.fixture
def net() -> Any:
    return network(BODY)


def codes(raised: pytest.ExceptionInfo[SpecError]) -> list[str]:
    return [one.code for one in raised.value.diagnostics]


def test_export_writes_one_file_and_returns_the_difference(tmp_path: Path, net: Any) -> None:
    peer = truth(random_weights(net))
    seen: list[torch.Tensor] = []

    def watched(x: torch.Tensor, weights: Weights) -> Mapping[str, torch.Tensor]:
        seen.append(x)
        return peer.function(x, weights)

    found = export(net, Peer(peer.own, watched), tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert [tuple(x.shape) for x in seen] == [(1, 4, 8, 8), (1, 4, 8, 8), (3, 4, 8, 8)]
    worst = 0.0
    for x in seen[:2]:
        values = run(str(tmp_path / "m.onnx"), x)
        worst = max(worst, *(float((values[name] - y).abs().max()) for name, y in peer.function(x, peer.own).items()))
    assert found.difference == pytest.approx(worst)
    assert 0 < found.difference < 1e-3
    assert 0 < found.relative < 1e-4
    assert not found.flat


@pytest.mark.parametrize("opset", [13, 17, 20, 23])
def test_the_written_file_is_of_the_opset(tmp_path: Path, net: Any, opset: int) -> None:
    weights = random_weights(net)
    export(net, truth(weights), tmp_path / "m.onnx", opset=opset)
    assert onnx.load(str(tmp_path / "m.onnx")).opset_import[0].version == opset


def test_a_difference_leaves_no_file(tmp_path: Path, net: Any) -> None:
    weights = random_weights(net)
    with pytest.raises(SpecError) as raised:
        export(net, truth(weights, off=0.5), tmp_path / "m.onnx", tolerance=1e-3)
    assert codes(raised) == ["E707"]
    assert "output" in raised.value.diagnostics[0].message
    assert "with its own weights" in raised.value.diagnostics[0].message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data_limit", [0, 10**9])
def test_a_difference_keeps_the_older_file(tmp_path: Path, net: Any, data_limit: int) -> None:
    (tmp_path / "m.onnx").write_bytes(b"older")
    (tmp_path / "m.onnx.data").write_bytes(b"older data")
    weights = random_weights(net)
    with pytest.raises(SpecError):
        export(net, truth(weights, off=0.5), tmp_path / "m.onnx", data_limit=data_limit)
    assert (tmp_path / "m.onnx").read_bytes() == b"older"
    assert (tmp_path / "m.onnx.data").read_bytes() == b"older data"
    assert len(list(tmp_path.iterdir())) == 2


def test_an_error_in_the_reference_leaves_no_file(tmp_path: Path, net: Any) -> None:
    def broken(x: torch.Tensor, weights: Weights) -> dict[str, torch.Tensor]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(net, Peer(random_weights(net), broken), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e6])
def test_the_tolerance_is_relative_to_how_much_the_output_varies(tmp_path: Path, net: Any, size: float) -> None:
    weights = random_weights(net)
    weights["fc.weight"] *= size
    weights["fc.bias"] *= size
    found = export(net, truth(weights), tmp_path / "m.onnx")
    assert found.outputs is not None
    spread = found.outputs[0].spread
    one, other = (
        truth(weights).outputs({"input": np.random.default_rng(seed).standard_normal((1, 4, 8, 8), np.float32)})
        for seed in (0, 1)
    )
    assert 0.1 * spread < np.abs(one["output"] - other["output"]).max() < 10 * spread
    export(net, truth(weights, off=0.5e-3 * spread), tmp_path / "m.onnx", tolerance=1e-3)
    with pytest.raises(SpecError) as raised:
        export(net, truth(weights, off=2e-3 * spread), tmp_path / "m.onnx", tolerance=1e-3)
    assert codes(raised) == ["E707"]


def test_a_constant_beside_the_output_hides_nothing(tmp_path: Path, net: Any) -> None:
    """As in a fresh network, whose signal has faded before it reaches the last bias: it was 1e-4 of that once."""
    weights = random_weights(net)
    weights["fc.bias"] += 100
    with pytest.raises(SpecError) as raised:
        export(net, truth(weights, off=0.005), tmp_path / "m.onnx")
    assert codes(raised) == ["E707"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_in_one_of_both_only_differs(tmp_path: Path, net: Any, value: float) -> None:
    weights = random_weights(net)
    with pytest.raises(SpecError) as raised:
        export(net, truth(weights, off=value), tmp_path / "m.onnx", tolerance=1e9)
    assert codes(raised) == ["E707"]


def test_values_that_are_not_finite_in_both_agree(tmp_path: Path, net: Any) -> None:
    weights = random_weights(net)
    weights["fc.bias"] = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, 1.0])
    assert export(net, truth(weights), tmp_path / "m.onnx").difference < 1e-3


def test_an_older_file_is_replaced(tmp_path: Path, net: Any) -> None:
    (tmp_path / "m.onnx").write_bytes(b"older")
    weights = random_weights(net)
    export(net, truth(weights), tmp_path / "m.onnx")
    onnx.checker.check_model(str(tmp_path / "m.onnx"))


def test_large_weights_go_beside_the_file(tmp_path: Path) -> None:
    net = network("a: conv(64, 3); n: batchnorm; flatten; fc: linear(5)")
    weights = random_weights(net)

    def function(x: torch.Tensor, w: Weights) -> dict[str, torch.Tensor]:
        y = F.conv2d(x, w["a.weight"], w["a.bias"])
        y = F.batch_norm(y, w["n.running_mean"], w["n.running_var"], w["n.weight"], w["n.bias"])
        return {"output": F.linear(y.flatten(1), w["fc.weight"], w["fc.bias"])}

    export(net, Peer(weights, function), tmp_path / "m.onnx", data_limit=10_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    bare = onnx.load(str(tmp_path / "m.onnx"), load_external_data=False)
    places = {
        array.name: {entry.key: entry.value for entry in array.external_data}.get("location")
        for array in bare.graph.initializer
    }
    assert places["a.weight"] == places["fc.weight"] == "m.onnx.data"
    assert (tmp_path / "m.onnx").stat().st_size < 5000
    x = batch(net)
    torch.testing.assert_close(
        run(str(tmp_path / "m.onnx"), x)["output"],
        function(x, weights)["output"],
        rtol=1e-4,
        atol=1e-3,
    )


def test_weights_stay_inside_up_to_the_limit(tmp_path: Path, net: Any) -> None:
    model = emit(net, arrays(random_weights(net)))
    size = sum(len(array.raw_data) for array in model.graph.initializer)
    write(model, tmp_path / "m.onnx", data_limit=size)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    write(model, tmp_path / "m.onnx", data_limit=size - 1)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("place", ["missing/m.onnx", "folder", "file/m.onnx"])
def test_a_place_that_cannot_be_written(tmp_path: Path, net: Any, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    weights = random_weights(net)
    with pytest.raises(SpecError) as raised:
        export(net, truth(weights), tmp_path / place)
    assert codes(raised) == ["E708"]
    assert place in raised.value.diagnostics[0].message
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_the_checker_rejects_a_broken_model(tmp_path: Path, net: Any) -> None:
    model = emit(net, arrays(random_weights(net)))
    model.graph.node[0].input[0] = "nowhere"
    onnx.save_model(model, str(tmp_path / "m.onnx"))
    with pytest.raises(SpecError) as raised:
        check(tmp_path / "m.onnx", model, net)
    assert codes(raised) == ["E709"]


def test_a_shape_other_than_the_checkers_is_found(tmp_path: Path, net: Any) -> None:
    model = emit(net, arrays(random_weights(net)))
    dims = next(value for value in model.graph.output if value.name == "mid").type.tensor_type.shape.dim
    dims[2].ClearField("dim_value")  # leaves the strict inference nothing to disagree with
    onnx.save_model(model, str(tmp_path / "m.onnx"))
    with pytest.raises(SpecError) as raised:
        check(tmp_path / "m.onnx", model, net)
    assert codes(raised) == ["E712"]
    assert "batchx6x6x6" in raised.value.diagnostics[0].message


def test_without_onnx_runtime_the_message_says_what_to_install(
    tmp_path: Path, net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnxruntime":
            raise ModuleNotFoundError(name=name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    weights = random_weights(net)
    with pytest.raises(SpecError) as raised:
        export(net, truth(weights), tmp_path / "m.onnx")
    assert codes(raised) == ["E701"]
    assert "archdsl[onnx]" in raised.value.diagnostics[0].message
    assert list(tmp_path.iterdir()) == []
