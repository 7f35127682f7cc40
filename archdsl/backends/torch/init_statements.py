"""Initialisation in printed source: the statements for what `initialise` does when a network is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from archdsl.backends.torch.naming import literal
from archdsl.backends.torch.scope import Leaf, Scope
from archdsl.graph import LayerNode
from archdsl.layers.initializers import Initializer
from archdsl.layers.parametrizations import Parametrization


class InitStatements:
    """The statements that initialise and freeze weights, with the functions of torch.nn.init.

    Where all layers of a class are initialised alike, that is one loop over the network's modules.
    """

    def __init__(self, root: Scope) -> None:
        self.root = root
        self._common = _common_inits(list(root.leaves()))

    def lines(self, leaf: Leaf, target: str) -> list[str]:
        """The statements for the layer `target`, besides those in `everywhere`."""
        lines = [] if leaf.form.cls in self._common else list(_filling(leaf.node, target))
        if lines and leaf.node.parametrization is not None:
            lines.append(_applied(leaf.node.parametrization, target))
        return lines + _freezing(leaf.node, target)

    @property
    def everywhere(self) -> list[str]:
        """The loop over all modules of the network, for the classes whose layers are all initialised alike."""
        classes: dict[tuple[str, ...], list[str]] = {}
        for cls, fills in self._common.items():
            classes.setdefault(tuple(_filling_of_module(fills)), []).append(cls)
        lines: list[str] = []
        for statements, alike in classes.items():
            lines.append(f"    {'elif' if lines else 'if'} isinstance(module, {' | '.join(alike)}):")
            lines += [f"        {statement}" for statement in statements]
        return ["for module in self.modules():", *lines] if lines else []


#: By class, the initialisers of its weights, and whether all layers of the class have that weight.
_Common = dict[str, dict[str, tuple[Initializer, bool]]]


def _common_inits(leaves: Sequence[Leaf]) -> _Common:
    """The classes of torch.nn with two or more layers that are all initialised alike.

    Empty where a loop over modules would reach others: layers inside attention, subclasses.
    """
    weighted: dict[str, list[LayerNode]] = {}
    for leaf in leaves:
        if leaf.node.weights and not leaf.is_parameter:
            weighted.setdefault(leaf.form.cls, []).append(leaf.node)
    if not all(cls.startswith("nn.") for cls in weighted):
        return {}
    found = {cls: _common_init(nodes) for cls, nodes in weighted.items() if len(nodes) > 1}
    return {cls: fills for cls, fills in found.items() if fills}


def _common_init(nodes: Sequence[LayerNode]) -> dict[str, tuple[Initializer, bool]]:
    """The initialiser of each weight; empty where the layers differ in one, or have a parametrization by then."""
    fills = {}
    if any(node.parametrization for node in nodes):
        return {}
    for name in dict.fromkeys(name for node in nodes for name in node.weights):
        having = [node for node in nodes if name in node.weights]
        initializer = having[0].init.get(name)
        if any(_fill(node.init.get(name), "") != _fill(initializer, "") for node in having):
            return {}
        if _fill(initializer, ""):
            assert initializer is not None
            fills[name] = (initializer, len(having) == len(nodes))
    return fills


def parametrized(leaf: Leaf) -> str:
    """What the constructor call of a layer is put into: its parametrization, unless initialisation comes first."""
    found = leaf.node.parametrization
    return "{}" if found is None or any(_filling(leaf.node, "layer")) else _applied(found, "{}")


def _applied(parametrization: Parametrization, target: str) -> str:
    given = "".join(f", {name}={literal(value)}" for name, value in parametrization.given.items())
    return f"parametrizations.{parametrization.kind}({target}{given})"


def _filling_of_module(fills: Mapping[str, tuple[Initializer, bool]]) -> Iterator[str]:
    for name, (initializer, always) in fills.items():
        if not always:
            yield f"if module.{name} is not None:"
        yield f"{'' if always else '    '}{_fill(initializer, f'module.{name}')}"


def _filling(node: LayerNode, target: str) -> Iterator[str]:
    for name, initializer in node.init.items():
        if line := _fill(initializer, target if node.layer.is_parameter else _weight(target, name)):
            yield line


def _fill(initializer: Initializer | None, weight: str) -> str:
    """The statement that fills a weight; empty where PyTorch's own initialisation stays."""
    if initializer is None or initializer.kind == "default":
        return ""
    given = initializer.model_dump(exclude_defaults=True)
    arguments = "".join(f", {key}={literal(value)}" for key, value in given.items())
    part = f"{weight}.data[: {weight}.size(1)]" if initializer.square else weight
    return f"nn.init.{initializer.function}_({part}{arguments})"


def _weight(target: str, name: str) -> str:
    """The expression for a weight, which may be inside a sequence: `layer.mlp[0].weight`."""
    return target + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in name.split("."))


def _freezing(node: LayerNode, target: str) -> list[str]:
    if len(node.frozen) == len(node.weights):
        return [f"{target}.requires_grad_(False)"] if node.frozen else []
    return [f"{_weight(target, name)}.requires_grad_(False)" for name in node.weights if name in node.frozen]
