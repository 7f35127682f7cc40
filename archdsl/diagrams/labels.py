"""What a box of a picture says of a layer: `3x3 conv, 64, /2`, as papers write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.arguments.values import spec_text
from archdsl.graph import LayerNode
from archdsl.layers.base import Operand, changed
from archdsl.shapes import Shape

#: The colour of a layer type by the module it is defined in; other projects' layers are "other".
FAMILIES = {
    "conv": "conv",
    "linear": "linear",
    "pool": "pool",
    "norm": "norm",
    "activation": "activation",
    "dropout": "dropout",
    "attention": "attention",
    "window_attention": "attention",
    "levit_attention": "attention",
    "recurrent": "recurrent",
    "resample": "resample",
    "join": "join",
    "parameter": "parameter",
}
#: The signs of layers that join the current tensor with taps.
SIGNS = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "concat": "concat"}
#: The longest text that arguments may have, in characters.
LONGEST = 26


def family(node: LayerNode) -> str:
    """The family of a layer."""
    module = type(node.layer).__module__
    return FAMILIES.get(module.rpartition(".")[2], "other") if module.startswith("archdsl.layers.") else "other"


def joins(node: LayerNode) -> bool:
    """Whether a layer is drawn as a sign where lines meet."""
    return node.kind in SIGNS and bool(node.operands)


def title(node: LayerNode) -> str:
    """Type, kernel, width and stride of a layer."""
    match family(node):
        case "conv":
            return _convolution(node)
        case "pool":
            return _pool(node)
        case "linear":
            return f"linear, {node.output[-1]}"
        case "attention":
            return _attention(node)
        case "resample" if node.kind == "upsample":
            return _upsample(node)
        case _:
            return _plain(node)


def _convolution(node: LayerNode) -> str:
    layer: Any = node.layer
    if not hasattr(layer, "kernel_size"):
        return _plain(node)
    name = node.kind.replace("_", " ")
    width = node.output.channels
    transposed = "transpose" in node.kind
    stride = _scale(layer.stride, node.input) if hasattr(layer, "stride") else ""
    parts = [f"{_kernel(layer.kernel_size, node.input, name)}, {width}"]
    parts += [f"{'x' if transposed else '/'}{stride}"] if stride else []
    return ", ".join([*parts, *_unusual(layer, node.input)])


def _kernel(kernel: int | Sequence[int], x: Shape, name: str) -> str:
    """The kernel and the name of a layer: `3x3 conv`, and `conv of 3` along one axis."""
    sizes = _sizes(kernel, x)
    return f"{name} of {sizes[0]}" if len(sizes) == 1 else f"{'x'.join(map(str, sizes))} {name}"


def _sizes(value: int | Sequence[int], x: Shape) -> tuple[int, ...]:
    return (value,) * x.rank if isinstance(value, int) else tuple(value)


def _scale(value: int | Sequence[int], x: Shape) -> str:
    """A stride as `2`, or `2x1` where the axes differ; nothing for 1."""
    sizes = _sizes(value, x)
    if set(sizes) == {1} or not sizes:
        return ""
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def _unusual(layer: Any, x: Shape) -> list[str]:
    """Groups, dilation and padding where a reader would not expect them."""
    found = []
    groups = getattr(layer, "groups", 1)
    if groups > 1:
        found.append("depthwise" if groups == x.channels else f"{groups} groups")
    dilation = _scale(getattr(layer, "dilation", 1), x)
    if dilation:
        found.append(f"dilation {dilation}")
    return found + _padding(layer, x)


def _padding(layer: Any, x: Shape) -> list[str]:
    """The padding, unless it is what keeps the size at a stride of 1."""
    padding = getattr(layer, "padding", 0)
    if isinstance(padding, str) or "transpose" in layer.kind:
        return []
    spans = zip(_sizes(layer.kernel_size, x), _sizes(getattr(layer, "dilation", 1), x), strict=True)
    usual = tuple((kernel - 1) * dilation // 2 for kernel, dilation in spans)
    sizes = _sizes(padding, x)
    strides = _sizes(getattr(layer, "stride", 1), x)
    if sizes == usual or (not any(sizes) and strides == _sizes(layer.kernel_size, x)):
        return []
    return [f"padding {_scale(padding, x) or sizes[0]}"]


def _pool(node: LayerNode) -> str:
    layer: Any = node.layer
    if hasattr(layer, "output_size"):
        kind = node.kind.removeprefix("adaptive_")
        sizes = tuple(node.output.spatial)
        return f"global {kind}" if set(sizes) <= {1} else f"{node.kind}, {'x'.join(map(str, sizes))}"
    if not hasattr(layer, "kernel_size"):
        return _plain(node)
    stride = _scale(layer.kernel_size if layer.stride is None else layer.stride, node.input)
    return _kernel(layer.kernel_size, node.input, node.kind) + (f", /{stride}" if stride else "")


def _attention(node: LayerNode) -> str:
    layer: Any = node.layer
    name = node.kind.removesuffix("_v2").replace("_", " ")
    if getattr(layer, "shift_size", None) in (0, (0, 0)):
        name = name.removeprefix("shifted ")
    parts = [name]
    if heads := getattr(layer, "num_heads", None):
        parts.append(f"{heads} heads")
    return ", ".join(parts)


def _upsample(node: LayerNode) -> str:
    """The factor, where the axes have one that is whole, else the size."""
    sizes = zip(node.output.spatial, node.input.spatial, strict=True)
    factors = {after / before for after, before in sizes}
    if len(factors) == 1 and (factor := factors.pop()).is_integer():
        return f"upsample x{factor:g}"
    return f"upsample to {node.output.spatial}"


def _plain(node: LayerNode) -> str:
    """The type with the arguments that differ from their defaults, as far as they are short."""
    if family(node) in {"norm", "parameter"} or node.kind == "stochastic_depth":
        return node.kind
    values = (value for value in changed(node.layer).values() if not isinstance(value, Operand))
    text = ", ".join(f"{value:.3g}" if isinstance(value, float) else spec_text(value) for value in values)
    return f"{node.kind} {text}" if text and len(text) <= LONGEST else node.kind
