"""Names of a scope's children in printed source, and the children that are written as expressions."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from itertools import count
from typing import Any

from torch import nn

from archdsl.backends.torch.scope import Leaf, Scope, identifier

Child = Leaf | Scope


class Members:
    """The attributes of a class that is printed for a scope.

    Labels are kept where they are names in Python. A layer without one is named after its type; equal ones
    without weights share one module.

    attributes  the attribute that holds each child, by label
    keys        for attributes with weights, the labels that the state_dict has instead
    forward     the code of `forward` with these attributes
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.attributes: dict[str, str] = {}
        taken = {label for label in scope.children if is_name(label)}
        for label, child in scope.children.items():
            if expression(child, "x") is None:
                self.attributes[label] = label if is_name(label) else self._alike(label) or self._new(label, taken)
        self.keys = {
            name: label for label, name in self.attributes.items() if name != label and has_state(scope.children[label])
        }
        self.forward = scope.written(self._use).replace("torch.Tensor", "Tensor").replace("torch.nn.", "nn.")

    def _new(self, label: str, taken: set[str]) -> str:
        return unused(name_for(label, self._scope.children[label]), taken)

    def _alike(self, label: str) -> str | None:
        """The attribute of an earlier layer without a label that is equal."""
        child = self._scope.children[label]
        for other, attribute in self.attributes.items():
            same = self._scope.children[other]
            if isinstance(child, Leaf) and isinstance(same, Leaf) and not is_name(other) and can_share(child, same):
                return attribute
        return None

    def _use(self, path: str, arguments: str | None) -> str:
        label, *inner = path.split(".")
        if label not in self.attributes:
            return expression(self._scope.children[label], arguments or "") or ""
        code, child = f"self.{self.attributes[label]}", self._scope.children[label]
        for one in inner:
            assert isinstance(child, Scope)
            code, child = code + _attribute(child, one), child.children[one]
        return code + ("" if arguments is None else f"({arguments})")


def _attribute(scope: Scope, label: str) -> str:
    """How a child of a scope is read."""
    if not is_sequence(scope):
        return f".{Members(scope).attributes[label]}"
    name = entry_names(scope)[label]
    return f".{name}" if is_name(name) else f"[{list(scope.children).index(label)}]"


def is_counted(scope: Scope) -> bool:
    """Whether the children are named 0, 1, 2, ..., as nn.Sequential names them itself."""
    return list(scope.children) == [str(i) for i in range(len(scope.children))]


def is_sequence(scope: Scope) -> bool:
    """Whether the scope is printed as an nn.Sequential: one in place, or a class of such."""
    return scope.cls is None or (scope.plain and is_counted(scope))


def entry_names(scope: Scope) -> dict[str, str]:
    """The names of the parts of an nn.Sequential, by label: only parts without weights can be renamed."""
    taken = set(scope.children)
    return {
        label: label if is_name(label) or has_state(child) else unused(name_for(label, child), taken)
        for label, child in scope.children.items()
    }


def is_name(label: str) -> bool:
    """Whether a label can be written as an attribute; `_keys` is `Keyed`'s own."""
    return identifier(label) == label and label != "_keys"


@cache
def _own_of_modules() -> frozenset[str]:
    return frozenset(dir(nn.Module())) | {"_keys"}


def name_for(label: str, child: Child) -> str:
    """A name for a child: its label, or what it is where the label is a number (`0`, `0_2` for another run)."""
    if not label.replace("_", "").isdigit():
        name = identifier(label)
    elif isinstance(child, Leaf):
        name = identifier(child.node.kind)
    else:
        name = snake(child.cls or "Sequence")
    return f"{name}_" if name in _own_of_modules() else name


def snake(name: str) -> str:
    """`ConvBn` -> `conv_bn`."""
    return identifier(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def unused(base: str, taken: set[str]) -> str:
    """Reserve a name, with a number appended where it is taken."""
    name = next(name for i in count(1) if (name := base if i == 1 else f"{base}{i}") not in taken)
    taken.add(name)
    return name


def has_state(child: Child) -> bool:
    """Whether a child has entries in the state_dict."""
    leaves = child.leaves() if isinstance(child, Scope) else [child]
    return any(leaf.node.weights or leaf.node.buffers for leaf in leaves)


def can_share(one: Leaf, other: Leaf) -> bool:
    """Whether two layers can share a module: equal ones of PyTorch or of this project, without weights."""
    known = one.form.cls.partition(".")[0] in ("nn", "modules")
    return known and one.form == other.form and not (has_state(one) or has_state(other))


#: The operators that layers are written as.
OPERATORS = {"modules.Add": " + ", "modules.Sub": " - ", "modules.Mul": " * ", "modules.Div": " / "}
#: The methods of tensors that layers are written as.
_SAME = ("neg", "abs", "exp", "log", "sqrt", "sin", "cos", "clamp", "float", "argmax", "mean", "sum")
METHODS = {f"modules.{name.capitalize()}": name for name in _SAME}
METHODS |= {"modules.Max": "amax", "modules.MatMul": "matmul"}
METHODS |= {"modules.Permute": "permute", "modules.Select": "select", "modules.Narrow": "narrow"}


def expression(child: Child, arguments: str) -> str | None:
    """The expression for a layer that is written as a function or an operator; None for all others."""
    if not isinstance(child, Leaf):
        return None
    form, (x, *operands) = child.form, arguments.replace("[", "").replace("]", "").split(", ")
    if form.cls == "modules.Concat":
        return f"torch.cat([{', '.join([x, *operands])}], {form.arguments[0]})"
    if form.cls in OPERATORS:
        return OPERATORS[form.cls].join([x, *operands, *map(literal, form.keywords.values())])
    if form.cls == "modules.Pow":
        return "".join([x, *(f".pow({one})" for one in [*operands, *map(literal, form.keywords.values())])])
    if form.cls in METHODS:
        given = form.arguments[0] if form.cls == "modules.Permute" else form.arguments
        keywords = [f"{name}={literal(value)}" for name, value in form.keywords.items()]
        return f"{x}.{METHODS[form.cls]}({', '.join([*operands, *map(literal, given), *keywords])})"
    return None


def literal(value: Any) -> str:
    """A value as Black formats it; infinity has no literal."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, tuple | list):
        items = ", ".join(map(literal, value))
        return f"[{items}]" if isinstance(value, list) else f"({items},)" if len(value) == 1 else f"({items})"
    return repr(value)
