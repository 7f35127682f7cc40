"""What layers say that PyTorch keeps for the backward pass, compared with what PyTorch does keep."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from archdsl.shapes import BYTES
from tests.graph.allocations import Allocations
from tests.layers.agreement import batch_of, module_of
from tests.layers.samples import SAMPLES, Sample

BATCH = 2
#: On the CPU a mask is as large as what it masks.
BYTES_ON_CPU = {**BYTES, "bool": 4}
#: On the CPU, attention with dropout or a mask keeps its weights; a product of several taps keeps more than one; the
#: bias network of Swin V2 runs once for a batch; a product of matrices copies what it broadcasts; a sequence
#: of one step is not copied.
OTHER = (
    "(hidden_size=3)-1x3",
    "dropout=0.5",
    "attention_dropout",
    "mul()-4-4-4",
    "div()-4-4-4",
    "pow()-4-4-4",
    "matmul()-1x4x5",
    "matmul()-3x2x1x4",
    "shifted_window_attention_v2",
)
COMPARED = [sample for sample in SAMPLES if not any(text in str(sample) for text in OTHER)]

each_kind = pytest.mark.parametrize("kind", sorted({sample.kind for sample in SAMPLES}))


def native(sample: Sample) -> AbstractContextManager[None]:
    """Recurrent layers in PyTorch's own implementation, without the buffers of oneDNN's."""
    recurrent = sample.kind in ("lstm", "gru", "rnn")
    return torch.backends.mkldnn.flags(enabled=False) if recurrent else nullcontext()


def saved_by(sample: Sample) -> tuple[set[str], float]:
    """The names of the tensors that the backward pass of a sample keeps, and the bytes of others for each sample."""
    torch.manual_seed(0)
    module = module_of(sample.layer.torch(sample.x)).train()
    shapes = (sample.x, *sample.operands)
    batches = [batch_of(shape, BATCH) for shape in shapes]
    inputs = [x.requires_grad_() * 1 if x.is_floating_point() else x for x in batches]
    names = {x.untyped_storage().data_ptr(): "operands" if i else "input" for i, x in enumerate(inputs)}
    names |= {own.untyped_storage().data_ptr(): "" for own in [*module.parameters(), *module.buffers()]}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with native(sample), saved_tensors_hooks(keep, lambda tensor: tensor):
        output = module(*inputs)
    names.setdefault(output.untyped_storage().data_ptr(), "output")
    others = sum(one.untyped_storage().nbytes() for pointer, one in kept.items() if pointer not in names)
    return {names[pointer] for pointer in kept if names.get(pointer)}, others / BATCH


@each_kind
def test_the_backward_pass_keeps_what_the_layer_says(kind: str) -> None:
    for sample in COMPARED:
        if sample.kind == kind and not sample.arguments.get("inplace"):
            memory = sample.layer.memory(sample.x, sample.y)
            names, others = saved_by(sample)
            assert names == set(memory.saves) - ({"operands"} if not sample.operands else set()), sample
            expected = sum(one.numel * BYTES_ON_CPU[one.dtype] for one in memory.kept)
            statistics = sum(tensor.numel for tensor in sample.layer.weights(sample.x).values()) + 6 * sum(sample.x[:1])
            assert others == pytest.approx(expected, rel=0.02, abs=4 * statistics), sample


@each_kind
def test_views_and_their_inner_tensors(kind: str) -> None:
    for sample in COMPARED:
        if sample.kind == kind:
            compare_inner_tensors(sample)


def compare_inner_tensors(sample: Sample) -> None:
    module = module_of(sample.layer.torch(sample.x)).eval()
    inputs = [batch_of(shape, BATCH) for shape in (sample.x, *sample.operands)]
    with native(sample), torch.no_grad(), Allocations(*inputs, *module.parameters(), *module.buffers()) as allocations:
        output = module(*inputs)
    shares = output.untyped_storage().data_ptr() == inputs[0].untyped_storage().data_ptr()
    if sample.layer.is_parameter or sample.kind == "constant":
        assert not allocations.peak
        return
    assert sample.layer.is_view or not shares or bool(sample.arguments.get("inplace"))
    own = 0 if shares else 4 * sample.y.numel
    inside = sum(one.nbytes for one in sample.layer.memory(sample.x, sample.y).inside)
    # Sums and products of several taps have a term more; the batch shares the bias and mask of windows.
    shared = 4 * (sample.x.numel + 12 * sum(sample.x[:1]))
    assert inside <= 1.3 * (allocations.peak / BATCH - own) + 8 * sum(sample.x[:1])
    assert allocations.peak / BATCH - own <= 1.4 * inside + shared or "v2" in sample.kind
