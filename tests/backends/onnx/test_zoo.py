"""The operators in the ONNX files of the zoo. tests/backends/torch/test_zoo.py compares their outputs."""

from __future__ import annotations

import torchvision

import archdsl
from archdsl.backends.onnx import node_count
from tests.backends.onnx.cases import model_of


def test_batch_norms_of_a_resnet_all_disappear() -> None:
    peer = torchvision.models.resnet18(weights=None)
    model = model_of(archdsl.load("resnet18"), peer.state_dict())
    counts = {op: sum(node.op_type == op for node in model.graph.node) for op in ("Conv", "Relu", "Add", "Gemm")}
    assert counts == {"Conv": 20, "Relu": 17, "Add": 8, "Gemm": 1}
    assert node_count(model) == sum(counts.values()) + 3  # a max pool, a global average pool and a flatten
