"""What a drawing to scale calls the operations, and the colours it gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.diagrams.labels import family
from archdsl.graph import AnyNode, Group, LayerNode, layer_nodes
from archdsl.shapes import Window

NAMES = {
    "conv_transpose": "up-conv",
    "maxpool": "max pool",
    "avgpool": "avg pool",
    "adaptive_avgpool": "avg pool",
    "adaptive_maxpool": "max pool",
}
#: A space at which no line breaks.
TIE = "\N{NO-BREAK SPACE}"
#: The family that gives a folded scope its colour: the first of these that has a layer inside.
STRONGEST = ("attention", "recurrent", "conv", "linear", "pool", "norm")


def family_of(node: AnyNode) -> str:
    """The family of an operation; that of a scope is the strongest inside."""
    if isinstance(node, LayerNode):
        found = "resample" if node.kind == "conv_transpose" else family(node)
        return found if found not in ("dropout", "parameter") else "other"
    inside = {family(layer) for layer in layer_nodes(node)}
    return next((one for one in STRONGEST if one in inside), "scope")


def title(node: AnyNode) -> str:
    """The operation as papers write it: `3x3 conv, /2`, `max pool`, or the name of a block."""
    if not isinstance(node, LayerNode):
        block = node.block if isinstance(node, Group) else None
        return (block or node.label or node.kind).replace("_", " ")
    name = NAMES.get(node.kind, node.kind.replace("_", " "))
    if hasattr(node.layer, "output_size"):
        return _adaptive(node, name)
    if node.kind == "upsample":
        return _upsample(node)
    windows = node.layer.windows(node.input)
    return _windowed(node.layer, windows, name) if windows else name


def _adaptive(node: LayerNode, name: str) -> str:
    sizes = node.output.spatial
    return f"global {name}" if all(size == 1 for size in sizes) else f"{name} to {product(sizes)}"


def _upsample(node: LayerNode) -> str:
    factors = {after / before for after, before in zip(node.output.spatial, node.input.spatial, strict=True)}
    factor = factors.pop()
    return (
        f"upsample x{factor:g}"
        if not factors and factor.is_integer()
        else f"upsample to {product(node.output.spatial)}"
    )


def _windowed(layer: Any, windows: Sequence[Window], name: str) -> str:
    """A layer with a window: its kernel, and what is unusual of stride, groups and dilation."""
    groups = getattr(layer, "groups", 1)
    depthwise = "depthwise " if groups > 1 and groups == getattr(layer, "out_channels", 0) else ""
    kernel = product([window.kernel for window in windows])
    named = f"{depthwise}{name} of{TIE}{kernel}" if len(windows) == 1 else f"{kernel} {depthwise}{name}"
    stride = product(sorted({window.stride for window in windows}))
    dilation = max(window.dilation for window in windows)
    words = [named]
    if stride != "1":
        words.append(f"x{stride}" if "up" in name else f"/{stride}")
    if dilation > 1:
        return f",{TIE}".join(words) + f", dilation{TIE}{dilation}"
    return f",{TIE}".join(words)


def product(sizes: Sequence[int]) -> str:
    """Sizes as `224x224`."""
    return "x".join(map(str, sizes))
