"""The contract of every layer type, tested with PyTorch and ONNX Runtime."""

import inspect
import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archdsl.layers import all_kinds, arguments
from archdsl.layers.base import KINDS, Layer
from archdsl.shapes.receptive_field import ReceptiveField
from tests.layers.agreement import NAMES, batch_of, module_of
from tests.layers.onnx_case import feeds, models_by_opset, session_of
from tests.layers.samples import SAMPLES, Sample

OURS = {name: kind for name, kind in all_kinds().items() if kind.__module__.startswith("archdsl.layers.")}

each_kind = pytest.mark.parametrize("kind", OURS.values(), ids=OURS.keys())


def samples(chosen: Iterable[Sample] = SAMPLES) -> pytest.MarkDecorator:
    """The samples that a test is about, none of which it passes over."""
    return pytest.mark.parametrize("sample", list(chosen), ids=str)


def has_inplace(sample: Sample) -> bool:
    return "inplace" in type(sample.layer).model_fields


def has_gradients(sample: Sample) -> bool:
    return sample.x.dtype == sample.y.dtype == "float32" and sample.kind != "constant"


def has_small_field(sample: Sample) -> bool:
    """Whether gradients tell the receptive field; what wraps round the edge reaches further than any field says."""
    return (
        has_gradients(sample)
        and sample.x.rank > 0
        and sample.x.numel <= 230
        and "circular" not in sample.arguments.values()
    )


def tensors(sample: Sample, batch: int, seed: int = 0) -> list[torch.Tensor]:
    """A batch for the input and for each tap, with numbers on both sides of all the activations' bends."""
    generator = torch.Generator().manual_seed(seed)
    found = (batch_of(shape, batch, generator) for shape in (sample.x, *sample.operands))
    return [x * 3 if x.is_floating_point() else x for x in found]


def settled(sample: Sample, *, training: bool = False) -> nn.Module:
    """The sample's module with a state that nothing but its own numbers can be mistaken for."""
    torch.manual_seed(0)
    module = module_of(sample.layer.torch(sample.x))
    # Sums of many positive numbers would leave a softmax with a single one.
    low, high = (-0.5, 0.5) if "attention" in sample.kind else (0.2, 1.2)
    for tensor in module.state_dict(keep_vars=True).values():
        if tensor.is_floating_point() and not isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            nn.init.uniform_(tensor, low, high)
    return module.train(training)


def test_every_kind_has_a_sample_and_no_other() -> None:
    assert {sample.kind for sample in SAMPLES} == set(OURS)


@each_kind
def test_parameters_are_all_that_weights_gives(kind: type[Layer]) -> None:
    names = {name for sample in SAMPLES if type(sample.layer) is kind for name in sample.layer.weights(sample.x)}
    assert set(kind.parameters) <= names
    assert all(kind.has_parameter(name) for name in names)
    assert not kind.has_parameter("no_such_parameter")


@samples()
def test_output_shape_is_torchs(sample: Sample) -> None:
    for training in (False, True):
        module = settled(sample, training=training)
        for batch in (2, 3):
            assert module(*tensors(sample, batch)).shape == (batch, *sample.y)


@samples()
def test_state_is_the_modules_state_dict(sample: Sample) -> None:
    layer, module = sample.layer, module_of(sample.layer.torch(sample.x))
    weights = [(name, tuple(tensor.shape), f"torch.{tensor.dtype}") for name, tensor in layer.weights(sample.x).items()]
    state = [(name, tuple(tensor.shape), f"torch.{tensor.dtype}") for name, tensor in layer.state(sample.x).items()]
    assert weights == [(name, tuple(value.shape), str(value.dtype)) for name, value in module.named_parameters()]
    assert state == [(name, tuple(v.shape), str(v.dtype)) for name, v in module.state_dict().items()]


@samples()
def test_macs_are_half_of_torchs_flops(sample: Sample) -> None:
    # The second version of Swin works out its position bias once, however many samples there are.
    module, batch = settled(sample), 1 if sample.kind == "shifted_window_attention_v2" else 2
    # oneDNN's recurrent layers are one operator, which the counter does not know.
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        module(*tensors(sample, batch))
    assert 2 * batch * sample.layer.macs(sample.x, sample.y) == counter.get_total_flops()


