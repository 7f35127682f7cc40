"""Several inputs through every back end: the module by position and by name, the printed source, the ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import archdsl
from archdsl import SpecError
from archdsl.backends.torch.source import source

SPEC = """
model two(width = 8) {
  input(image: 1x12x12, time: 16)
  conv(width, 3, padding=1) -> h
  use(time)
  linear(width); relu
  unflatten(1, (width, 1, 1))
  add(h)
  conv(1, 3, padding=1)
  add(image)
  output(h)
}
"""
BATCH = 3
IMAGE, TIME = torch.randn(BATCH, 1, 12, 12), torch.randn(BATCH, 16)


def by_hand(module: torch.nn.Module) -> torch.Tensor:
    weights = module.state_dict()
    h = torch.nn.functional.conv2d(IMAGE, weights["0.weight"], weights["0.bias"], padding=1)
    time = torch.relu(TIME @ weights["1.weight"].T + weights["1.bias"])
    joined = time[:, :, None, None] + h
    return torch.nn.functional.conv2d(joined, weights["5.weight"], weights["5.bias"], padding=1) + IMAGE


def test_the_module_takes_the_inputs_in_the_order_of_the_text_and_by_name() -> None:
    module = archdsl.load(SPEC).build(seed=0).eval()
    with torch.no_grad():
        expected = by_hand(module)
        torch.testing.assert_close(module(IMAGE, TIME)["out"], expected)
        torch.testing.assert_close(module(time=TIME, image=IMAGE)["out"], expected)


@pytest.mark.parametrize("name", ["x", "hidden"])
def test_an_input_may_be_called_like_a_variable_of_the_code(name: str) -> None:
    network = archdsl.load(f"model m {{ input(a: 4, {name}: 4); linear(4); relu; add({name}); add(a); mul({name}) }}")
    module = network.build(seed=0)
    a, x = torch.randn(2, 4), torch.randn(2, 4)
    torch.testing.assert_close(module(a=a, **{name: x}), (torch.relu(module.get_submodule("0")(a)) + x + a) * x)


def test_an_input_is_not_overwritten() -> None:
    module = archdsl.load("model m { input(x: 3x8x8, y: 3x8x8); relu; add(y); relu; add(x) }").build()
    x, y = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    before = x.clone(), y.clone()
    module(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_the_printed_source_computes_the_same() -> None:
    network = archdsl.load(SPEC)
    module = network.build(seed=0).eval()
    names: dict[str, type[torch.nn.Module]] = {}
    exec(source(network), names)
    printed = names["Two"]().eval()
    printed.load_state_dict(module.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(printed(time=TIME, image=IMAGE)["out"], module(IMAGE, TIME)["out"])


def test_the_onnx_file_has_the_inputs_by_name(tmp_path: Path) -> None:
    module = archdsl.load(SPEC).build(seed=0).eval()
    path = tmp_path / "two.onnx"
    assert archdsl.export_onnx(module, path) < 1e-5
    graph = onnx.load(path).graph
    assert [value.name for value in graph.input] == ["image", "time"]
    session = onnxruntime.InferenceSession(path)
    found = session.run(None, {"time": TIME.numpy(), "image": IMAGE.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found[0], module(IMAGE, TIME)["out"].numpy(), atol=1e-5)
    assert archdsl.verify_onnx(path, module).relative < 1e-5


def test_a_file_with_exchanged_inputs_is_found(tmp_path: Path) -> None:
    """Both have the same shape, so that only the values can tell."""
    spec = "model m {{ input(a: 1x6x6, b: 1x6x6); use({}); conv(2, 3) -> c; use({}); conv(2, 3); add(c) }}"
    module = archdsl.load(spec.format("a", "b")).build(seed=0)
    exchanged = archdsl.load(spec.format("b", "a")).build(seed=0)
    archdsl.export_onnx(exchanged, tmp_path / "m.onnx")
    exchanged.load_state_dict(module.state_dict())
    archdsl.export_onnx(exchanged, tmp_path / "m.onnx")
    with pytest.raises(SpecError, match="E707"):
        archdsl.verify_onnx(tmp_path / "m.onnx", module)


def test_sizes_from_outside_are_given_by_name() -> None:
    network = archdsl.load(SPEC, input={"image": (1, 20, 20)})
    assert network.inputs == {"image": (1, 20, 20), "time": (16,)}
    assert archdsl.load(SPEC, input=network.input_sizes).inputs == network.inputs
    with pytest.raises(SpecError, match="E203"):
        archdsl.load(SPEC, input={"picture": (1, 20, 20)})
    with pytest.raises(SpecError, match="E217"):
        archdsl.load(SPEC, input=(1, 20, 20))
