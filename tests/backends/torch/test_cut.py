"""Parts of a tensor along its channels, compared with PyTorch's `split` and `chunk`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.backends.torch.source import source

Layers = Callable[[str, Tensor], Tensor]


def chunked(f: Layers, x: Tensor) -> Tensor:
    a, b, c = x.chunk(3, 1)
    return torch.cat([f("0", x).relu(), a, c, b], 1)


def sized(f: Layers, x: Tensor) -> Tensor:
    a, b, c = torch.split(x, [1, 5, 2], 1)
    return torch.cat([f("0", a), b.relu(), c.sigmoid()], 1)


def overwritten(f: Layers, x: Tensor) -> Tensor:
    """A layer after the cut must not write into the tensor whose parts are still read."""
    y = f("0", x)
    a, b = y.chunk(2, 1)
    return torch.cat([y.relu(), b, f("3", a.relu()), a], 1)


def taps_of_parts(f: Layers, x: Tensor) -> Tensor:
    y = f("g.0", x)
    a, b = torch.split(y, [3, 1], 1)
    return torch.cat([y, a, b], 1)


BODIES: dict[str, tuple[str, Callable[[Layers, Tensor], Tensor]]] = {
    "chunk": ("chunk(3) -> a, b, c; conv(4, 1); relu; concat(a, c, b)", chunked),
    "sizes": ("split([1, 5, 2]) { conv(3, 1); relu; sigmoid }", sized),
    "sizes one by one": ("split(1, 5, 2) { conv(3, 1); relu; sigmoid }", sized),
    "overwritten": (
        "conv(4, 1); chunk(2) -> a, b; relu -> y; use(a); relu; conv(2, 1) -> z; use(y); concat(b, z, a)",
        overwritten,
    ),
    "taps of parts": ("g: { conv(4, 1); split([3, 1]) -> a, b }; concat(g.a, g.b)", taps_of_parts),
    "one part": ("split(1) -> a; chunk(1) -> b; add(a, b)", lambda f, x: 3 * x),
    "read in another scope": (
        "split(2) -> a, b; g: { tanh; concat(b, a) }",
        lambda f, x: torch.cat([x.tanh(), x[:, 4:], x[:, :4]], 1),
    ),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("size", ["8x5x6", "8x3", "8"])
def test_parts_are_pytorchs(name: str, size: str, tmp_path: Path) -> None:
    body, expected = BODIES[name]
    if size == "8":
        body = body.replace(", 1)", ")").replace("conv", "linear")
    network = archdsl.load(f"model m {{ input({size}); {body} }}")
    module = network.build(seed=0).eval()
    x = torch.randn(2, *network.input_shape, requires_grad=True)
    wanted = expected(lambda name, x: module.get_submodule(name)(x), x)
    found = module(x)
    torch.testing.assert_close(found, wanted)
    gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in (module(x), wanted)]
    torch.testing.assert_close(*gradients)
    names: dict[str, object] = {"__name__": "printed"}
    exec(source(network), names)
    printed = [one for one in names.values() if isinstance(one, type) and issubclass(one, nn.Module)][-1]()
    printed.load_state_dict(module.state_dict())
    torch.testing.assert_close(printed(x), wanted)
    archdsl.export_onnx(module, tmp_path / "m.onnx")
    session = ort.InferenceSession(tmp_path / "m.onnx")
    [output] = session.run(None, {session.get_inputs()[0].name: x.detach().numpy()})
    torch.testing.assert_close(torch.from_numpy(output), wanted.detach(), rtol=1e-4, atol=1e-5)