@samples()
def test_torch_form_prints_as_the_python_that_makes_it(sample: Sample) -> None:
    form = sample.layer.torch(sample.x)
    assert repr(eval(str(form), NAMES)) == repr(module_of(form))


@samples()
def test_torch_form_leaves_out_defaults(sample: Sample) -> None:
    form = sample.layer.torch(sample.x)
    where, _, name = form.cls.rpartition(".")
    defaults = inspect.signature(getattr(NAMES[where], name)).parameters
    assert all(value != defaults[keyword].default for keyword, value in form.keywords.items())


@each_kind
def test_only_what_has_an_argument_for_it_runs_in_place(kind: type[Layer]) -> None:
    chosen = [sample for sample in SAMPLES if sample.kind == kind.kind and not has_inplace(sample)]
    assert not any(sample.layer.can_run_inplace for sample in chosen)


@samples(filter(has_inplace, SAMPLES))
def test_in_place_gives_the_same_numbers(sample: Sample) -> None:
    plain, in_place = (
        module_of(type(sample.layer)(**{**sample.arguments, "inplace": flag}).torch(sample.x)) for flag in (False, True)
    )
    for training in (False, True):
        x = tensors(sample, 2)[0]
        torch.manual_seed(0)
        expected = plain.train(training)(x.clone())
        torch.manual_seed(0)
        assert torch.equal(in_place.train(training)(x), expected)
        assert torch.equal(x, expected) or sample.kind == "alpha_dropout"  # which ignores it


