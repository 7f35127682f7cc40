"""Embeddings in whole networks: integers all the way from the spec to ONNX Runtime."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

import archdsl
from archdsl.backends.torch import source
from archdsl.diagnostics import Rejected, SpecError
from archdsl.layers.embedding import Embedding
from archdsl.shapes import IntegerShape, Shape
from tests.layers.agreement import module_of

CONDITIONAL = """
model m(classes = 10) {
  input(noise: 8, label: int64)
  use(label); embed: embedding(classes, 4) -> e
  use(noise); concat(e)
  linear(6)
}
"""
WORDS = "model m { input(words: int64(12)); embed: embedding(50, 8, padding_idx=0); transpose(1, 2); conv(4, 3) }"


@pytest.mark.parametrize("spec", [CONDITIONAL, WORDS])
def test_a_network_with_integers_is_the_same_in_torch_from_source_and_in_onnx(spec: str, tmp_path: Path) -> None:
    network = archdsl.load(spec)
    module = network.build(seed=0)
    inputs = {
        name: torch.randint(10, (3, *shape)) if shape.dtype == "int64" else torch.randn(3, *shape)
        for name, shape in network.inputs.items()
    }
    printed: dict[str, Any] = {"__name__": "printed"}
    exec(source(network), printed)
    again = printed["M"]()
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(**inputs), module(**inputs))
    archdsl.export_onnx(module, tmp_path / "m.onnx")  # compares with ONNX Runtime
    assert "Gather" in {node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node}


def test_the_padding_row_is_not_trained() -> None:
    module = archdsl.load(WORDS).build(seed=0)
    module(torch.tensor([[0, 3] * 6])).sum().backward()
    table: Any = module.get_parameter("embed.weight")
    assert table.grad.abs().sum(1).nonzero().flatten().tolist() == [3]
    assert table[0].abs().max() == 0


def test_it_takes_integers_only() -> None:
    with pytest.raises(SpecError, match=r"E407.*embedding"):
        archdsl.load("model m { input(8); embedding(10, 4) }")


@pytest.mark.parametrize("row", [-8, 7])
def test_the_padding_row_is_one_of_the_table(row: int) -> None:
    layer = Embedding(num_embeddings=7, embedding_dim=4, padding_idx=row)
    with pytest.raises(Rejected, match=f"padding_idx {row} is not one of the 7 rows"):
        layer.shape(IntegerShape((5,)))
    with pytest.raises(AssertionError):
        module_of(layer.torch(IntegerShape((5,))))


def test_shapes_and_figures() -> None:
    network = archdsl.load(WORDS)
    embed = network.layers[0]
    assert (embed.output, embed.params, embed.macs) == (Shape((12, 8)), 400, 0)
    assert archdsl.load(CONDITIONAL).params == 40 + 12 * 6 + 6
