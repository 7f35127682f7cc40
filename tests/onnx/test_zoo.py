"""Networks of the zoo as ONNX files against torchvision's own modules, on the same weights."""

from __future__ import annotations

import pytest
import torch
import torchvision

import archdsl
from archdsl.onnx import emit, node_count
from tests.onnx.cases import arrays, model_of, run

SMALL = ["resnet18", "googlenet", "densenet121"]
LARGE = ["alexnet", "vgg11_bn", "resnet50", "densenet161"]


@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_file_computes_what_torchvisions_module_computes(name: str) -> None:
    torch.manual_seed(0)
    options = {"init_weights": False} if name == "googlenet" else {}
    peer = torchvision.models.get_model(name, weights=None, **options).eval()
    for key, buffer in peer.named_buffers():
        if key.endswith("running_var"):
            buffer.uniform_(0.5, 2)
        elif key.endswith("running_mean"):
            buffer.normal_(std=0.2)
    net = archdsl.load(name)
    model = emit(net, arrays(peer.state_dict()))
    x = torch.randn(2, *net.input_shape)
    with torch.no_grad():
        expected = peer(x)
    error = (run(model, x)["output"] - expected).abs().max() / max(1, expected.abs().max())
    assert error < 1e-5


def test_batch_norms_of_a_resnet_all_disappear() -> None:
    peer = torchvision.models.resnet18(weights=None)
    model = model_of(archdsl.load("resnet18"), peer.state_dict())
    counts = {op: sum(node.op_type == op for node in model.graph.node) for op in ("Conv", "Relu", "Add", "Gemm")}
    assert counts == {"Conv": 20, "Relu": 17, "Add": 8, "Gemm": 1}
    assert node_count(model) == sum(counts.values()) + 3  # a max pool, a global average pool and a flatten