def _gradients(module: nn.Module, inputs: list[torch.Tensor], *, overwrite: bool) -> list[torch.Tensor] | None:
    """Gradients at the inputs, with the output overwritten before the backward pass; None where torch rejects it."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    torch.manual_seed(0)
    output = module(*(leaf * 1 for leaf in leaves))
    weight = torch.linspace(-1, 1, output.numel()).reshape(output.shape)
    loss = (output.mul_(1) * weight) if overwrite else output * weight
    try:
        return list(torch.autograd.grad(loss.sum(), leaves))
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        return None


@samples(sample for sample in filter(has_gradients, SAMPLES) if not sample.layer.saves_output)
def test_output_may_be_overwritten_unless_the_kind_says_it_is_kept(sample: Sample) -> None:
    for training in (False, True):
        module, inputs = settled(sample, training=training), tensors(sample, 2)
        output = module(*inputs)
        assert all(output.data_ptr() != x.data_ptr() or sample.arguments.get("inplace") for x in inputs)
        plain = _gradients(module, inputs, overwrite=False)
        overwritten = _gradients(module, inputs, overwrite=True)
        assert overwritten is not None
        assert plain is not None
        assert all(torch.equal(*pair) for pair in zip(plain, overwritten, strict=True))


@samples(filter(has_small_field, SAMPLES))
def test_receptive_field_covers_all_that_a_cell_depends_on(sample: Sample) -> None:
    """Differentiate each output cell, and measure how far its non-zero gradients reach on each axis."""
    layer, module = sample.layer, settled(sample)
    field = layer.receptive_field(ReceptiveField.of_input(sample.x), sample.x, sample.y)
    x, *operands = (tensor[:1] for tensor in tensors(sample, 2))
    with sdpa_kernel(SDPBackend.MATH):  # the fused ones know no functional derivatives
        jacobian = torch.func.jacrev(lambda t: module(t.clone(), *operands))(x)
    # Where the output is NaN (a root of a negative number), 0 times its derivative is NaN everywhere.
    seen = jacobian.nan_to_num().reshape(sample.y.numel, *sample.x) != 0
    for axis, size in enumerate(field.sizes):
        others = tuple(i for i in range(1, seen.dim()) if i != axis + 2)
        for cell in seen.any(dim=others) if others else seen:
            cells = cell.nonzero()
            assert len(cells) == 0 or int(cells.max() - cells.min()) + 1 <= size


@samples()
def test_onnx_runtime_equals_torch(sample: Sample) -> None:
    """In each opset whose nodes or operators are others than in the one before."""
    module = settled(sample)
    weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    batches = [tensors(sample, batch, seed=batch) for batch in (2, 3)]
    with torch.no_grad():
        expected = [module(*(tensor.clone() for tensor in inputs)).numpy() for inputs in batches]
    for model in models_by_opset(sample.layer, sample.x, weights, *sample.operands):
        session = session_of(model)
        for (x, *operands), numbers in zip(batches, expected, strict=True):
            (found,) = session.run(None, feeds(x.numpy(), [tensor.numpy() for tensor in operands]))
            assert found.shape == numbers.shape
            np.testing.assert_allclose(found, numbers, rtol=1e-5, atol=1e-5)


#: The twin's arguments that the input gives.
INPUT_SIZES = {"in_channels", "in_features", "num_features", "num_channels"}
#: Where a kind's arguments are not its twin's, and why.
EXCEPTIONS: dict[str, dict[str, tuple[str, Any]]] = {
    # `init` names an initializer in every layer.
    "prelu": {"init": ("init_value", 0.25)},
    # None is the whole sample, whose size the input gives.
    "layernorm": {"normalized_shape": ("normalized_shape", None)},
    # The channels, where None is deprecated and guesses.
    "softmax": {"dim": ("dim", 1)},
    "log_softmax": {"dim": ("dim", 1)},
}
#: Arguments of twins that kinds do without: deprecated ones, and outputs that no layer here can hand on.
LEFT_OUT = {
    # Renormalising rows changes the weights in every forward pass; sparse gradients work with two optimizers only.
    "embedding": {"max_norm", "norm_type", "sparse", "_weight", "_freeze"},
    "hardtanh": {"min_value", "max_value"},
    "maxpool": {"return_indices"},
    "adaptive_maxpool": {"return_indices"},
}
#: Kinds of our own that run on some class of torch.nn without being its twin.
WITHOUT_TWIN = {"pad", "unsqueeze"}


def _twin(kind: str) -> type[nn.Module] | None:
    """The torch.nn class of a kind; of several the one for images, which takes the most arguments."""
    sample = max((sample for sample in SAMPLES if sample.kind == kind), key=lambda sample: sample.x.rank == 2)
    where, _, name = sample.layer.torch(sample.x).cls.rpartition(".")
    return getattr(nn, name) if where == "nn" and kind not in WITHOUT_TWIN else None


TWINS = {kind: twin for kind in OURS.values() if (twin := _twin(kind.kind)) is not None}


@pytest.mark.parametrize(("kind", "twin"), TWINS.items(), ids=[kind.kind for kind in TWINS])
def test_arguments_are_the_twins(kind: type[Layer], twin: type[nn.Module]) -> None:
    """Keyword-only arguments are not compared: the norms' `bias` is younger than the oldest torch supported."""
    expected = []
    for name, parameter in inspect.signature(twin).parameters.items():
        left_out = INPUT_SIZES | {"device", "dtype"} | LEFT_OUT.get(kind.kind, set())
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name not in left_out:
            expected.append(EXCEPTIONS.get(kind.kind, {}).get(name, (name, parameter.default)))
    found = [
        (name, inspect.Parameter.empty if field.is_required() else field.default)
        for name, field in kind.model_fields.items()
    ]
    assert found == expected


@each_kind
def test_says_what_it_is(kind: type[Layer]) -> None:
    assert kind.__doc__
    assert kind.__doc__ != Layer.__doc__
    if kind in TWINS:
        assert "`torch.nn." in kind.__doc__


@each_kind
def test_is_registered_and_described(kind: type[Layer]) -> None:
    assert KINDS[kind.kind] is kind
    described = arguments(kind)
    assert [argument.name for argument in described] == list(kind.model_fields)
    assert all(argument.type and "typing" not in argument.type for argument in described)


@each_kind
def test_rejects_wrong_types_and_unknown_names(kind: type[Layer]) -> None:
    sample = next(sample for sample in SAMPLES if sample.kind == kind.kind)
    with pytest.raises(ValidationError):
        kind(**{**sample.arguments, "no_such_argument": 1})
    for name in kind.model_fields:
        with pytest.raises(ValidationError):
            kind(**{**sample.arguments, name: object()})
        with pytest.raises(ValidationError):
            kind(**{**sample.arguments, name: "1"})


@samples()
def test_is_frozen_and_pickles(sample: Sample) -> None:
    layer = sample.layer
    assert pickle.loads(pickle.dumps(layer)) == layer
    assert hash(layer) == hash(sample.layer)
    for name in type(layer).model_fields:
        with pytest.raises(ValidationError):
            setattr(layer, name, getattr(layer, name))
