"""A network as a Python file that imports torch alone: one class for each distinct block, and the model.

Instances of a block that differ only in numbers share a class; the numbers that differ become the
parameters of its constructor, named after the first argument they are passed to.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from archdsl.backends.torch.build import torch_class
from archdsl.backends.torch.forward import scopes
from archdsl.backends.torch.init_statements import InitStatements, parametrized
from archdsl.backends.torch.layout import WIDTH, wrapped
from archdsl.backends.torch.naming import (
    Child,
    Members,
    entry_names,
    expression,
    is_counted,
    is_name,
    is_sequence,
    literal,
    name_for,
    unused,
)
from archdsl.backends.torch.scope import Leaf, Scope, class_name, identifier
from archdsl.backends.torch.standalone import Imports, definitions
from archdsl.graph.network import Network
from archdsl.layers.base import TorchForm
from archdsl.shapes import Shape
from archdsl.text.stack import deep

Path = tuple[str, ...]


@deep
def source(network: Network, *, inplace: bool = True) -> str:
    """The source of a Python file whose last class is the network, with the state_dict keys of `build`'s module.

    It imports torch, and the packages of layers that come from other projects.
    """
    printer = _Printer(scopes(network, inplace=inplace))
    title = f"The network {network.title} in PyTorch, written by archdsl."
    comment = "\n".join(f"# {line}" for line in textwrap.wrap(title, WIDTH - 2, break_on_hyphens=False))
    return f"{comment}\n\n{printer.text}\n\n\n{_main(network, printer.model)}"


def _main(network: Network, model: str) -> str:
    inputs = ", ".join(_zeros(shape) for shape in network.inputs.values())
    lines = [f"model = {model}().eval()", "print(model)", f"print(model({inputs}))"]
    return "\n    ".join(['if __name__ == "__main__":', *lines]) + "\n"


def _zeros(shape: Shape) -> str:
    """A batch of two zeros as an input."""
    dtype = "" if shape.dtype == "float32" else f", dtype=torch.{shape.dtype}"
    return f"torch.zeros({', '.join(map(str, (2, *shape)))}{dtype})"


@dataclass(frozen=True, slots=True)
class _Call:
    """A constructor call. The first `positional` of the named arguments are passed by position.

    name  a name for the module it makes
    wrap  what the call is put into: a parametrization
    """

    cls: str
    name: str
    arguments: dict[str, Any]
    positional: int = 0
    defaults: Mapping[str, Any] = field(default_factory=dict)
    wrap: str = "{}"

    def text(self, values: Mapping[str, str]) -> str:
        parts = [text if i < self.positional else f"{name}={text}" for i, (name, text) in enumerate(values.items())]
        return self.wrap.format(f"{self.cls.removeprefix('modules.')}({', '.join(parts)})")


@cache
def _signature(cls: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The parameters of a module's constructor, and the defaults of those that have one."""
    parameters = inspect.signature(torch_class(TorchForm(cls))).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return tuple(p.name for p in named), {p.name: p.default for p in named if p.default is not p.empty}


def _layer_call(name: str, leaf: Leaf) -> _Call:
    form = leaf.form
    if leaf.is_parameter:
        return _Call("torch.zeros", name, {"size": tuple(leaf.node.weights["value"].shape)}, 1)
    names, defaults = _signature(form.cls)
    names += tuple(f"argument{i}" for i in range(len(names), len(form.arguments)))
    arguments = dict(zip(names, form.arguments, strict=False)) | dict(form.keywords)
    return _Call(form.cls, name, arguments, len(form.arguments), defaults, parametrized(leaf))


