"""`archdsl.export_onnx`: from a built module to a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

import archdsl
from archdsl.diagnostics import SpecError
from tests.backends.onnx.cases import network, ops, run

BODY = """
stem: { conv(6, 3, bias=false); batchnorm; relu -> low; dropout }
aux { flatten; linear(3) }
flatten; linear(5)
output(low)
"""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_a_module_of_any_dtype(tmp_path: Path, dtype: torch.dtype) -> None:
    module = network(BODY).build(seed=0).to(dtype)
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    assert archdsl.export_onnx(module, tmp_path / "m.onnx") < 1e-4
    assert all(torch.equal(module.state_dict()[key], before[key]) for key in before)
    assert next(module.parameters()).dtype == dtype
    x = torch.randn(2, 4, 8, 8)
    found = run(str(tmp_path / "m.onnx"), x)
    expected = module.float().eval()(x)
    torch.testing.assert_close(found["output"], expected["out"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["low"], expected["low"], rtol=1e-4, atol=1e-5)


def test_each_part_keeps_its_mode(tmp_path: Path) -> None:
    module = network(BODY).build(seed=0).train()
    frozen = next(part for part in module.modules() if isinstance(part, nn.BatchNorm2d)).eval()
    archdsl.export_onnx(module, tmp_path / "m.onnx")
    assert module.training
    assert not frozen.training


def test_the_options_reach_the_file(tmp_path: Path) -> None:
    module = network(BODY).build(seed=0)
    path = tmp_path / "m.onnx"
    archdsl.export_onnx(module, path, fold_batchnorm=False, normalize=((0.5, 0.4, 0.3, 0.2), (0.2, 0.3, 0.4, 0.5)))
    assert ops(onnx.load(str(path))) == ["Sub", "Div", "Conv", "BatchNormalization", "Relu", "Flatten", "Gemm"]
    archdsl.export_onnx(module, path, normalize=((0.5,), (0.25,)))
    assert ops(onnx.load(str(path))) == ["Sub", "Div", "Conv", "Relu", "Flatten", "Gemm"]


def test_a_module_that_no_longer_fits_its_graph_is_rejected(tmp_path: Path) -> None:
    module = network("a: conv(4, 3, padding=1); relu").build(seed=0)
    module.register_forward_hook(lambda *_: torch.zeros(1, 4, 8, 8).expand(_[2].shape) + 1)
    with pytest.raises(SpecError) as raised:
        archdsl.export_onnx(module, tmp_path / "m.onnx")
    assert [one.code for one in raised.value.diagnostics] == ["E707"]
    assert list(tmp_path.iterdir()) == []


def test_a_module_from_elsewhere_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as raised:
        archdsl.export_onnx(nn.Linear(3, 4), tmp_path / "m.onnx")
    assert [one.code for one in raised.value.diagnostics] == ["E711"]


def test_the_onnx_back_end_does_not_import_torch() -> None:
    code = (
        "import sys, archdsl\nfrom archdsl.backends.onnx import emit\n"
        "emit(archdsl.load('model m { input(3x4x4); relu }'), {})\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_onnx_the_message_says_what_to_install() -> None:
    code = "import sys; sys.modules['onnx'] = None\nimport archdsl.backends.onnx"
    found = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert found.returncode == 1
    assert 'error[E701]: the ONNX export needs the package onnx: pip install "archdsl[onnx]"' in found.stderr
