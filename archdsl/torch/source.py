"""A network as a Python file that needs torch alone: one class for each distinct block, and the model.

Instances of a block that differ only in numbers share a class; the numbers that differ become the
parameters of its constructor, named after the first argument they are passed to.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

from archdsl.graph import LayerNode
from archdsl.layers.base import TorchForm
from archdsl.network import Network
from archdsl.torch.build import torch_class
from archdsl.torch.forward import Leaf, Scope, identifier, member, scopes

Path = tuple[str, ...]


def source(network: Network, *, inplace: bool = True) -> str:
    """The text of a Python file whose last class is the network, with the state_dict keys of `build`'s module."""
    tree = scopes(network, inplace=inplace)
    printer = _Printer()
    model = printer.call(tree).cls
    classes = "\n\n".join(printer.texts)
    settings = ", ".join(f"{name}={value!r}" for name, value in network.settings.items())
    title = f"The network {network.name}{f'({settings})' if settings else ''} in PyTorch, written by archdsl."
    return f"# {' '.join(title.split())}\n\n{_imports(tree, classes)}\n\n{classes}\n\n{_main(network, model)}"


def _imports(tree: Scope, classes: str) -> str:
    where = {leaf.form.cls.rpartition(".")[0] for leaf in _leaves(tree) if not leaf.is_parameter} - {"nn"}
    lines = ["import collections\n"] if "collections.OrderedDict" in classes else []
    lines += ["import torch", "from torch import nn"]
    if "modules" in where:
        lines.append("\nfrom archdsl.torch import modules")
    return "\n".join([*lines, *(f"import {name}" for name in sorted(where - {"modules"}))]) + "\n"


def _main(network: Network, model: str) -> str:
    sizes = ", ".join(map(str, (2, *network.input_shape)))
    lines = [f"model = {model}().eval()", "print(model)", f"print(model(torch.zeros({sizes})))"]
    return "\n    ".join(['if __name__ == "__main__":', *lines]) + "\n"


def _leaves(scope: Scope) -> Iterator[Leaf]:
    for child in scope.children.values():
        if isinstance(child, Leaf):
            yield child
        else:
            yield from _leaves(child)


@dataclass(frozen=True, slots=True)
class _Call:
    """A constructor call. The first `positional` of the named arguments are passed by position."""

    cls: str
    arguments: dict[str, Any]
    positional: int = 0
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def text(self, values: Mapping[str, str]) -> str:
        parts = [text if i < self.positional else f"{name}={text}" for i, (name, text) in enumerate(values.items())]
        return f"{self.cls}({', '.join(parts)})"