class _Printer:
    """Prints each class once, inner ones first."""

    def __init__(self, root: Scope) -> None:
        self._members: dict[int, Members] = {}
        self._calls: dict[int, _Call] = {}
        self.init = InitStatements(root)
        self._imports = Imports()
        self._imports.add("torch")
        self._imports.add("torch", "nn")
        if any(leaf.node.parametrization for leaf in root.leaves()):
            self._imports.add("torch.nn.utils", "parametrizations")
        own = self._own_classes(root)
        self._names = {*own, *self._imports.names, "Tensor"}
        self._classes = list(own.values())
        instances: dict[tuple[Any, ...], list[Scope]] = {}
        labels: dict[int, str] = {}
        for label, scope in _named_scopes("", root):
            labels[id(scope)] = label
            instances.setdefault(self._key(scope), []).append(scope)
        for alike in instances.values():
            self._print(_class_name(labels[id(alike[0])], alike[0]), alike)
        self.model = self._calls[id(root)].cls

    @property
    def text(self) -> str:
        """The file without its title and its `__main__` part."""
        if any("Tensor" in text for text in self._classes):
            self._imports.add("torch", "Tensor")
        gap = "\n\n\n" if self._classes[0].startswith(("class ", "def ", "@")) else "\n\n"
        return self._imports.text + gap + "\n\n\n".join(self._classes)

    def members(self, scope: Scope) -> Members:
        if id(scope) not in self._members:
            self._members[id(scope)] = Members(scope)
        return self._members[id(scope)]

    def _own_classes(self, root: Scope) -> dict[str, str]:
        """The source of this project's modules that the network needs, directly or not."""
        names = set()
        for scope in root.scopes():
            written = not is_sequence(scope)
            for child in scope.children.values():
                if isinstance(child, Leaf) and not child.is_parameter and not (written and expression(child, "x")):
                    where, _, name = child.form.cls.rpartition(".")
                    if where == "modules":
                        names.add(name)
                    elif where != "nn":
                        self._imports.add(where)
            if written and self.members(scope).keys:
                names.add("Keyed")
            if is_sequence(scope) and not is_counted(scope):
                self._imports.add("collections", "OrderedDict")
        return definitions(names, self._imports)

    def _key(self, child: Child) -> tuple[Any, ...]:
        """Equal for two children that differ in numbers alone, so that one class can make both."""
        if isinstance(child, Leaf):
            # A keyword without a known default has to be there in all of them or in none.
            required = frozenset(child.form.keywords) - set(_signature(child.form.cls)[1])
            made = (child.form.cls, len(child.form.arguments), required, parametrized(child))
            return (*made, tuple(self.init.lines(child, "layer")))
        inner = ((label, self._key(each)) for label, each in child.children.items())
        if is_sequence(child):
            return (child.cls, *inner)
        members = self.members(child)
        return (child.cls, members.forward, *members.keys.items(), *members.attributes.items(), *inner)

    def _print(self, name: str, alike: Sequence[Scope]) -> None:
        """Print the one class of scopes with equal keys."""
        first = alike[0]
        name = unused(name, self._names)
        calls = [self._inner_calls(scope) for scope in alike]
        parameters = _Parameters({*self._imports.names, "self"})
        made = {path: parameters.abstract([each[path] for each in calls]) for path in calls[0]}
        self._classes.append(wrapped(_Class(self, first, made).text(name, parameters.names)))
        for i, scope in enumerate(alike):
            arguments = {key: values[i] for key, values in parameters.values.items()}
            self._calls[id(scope)] = _Call(name, "", arguments)

    def _inner_calls(self, scope: Scope, prefix: Path = (), within: str = "") -> dict[Path, _Call]:
        """The constructor calls in a scope's `__init__` by their paths; plain sequences are written in place.

        Where there are several sequences, layers without a label are named after the one they are `within`.
        """
        calls: dict[Path, _Call] = {}
        several = sum(isinstance(child, Scope) and child.cls is None for child in scope.children.values()) > 1
        for label, child in scope.children.items():
            path = (*prefix, label)
            name = within if within and label.isdigit() else name_for(label, child)
            if isinstance(child, Leaf):
                if is_sequence(scope) or label in self.members(scope).attributes:
                    calls[path] = _layer_call(name, child)
            elif child.cls is None:
                calls |= self._inner_calls(child, path, name if several else within)
            else:
                calls[path] = replace(self._calls[id(child)], name=name)
        return calls


def _named_scopes(label: str, scope: Scope) -> Iterator[tuple[str, Scope]]:
    """The scopes that become classes with their labels, inner ones first."""
    for inner, child in scope.children.items():
        if isinstance(child, Scope):
            yield from _named_scopes(inner, child)
    if scope.cls is not None:
        yield label, scope


def _class_name(label: str, scope: Scope) -> str:
    """The block's name; a group that is not a block is named after its label: `layer1` -> `Layer`."""
    own = class_name(label.rstrip("0123456789")) if scope.cls == "Group" else ""
    return own or scope.cls or ""


class _Parameters:
    """The constructor's parameters of one class: one for each distinct row of values over its instances."""

    def __init__(self, taken: set[str]) -> None:
        self.values: dict[str, list[Any]] = {}
        self._rows: dict[tuple[str, ...], str] = {}
        self._taken = taken

    @property
    def names(self) -> list[str]:
        return [_annotated(name, values) for name, values in self.values.items()]

    def abstract(self, calls: Sequence[_Call]) -> str:
        """The source of one constructor call for all instances."""
        order = {name: i for i, name in enumerate(calls[0].defaults)}
        names = list(dict.fromkeys(name for call in calls for name in call.arguments))
        split = calls[0].positional
        names[split:] = sorted(names[split:], key=lambda name: order.get(name, -1))  # as the constructor has them
        rows = {name: [call.arguments.get(name, call.defaults.get(name)) for call in calls] for name in names}
        return calls[0].text({name: self._expression(calls[0].name, name, row) for name, row in rows.items()})

    def _expression(self, layer: str, name: str, row: list[Any]) -> str:
        written = tuple(map(literal, row))
        if len(set(written)) == 1:
            return written[0]
        if written not in self._rows:
            base = name if name not in self._taken else f"{layer}_{name}"
            self._rows[written] = unused(identifier(base), self._taken)
            self.values[self._rows[written]] = row
        return self._rows[written]


