"""`archdsl.verify_onnx` compares any ONNX file with a module."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

import archdsl
from archdsl.backends.torch.probe import run_with_random_weights
from archdsl.diagnostics import SpecError
from tests.backends.onnx.cases import network

BODY = "a: conv(6, 3, bias=false); n: batchnorm; relu -> mid; b: conv(6, 3); flatten; head: linear(5); output(mid)"


@pytest.fixture
def module() -> nn.Module:
    return network(BODY).build(seed=0).eval()


@pytest.fixture
def path(module: nn.Module, tmp_path: Path) -> Path:
    archdsl.export_onnx(module, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def code(path: Path, module: nn.Module, **options: Any) -> str:
    """The code of the error that a comparison ends with; empty where the file agrees."""
    try:
        archdsl.verify_onnx(path, module, **options)
    except SpecError as error:
        return error.diagnostics[0].code
    return ""


def change(path: Path, **values: float | None) -> None:
    """Add to one value of each initializer, `a_weight` for `a.weight`; None sets all its values to zero."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor).copy()
        added = values.get(tensor.name.replace(".", "_"), 0.0)
        if added is None:
            array[:] = 0
        else:
            array.flat[0] += added
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, path)


def rename(path: Path) -> None:
    """Give all values other names, as in a file from elsewhere."""
    model = onnx.load(path)
    names = {each.name: f"x{i}" for i, each in enumerate([*model.graph.initializer, *model.graph.input])}
    for each in [*model.graph.initializer, *model.graph.input]:
        each.name = names[each.name]
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    onnx.save(model, path)


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("opset", [13, 20])
def test_a_file_of_the_module_agrees(module: nn.Module, path: Path, fold: bool, opset: int) -> None:
    archdsl.export_onnx(module, path, fold_batchnorm=fold, opset=opset)
    found = archdsl.verify_onnx(path, module)
    assert found.difference < 1e-5
    assert found.relative < 1e-5
    assert found.outputs is not None
    assert found.random_outputs is not None
    assert not found.unseen


def test_a_weight_that_differs_in_its_last_bit_is_named(module: nn.Module, path: Path) -> None:
    change(path, a_weight=1e-7, head_bias=1.0)
    with pytest.raises(SpecError) as raised:
        archdsl.verify_onnx(path, module)
    assert [one.code for one in raised.value.diagnostics] == ["E713", "E713"]
    assert "a.weight" in raised.value.diagnostics[0].message
    assert "1 of 216" in raised.value.diagnostics[0].message


def test_other_weights_are_the_same_structure(module: nn.Module, path: Path) -> None:
    other = network(BODY).build(seed=1).eval()
    assert code(path, other) == "E713"
    assert code(path, other, weights=False) == ""


def test_a_layer_before_a_head_of_zeros_is_compared(tmp_path: Path) -> None:
    """As in a fresh vit_b_32, whose output is 0 whatever comes before."""
    module = network("a: conv(6, 3); relu; flatten; head: linear(5)").build(seed=0).eval()
    with torch.no_grad():
        module.get_parameter("head.weight").zero_()
        module.get_parameter("head.bias").zero_()
    path = tmp_path / "m.onnx"
    archdsl.export_onnx(module, path)
    assert archdsl.verify_onnx(path, module).flat == ["output"]
    model = onnx.load(path)
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Sigmoid"
    onnx.save(model, path)
    assert code(path, module) == "E707"
    assert code(path, module, weights=False) == "E707"


