"""Exported files in a second runtime, OpenVINO on the CPU, compared with the module in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import archdsl
from archdsl import zoo
from archdsl.backends.torch.probe import run_with_random_weights
from tests.families import FAMILIES

#: As `export_onnx` allows: the share of how much an output varies between inputs.
TOLERANCE = 1e-4


def in_openvino(path: Path, inputs: dict[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """The outputs of a file, computed in float32: the default on some processors is bfloat16."""
    openvino = pytest.importorskip("openvino")
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return list(compiled(inputs).values())


def require_agreement(name: str, folder: Path, **settings: Any) -> float:
    """The largest difference of a network with random weights, as a share of how much its output varies."""
    module = zoo.build(name, seed=0, **settings).eval()
    network = archdsl.network_of(module)
    generator = torch.Generator().manual_seed(0)
    inputs = {key: torch.randn(2, *shape, generator=generator) for key, shape in network.inputs.items()}
    state, _ = run_with_random_weights(module, list(inputs.values()))
    module.load_state_dict(state)
    path = folder / "network.onnx"
    archdsl.export_onnx(module, path)
    with torch.no_grad():
        expected = module(*inputs.values())
    found = in_openvino(path, {key: tensor.numpy() for key, tensor in inputs.items()})
    outputs = list(expected.values()) if isinstance(expected, dict) else [expected]
    assert len(found) == len(outputs)
    worst = 0.0
    for ours, theirs in zip(outputs, found, strict=True):
        varies = (ours.amax(0) - ours.amin(0)).max().item()  # as the export measures it
        assert varies > 0
        worst = max(worst, (ours - torch.from_numpy(theirs)).abs().max().item() / varies)
    assert worst < TOLERANCE
    return worst


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_agrees(family: str, tmp_path: Path, record_property: Any) -> None:
    record_property("difference", require_agreement(FAMILIES[family], tmp_path))