def _annotated(name: str, values: Sequence[Any]) -> str:
    kinds = {_type(value) for value in values}
    return f"{name}: {kinds.pop()}" if len(kinds) == 1 and None not in kinds else name


def _type(value: Any) -> str | None:
    if isinstance(value, tuple) and value and all(type(item) is int for item in value):
        return f"tuple[{', '.join(['int'] * len(value))}]"
    return type(value).__name__ if isinstance(value, int | float | str) else None


@dataclass(frozen=True, slots=True)
class _Class:
    """One class: the scope it is printed for, and the constructor calls of its children by their paths."""

    printer: _Printer
    scope: Scope
    calls: Mapping[Path, str]

    def text(self, name: str, parameters: Sequence[str]) -> str:
        head = f"    def __init__({', '.join(['self', *parameters])}) -> None:"
        starts = [f"        {line}" for line in self._starts()]
        if is_sequence(self.scope):
            items = [f"            {self._call(child, (label,), 3)}," for label, child in self.scope.children.items()]
            call = ["        super().__init__(", *items, "        )"] if items else ["        super().__init__()"]
            return "\n".join([f"class {name}(nn.Sequential):", head, *call, *starts])
        members = self.printer.members(self.scope)
        lines = [head, "        super().__init__()", *self._assignments(members), *starts, "", members.forward.rstrip()]
        keys = ", ".join(f"{literal(name)}: {literal(key)}" for name, key in members.keys.items())
        if keys:
            return "\n".join([f"class {name}(Keyed):", f"    _keys = {{{keys}}}", "", *lines])
        # A class without modules of its own needs no constructor.
        return "\n".join([f"class {name}(nn.Module):", *(lines if members.attributes else lines[3:])])

    def _assignments(self, members: Members) -> list[str]:
        lines: dict[str, str] = {}
        for label, name in members.attributes.items():
            child = self.scope.children[label]
            call = self._call(child, (label,), 2)
            if isinstance(child, Leaf) and child.is_parameter:
                call = f"nn.Parameter({call})"
            lines.setdefault(name, f"        self.{name} = {call}")
        return list(lines.values())

    def _call(self, child: Child, path: Path, depth: int) -> str:
        """The expression that makes a child; a sequence has each of its own on a line."""
        if path in self.calls:
            return self.calls[path]
        assert isinstance(child, Scope)
        if not child.children:
            return "nn.Sequential()"
        names = None if is_counted(child) else entry_names(child)
        depths = depth + (1 if names is None else 2 if all(map(is_name, names.values())) else 3)
        calls = {label: self._call(each, (*path, label), depths) for label, each in child.children.items()}
        if names is None:
            return _exploded("nn.Sequential(", calls.values(), ")", depth)
        entries = {names[label]: call for label, call in calls.items()}
        if all(map(is_name, entries)):
            inner = _exploded("OrderedDict(", (f"{name}={call}" for name, call in entries.items()), ")", depth + 1)
        else:
            inner = _exploded("{", (f"{literal(name)}: {call}" for name, call in entries.items()), "}", depth + 2)
            pad = "    " * (depth + 1)
            inner = f"OrderedDict(\n{pad}    {inner}\n{pad})"
        pad = "    " * depth
        return f"nn.Sequential(\n{pad}    {inner}\n{pad})"

    def _starts(self) -> list[str]:
        """The initialisation of the layers that this class makes, with one loop for layers initialised alike."""
        init = self.printer.init
        targets: dict[tuple[str, ...], list[tuple[str, Leaf]]] = {}
        for path, leaf in self._leaves(self.scope, "self"):
            if lines := tuple(init.lines(leaf, "layer")):
                targets.setdefault(lines, []).append((path, leaf))
        text = []
        for lines, found in targets.items():
            if len(found) == 1:
                text += init.lines(found[0][1], found[0][0])
            else:
                text += [f"for layer in [{', '.join(path for path, _ in found)}]:", *(f"    {line}" for line in lines)]
        if self.scope is init.root:
            text += init.everywhere
        return text

    def _leaves(self, scope: Scope, prefix: str) -> Iterator[tuple[str, Leaf]]:
        """The layers that this class makes, and the expressions that read them."""
        sequence = is_sequence(scope)
        names = entry_names(scope) if sequence else self.printer.members(scope).attributes
        for i, (label, child) in enumerate(scope.children.items()):
            name = names.get(label, "")
            path = f"{prefix}.{name}" if is_name(name) or not sequence else f"{prefix}[{i}]"
            if isinstance(child, Leaf):
                yield path, child
            elif child.cls is None:
                yield from self._leaves(child, path)


def _exploded(head: str, items: Iterable[str], tail: str, depth: int) -> str:
    """Each item on a line of its own."""
    pad = "    " * depth
    return "\n".join([head, *(f"{pad}    {item}," for item in items), pad + tail])