@cache
def _signature(cls: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The parameters of a module's constructor, and the defaults of those that have one."""
    parameters = inspect.signature(torch_class(TorchForm(cls))).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return tuple(p.name for p in named), {p.name: p.default for p in named if p.default is not p.empty}


def _layer_call(leaf: Leaf) -> _Call:
    form = leaf.form
    if leaf.is_parameter:
        return _Call("torch.zeros", {"size": tuple(leaf.node.weights["value"].shape)}, 1)
    names, defaults = _signature(form.cls)
    names += tuple(f"argument{i}" for i in range(len(names), len(form.arguments)))
    arguments = dict(zip(names, form.arguments, strict=False)) | dict(form.keywords)
    return _Call(form.cls, arguments, len(form.arguments), defaults)


def _key(child: Leaf | Scope) -> tuple[Any, ...]:
    """Equal for two children that the same text can make, given the right numbers."""
    if isinstance(child, Leaf):
        # A keyword without a known default has to be there in all of them or in none.
        required = frozenset(child.form.keywords) - set(_signature(child.form.cls)[1])
        return (child.form.cls, len(child.form.arguments), required, _init_lines(child.node))
    return (child.cls, child.cls and child.forward, *((label, _key(inner)) for label, inner in child.children.items()))


class _Printer:
    """Prints each class once, inner ones first."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._names: set[str] = set()

    def call(self, root: Scope) -> _Call:
        """Print the classes below a root and its own; returns the call that makes the root."""
        instances: dict[tuple[Any, ...], list[Scope]] = {}
        for scope in _named_scopes(root):
            instances.setdefault(_key(scope), []).append(scope)
        for alike in instances.values():
            self._print(alike)
        return self._calls[id(root)]

    def _print(self, alike: Sequence[Scope]) -> None:
        """Print the one class of scopes with equal keys."""
        first = alike[0]
        assert first.cls is not None
        name = _unused(first.cls, self._names)
        calls = [self._inner_calls(scope) for scope in alike]
        parameters = _Parameters(len(alike))
        texts = {path: parameters.abstract(path, [each[path] for each in calls]) for path in calls[0]}
        self.texts.append(_class_text(name, first, parameters.names, texts))
        for i, scope in enumerate(alike):
            self._calls[id(scope)] = _Call(name, {key: values[i] for key, values in parameters.values.items()})

    def _inner_calls(self, scope: Scope, prefix: Path = ()) -> dict[Path, _Call]:
        """The constructor calls in a scope's `__init__` by their paths; plain sequences are written in place."""
        calls: dict[Path, _Call] = {}
        for label, child in scope.children.items():
            path = (*prefix, label)
            if isinstance(child, Leaf):
                calls[path] = _layer_call(child)
            elif child.cls is None:
                calls |= self._inner_calls(child, path)
            else:
                calls[path] = self._calls[id(child)]
        return calls


def _named_scopes(scope: Scope) -> Iterator[Scope]:
    """The scopes that become classes, inner ones first."""
    for child in scope.children.values():
        if isinstance(child, Scope):
            yield from _named_scopes(child)
    if scope.cls is not None:
        yield scope


def _unused(base: str, taken: set[str]) -> str:
    name = next(name for i in count(1) if (name := base if i == 1 else f"{base}{i}") not in taken)
    taken.add(name)
    return name


class _Parameters:
    """The constructor's parameters of one class: one for each distinct row of values over its instances."""

    def __init__(self, instances: int) -> None:
        self.values: dict[str, list[Any]] = {}
        self._instances = instances
        self._rows: dict[tuple[str, ...], str] = {}
        self._taken: set[str] = {"self", "torch", "nn", "modules", "collections"}

    @property
    def names(self) -> list[str]:
        return [_annotated(name, values) for name, values in self.values.items()]

    def abstract(self, path: Path, calls: Sequence[_Call]) -> str:
        """The text of one constructor call that suits every instance."""
        order = {name: i for i, name in enumerate(calls[0].defaults)}
        names = list(dict.fromkeys(name for call in calls for name in call.arguments))
        split = calls[0].positional
        names[split:] = sorted(names[split:], key=lambda name: order.get(name, -1))  # as the constructor has them
        rows = {name: [call.arguments.get(name, call.defaults.get(name)) for call in calls] for name in names}
        return calls[0].text({name: self._expression(path, name, row) for name, row in rows.items()})

    def _expression(self, path: Path, name: str, row: list[Any]) -> str:
        texts = tuple(map(repr, row))
        if len(set(texts)) == 1:
            return texts[0]
        if texts not in self._rows:
            base = name if name not in self._taken else f"{identifier(path[-1])}_{name}"
            self._rows[texts] = _unused(identifier(base), self._taken)
            self.values[self._rows[texts]] = row
        return self._rows[texts]


def _annotated(name: str, values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values}
    return f"{name}: {kinds.pop().__name__}" if len(kinds) == 1 and kinds <= {int, float, bool, str} else name


def _class_text(name: str, scope: Scope, parameters: Sequence[str], texts: Mapping[Path, str]) -> str:
    children = [(label, _child_text(child, (label,), texts, 2)) for label, child in scope.children.items()]
    init = [f"        {line}" for line in _init_text(scope)]
    head = f"    def __init__({', '.join(['self', *parameters])}) -> None:"
    if scope.plain and _counted(scope):
        lines = [f"class {name}(nn.Sequential):", head, "        super().__init__("]
        lines += [f"            {text}," for _, text in (_deeper(each) for each in children)]
        return "\n".join([*lines, "        )", *init, ""])
    lines = [f"class {name}(nn.Module):", head, "        super().__init__()"]
    for label, text in children:
        lines.append(f"        {_assignment(label, text, scope.children[label])}")
    return "\n".join([*lines, *init, "", scope.forward])


def _assignment(label: str, text: str, child: Leaf | Scope) -> str:
    """The statement that makes a child a member; a label that is no name in Python has to be registered."""
    direct = isinstance(child, Leaf) and child.is_parameter
    text = f"nn.Parameter({text})" if direct else text
    if "(" not in member(label):
        return f"{member(label)} = {text}"
    return f'self.{"register_parameter" if direct else "add_module"}("{label}", {text})'


def _deeper(child: tuple[str, str]) -> tuple[str, str]:
    """The same text one level further in."""
    return child[0], child[1].replace("\n", "\n    ")


def _child_text(child: Leaf | Scope, path: Path, texts: Mapping[Path, str], depth: int) -> str:
    if path in texts:
        return texts[path]
    assert isinstance(child, Scope)
    inner = {
        label: _child_text(each, (*path, label), texts, depth + 1 if _counted(child) else depth + 2)
        for label, each in child.children.items()
    }
    pad, end = "    " * (depth + 1), "    " * depth
    if _counted(child):
        items = "".join(f"{pad}{text},\n" for text in inner.values())
        return f"nn.Sequential(\n{items}{end})" if items else "nn.Sequential()"
    items = "".join(f'{pad}    ("{label}", {text}),\n' for label, text in inner.items())
    return f"nn.Sequential(\n{pad}collections.OrderedDict([\n{items}{pad}])\n{end})"


def _counted(scope: Scope) -> bool:
    """Whether the children are named 0, 1, 2, ..., as nn.Sequential names them itself."""
    return list(scope.children) == [str(i) for i in range(len(scope.children))]


def _init_lines(node: LayerNode) -> tuple[str, ...]:
    """The statements behind a layer's construction, with `layer` for the module."""
    lines = []
    for name, initializer in node.init.items():
        arguments = "".join(
            f", {key}={value!r}" for key, value in initializer.model_dump(exclude_defaults=True).items()
        )
        if initializer.kind != "default":
            target = "layer" if node.layer.is_parameter else _weight(name)
            part = f"{target}.data[:{target}.size(1)]" if initializer.square else target
            lines.append(f"nn.init.{initializer.function}_({part}{arguments})")
    return (*lines, *_freezing_lines(node))


def _weight(name: str) -> str:
    """The expression for a weight of `layer`, which may be inside a sequence: `layer.mlp[0].weight`."""
    return "layer" + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in name.split("."))


def _freezing_lines(node: LayerNode) -> list[str]:
    if len(node.frozen) == len(node.weights):
        return ["layer.requires_grad_(False)"] if node.frozen else []
    return [f"{_weight(name)}.requires_grad_(False)" for name in node.weights if name in node.frozen]


def _init_text(scope: Scope) -> list[str]:
    """The layers that start alike, in one loop each."""
    targets: dict[tuple[str, ...], list[str]] = {}
    for path, leaf in _inline_leaves(scope):
        if lines := _init_lines(leaf.node):
            targets.setdefault(lines, []).append(path)
    text = []
    for lines, paths in targets.items():
        text += [f"for layer in [{', '.join(paths)}]:", *(f"    {line}" for line in lines)]
    return text


def _inline_leaves(scope: Scope, prefix: str = "self") -> Iterator[tuple[str, Leaf]]:
    for label, child in scope.children.items():
        if prefix != "self" and _counted(scope):
            path = f"{prefix}[{label}]"
        else:
            path = member(label).replace("self", prefix, 1)
        if isinstance(child, Leaf):
            yield path, child
        elif child.cls is None:
            yield from _inline_leaves(child, path)
