"""Files for all input sizes: what they compute at sizes that the export has not compared, and what has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import archdsl
from archdsl.cli import main

#: Layers that decide by the size of their input what they compute, or have it in a shape.
LAYERS = {
    "maxpool": "maxpool(3, stride=2, padding=1, ceil_mode=true)",
    "maxpool dilated": "maxpool(2, stride=3, dilation=2, ceil_mode=true)",
    "avgpool": "avgpool(3, stride=2, padding=1, ceil_mode=true)",
    "avgpool inside": "avgpool(3, stride=2, padding=1, ceil_mode=true, count_include_pad=false)",
    "avgpool divisor": "avgpool(2, stride=3, ceil_mode=true, divisor_override=3)",
    "avgpool down": "avgpool(3, stride=2, padding=1, count_include_pad=false)",
    "adaptive_avgpool": "adaptive_avgpool(5x3)",
    "adaptive_avgpool one axis": "adaptive_avgpool((none, 4))",
    "adaptive_maxpool": "adaptive_maxpool(5x3)",
    "adaptive_maxpool one axis": "adaptive_maxpool((4, none))",
    "upsample": "upsample(scale_factor=2)",
    "upsample bilinear": 'upsample(scale_factor=3, mode="bilinear")',
    "upsample corners": 'upsample(scale_factor=2, mode="bilinear", align_corners=true)',
    "upsample bicubic": 'upsample(scale_factor=2, mode="bicubic")',
    "upsample exact": 'upsample(size=7, mode="nearest-exact")',
    "upsample to": "upsample(size=(9, 31))",
    "upsample to the input": "maxpool(3); upsample(size=shape_of)",
    "upsample bilinear to": 'maxpool(3); upsample(size=shape_of, mode="bilinear")',
    "same": 'conv(4, 3, stride=2, padding="same_upper"); maxpool(2, stride=2, padding="same_upper")',
    "crop": "crop(5)",
    "crop to a tap": "maxpool(2) -> small; let s = (height, width); use(x); crop(s); add(small)",
    "reflect": 'conv(4, 3, padding=1, padding_mode="reflect")',
    "circular": 'pad((1, 2, 0, -1), mode="circular")',
    "pad and crop": "pad((1, -2, 3, -1))",
    "transposed": "conv_transpose(3, 3, stride=2, padding=1, output_padding=1)",
    "groupnorm": "groupnorm(2)",
    "channel_layernorm": "channel_layernorm",
    "instancenorm": "instancenorm",
    "local_response_norm": "local_response_norm(2)",
    "shuffle": "channel_shuffle(2); pixel_shuffle(2)",
    "flatten": "flatten(2); transpose(1, 2); linear(3); multihead_attention(1)",
    "channels last": "permute(0, 2, 3, 1); layernorm(4); permute(0, 3, 1, 2)",
    "unflatten": "flatten(2); unflatten(1, (2, 2)); softmax(3)",
    "select": "select(2, 1); conv(3, 2)",
    "narrow": "narrow(3, 2, 5); narrow(2, -6, 4); pad_channels(7, stride=2)",
    "split": "split(2) { { conv(2, 1) }; { } }; scale { adaptive_avgpool(1); conv(4, 1); sigmoid }",
    "dense": "dense { conv(2, 3, padding=1) }; residual { conv(6, 1) }",
    "learned": "scale { p: parameter((4, 1, 1), init=ones) }",
}


def spec(layers: str) -> str:
    known = "let shape_of = (height, width); " if "shape_of" in layers else ""
    return f"model m {{ input(4x12x14) -> x; {known}{layers} }}"


def outputs(path: Path, module: torch.nn.Module, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(1).standard_normal((2, *shape), dtype=np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"input": x})
    with torch.no_grad():
        return found, module(torch.from_numpy(x)).numpy()


@pytest.mark.parametrize("layers", LAYERS.values(), ids=list(LAYERS))
def test_a_layer_runs_on_other_sizes(layers: str, tmp_path: Path) -> None:
    network, path = archdsl.load(spec(layers)), tmp_path / "m.onnx"
    module = network.build(seed=0)
    archdsl.export_onnx(module, path, dynamic_size=True)
    for shape in [(4, 12, 14), (4, 11, 17), (4, 20, 9), (4, 29, 22)]:
        other = archdsl.load(spec(layers), input=shape).build().eval()
        other.load_state_dict(module.state_dict())
        found, expected = outputs(path, other, shape)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", [13, 17, 23])
def test_old_and_new_opsets(opset: int, tmp_path: Path) -> None:
    layers = 'maxpool(3, ceil_mode=true); upsample(size=shape_of, mode="bilinear"); adaptive_avgpool(5)'
    archdsl.export_onnx(archdsl.load(spec(layers)).build(), tmp_path / "m.onnx", opset=opset, dynamic_size=True)


def test_the_axes_have_names(tmp_path: Path) -> None:
    source = "model m { input(image: 1x12x12, wave: 2x30); conv(2, 3); flatten(2); adaptive_avgpool(1) -> a; "
    network = archdsl.load(source + "use(wave); conv(2, 3); adaptive_avgpool(1); add(a) }")
    archdsl.export_onnx(network.build(), tmp_path / "m.onnx", dynamic_size=True)
    inputs = onnx.load(tmp_path / "m.onnx").graph.input
    sizes = {one.name: [axis.dim_param or axis.dim_value for axis in one.type.tensor_type.shape.dim] for one in inputs}
    assert sizes == {"image": ["batch", 1, "image_height", "image_width"], "wave": ["batch", 2, "wave_length"]}


def test_only_axes_with_other_sizes_are_symbolic(tmp_path: Path) -> None:
    network = archdsl.load("model m { input(1x12x12); conv(2, 3); adaptive_avgpool((1, none)); flatten; linear(3) }")
    archdsl.export_onnx(network.build(), tmp_path / "m.onnx", dynamic_size=True)
    [one] = onnx.load(tmp_path / "m.onnx").graph.input
    assert [axis.dim_param or axis.dim_value for axis in one.type.tensor_type.shape.dim] == ["batch", 1, "height", 12]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("model m { input(12); linear(3) }", "E782"),
        ("model m { input(1x12x12); flatten; linear(3) }", "E782"),
        ("model m { input(1x20x20); upsample(scale_factor=1.5) }", "E781"),
        ("model m { input(1x20x20); if height > 18 { relu } else { tanh } }", "E781"),
        ("model m { input(1x20x20); crop(height // 2) }", "E781"),
    ],
)
def test_what_cannot_be_written_is_an_error(source: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.export_onnx(archdsl.load(source).build(), tmp_path / "m.onnx", dynamic_size=True)
    assert [one.code for one in caught.value.diagnostics] == [code]
    assert not list(tmp_path.iterdir())


def test_the_command_writes_and_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, file = tmp_path / "m.arch", tmp_path / "m.onnx"
    path.write_text("model m { input(1x16x16); conv(4, 3); batchnorm; maxpool(2, ceil_mode=true) }", encoding="utf-8")
    assert main(["export", str(path), "-o", str(file), "--dynamic-size"]) == 0
    capsys.readouterr()
    assert main(["verify", str(file), str(path)]) == 0
    assert "with random weights in both" in capsys.readouterr().out


ZOO = ["alexnet", "vgg11", "resnet18", "googlenet", "densenet121", "squeezenet1_1", "mobilenet_v3_small", "vit_b_32"]
SEGMENTATION = ["fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large", "unet_padded"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ZOO, "shufflenet_v2_x0_5", *SEGMENTATION])
def test_a_network_of_the_zoo(name: str, tmp_path: Path) -> None:
    size = 224 if name == "vit_b_32" else 96
    network = archdsl.load(name, input=(3, size, size))
    archdsl.export_onnx(network.build(seed=0), tmp_path / "m.onnx", dynamic_size=True)