def test_a_changed_constant_is_found_without_weights_too(tmp_path: Path) -> None:
    module = network("conv(6, 3); channel_layernorm; flatten; linear(5)").build(seed=0).eval()
    archdsl.export_onnx(module, tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    [eps] = [tensor for tensor in model.graph.initializer if not tensor.dims]
    eps.CopyFrom(numpy_helper.from_array(np.array(1.1e-5, np.float32), eps.name))
    onnx.save(model, tmp_path / "m.onnx")
    assert code(tmp_path / "m.onnx", module, weights=False) == "E713"


def test_a_file_with_other_names_is_compared_by_its_outputs(module: nn.Module, path: Path) -> None:
    rename(path)
    assert archdsl.verify_onnx(path, module).random_outputs is None
    assert code(path, module, weights=False) == "E714"
    change(path, x0=None)
    assert code(path, module) == "E707"


def test_outputs_that_hardly_vary_show_nothing(path: Path, tmp_path: Path) -> None:
    """As in a fresh network whose signal has faded: with other names there are no random weights to help."""
    module = network(BODY).build(seed=0).eval()
    with torch.no_grad():
        module.get_parameter("head.weight").mul_(1e-4)
    archdsl.export_onnx(module, path)
    rename(path)
    with pytest.raises(SpecError) as raised:
        archdsl.verify_onnx(path, module)
    assert [one.code for one in raised.value.diagnostics] == ["E714"]
    assert "output hardly varies" in raised.value.diagnostics[0].message


@pytest.mark.parametrize("batch", [None, 1, 2])
def test_a_file_that_pytorch_wrote(module: nn.Module, tmp_path: Path, batch: int | None) -> None:
    plain = network("a: conv(6, 3, bias=false); n: batchnorm; relu; flatten; head: linear(5)").build(seed=0).eval()
    x, path = torch.zeros(batch or 3, 4, 8, 8), tmp_path / "theirs.onnx"
    axes = {"theirs": {0: "n"}} if batch is None else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(plain, (x,), str(path), input_names=["theirs"], dynamic_axes=axes, dynamo=False)
    assert archdsl.verify_onnx(path, plain).difference < 1e-5
    with torch.no_grad():
        plain.get_parameter("a.weight")[0] = 0
    assert code(path, plain) == "E707"


def test_a_file_of_another_network(module: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    archdsl.export_onnx(network("a: conv(6, 3)").build(), path)
    with pytest.raises(SpecError, match=r"the outputs of the ONNX file are output \(float batchx6x6x6\)") as raised:
        archdsl.verify_onnx(path, module)
    assert [one.code for one in raised.value.diagnostics] == ["E715"]
    archdsl.export_onnx(network(BODY, "4x9x9").build(), path)
    assert code(path, module) == "E715"
    assert code(path, module, weights=False) == "E715"
    archdsl.export_onnx(network(BODY.replace("linear(5)", "linear(6)")).build(), path)
    assert code(path, module) == "E712"


def test_the_normalisation_of_a_file_is_needed(module: nn.Module, path: Path) -> None:
    normalize = ((0.5,), (0.25,))
    archdsl.export_onnx(module, path, normalize=normalize)
    assert code(path, module, normalize=normalize) == ""
    assert code(path, module) == "E707"
    assert code(path, module, normalize=((0.5,), (0.3,))) == "E713"


@pytest.mark.parametrize("content", [b"", b"no ONNX file", bytes(range(256)) * 9])
def test_a_file_that_is_no_onnx(module: nn.Module, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert code(path, module) == "E709"


def test_a_file_that_is_not_there(module: nn.Module, tmp_path: Path) -> None:
    assert code(tmp_path / "m.onnx", module) == "E001"


def test_a_file_without_the_data_beside_it(module: nn.Module, path: Path) -> None:
    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location="m.data", size_threshold=0)
    assert code(path, module) == ""
    (path.parent / "m.data").unlink()
    assert code(path, module) == "E709"


def _zero(tensor: onnx.TensorProto) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.zeros(tuple(tensor.dims), np.float32), tensor.name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v3_small", "vit_b_32"])
def test_fresh_networks_of_the_zoo_hide_nothing(name: str, tmp_path: Path) -> None:
    """Their outputs are 5e-14, 3e-9 and exactly 0: nothing can be seen of them with these weights."""
    module, path = archdsl.load(name).build(seed=0).eval(), tmp_path / "m.onnx"
    archdsl.export_onnx(module, path)
    right = onnx.load(path)
    kernels = [i for i, tensor in enumerate(right.graph.initializer) if len(tensor.dims) == 4]
    for one in (False, True):
        wrong = onnx.ModelProto()
        wrong.CopyFrom(right)
        for i in kernels:
            tensor = wrong.graph.initializer[i]
            if one:
                values = numpy_helper.to_array(tensor).copy()
                values.flat[0] += 0.01
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
                break
            _zero(tensor)
        onnx.save(wrong, path)
        assert code(path, module) == "E713"
    wrong.CopyFrom(right)
    activation = next(node for node in wrong.graph.node if node.op_type in ("Sigmoid", "HardSwish", "Gelu"))
    activation.op_type, _ = "Tanh", activation.ClearField("attribute")
    onnx.save(wrong, path)
    assert code(path, module, weights=False) == "E707"


def mixer(act: str, width: int, depth: int) -> nn.Module:
    """A ConvMixer, which amplifies rounding errors from block to block where its weights are random."""
    conv = f'residual {{ conv({width}, 7, padding="same", groups={width}); {act}; batchnorm }}'
    blocks = f"for i in 1..{depth} {{ {conv}; conv({width}, 1); {act}; batchnorm }}"
    stem = f"conv({width}, 7, stride=7); {act}; batchnorm"
    return network(f"{stem}; {blocks}; adaptive_avgpool(1); flatten; linear(10)", "3x28x28").build(seed=0).eval()


def test_the_modules_own_rounding_errors_are_no_fault_of_the_file(tmp_path: Path) -> None:
    module = mixer("gelu", 32, 64)
    archdsl.export_onnx(module, tmp_path / "m.onnx")
    found = archdsl.verify_onnx(tmp_path / "m.onnx", module)
    assert found.relative > 1e-4  # more than the tolerance, as float32 is from float64


def test_rounding_errors_as_large_as_the_output_show_nothing(tmp_path: Path) -> None:
    module = mixer("relu", 32, 64)
    archdsl.export_onnx(module, tmp_path / "m.onnx")
    assert code(tmp_path / "m.onnx", module, weights=False) == "E714"


def test_an_output_of_rounding_errors_is_not_taken_for_one_that_agrees(tmp_path: Path) -> None:
    """As with the module's own weights as with random ones: the file here lacks its first convolution's bias."""
    module = mixer("relu", 32, 64)
    x = torch.randn(6, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    state, _ = run_with_random_weights(module, x)
    module.load_state_dict(state)
    archdsl.export_onnx(module, tmp_path / "m.onnx")
    rename(tmp_path / "m.onnx")
    assert code(tmp_path / "m.onnx", module) == "E714"
    model = onnx.load(tmp_path / "m.onnx")
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    del first.input[2]
    onnx.save(model, tmp_path / "m.onnx")
    assert code(tmp_path / "m.onnx", module) in {"E707", "E714"}
