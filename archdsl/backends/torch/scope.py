"""The tree of modules of a network as data: layers, and scopes with their code."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from archdsl.graph import LayerNode
from archdsl.layers.base import TorchForm


@dataclass(frozen=True, slots=True)
class Leaf:
    """A layer's module, and the node it comes from."""

    form: TorchForm
    node: LayerNode

    @property
    def is_parameter(self) -> bool:
        """Whether the scope holds the layer's one weight itself, under the layer's label."""
        return self.node.layer.is_parameter


@dataclass(frozen=True, slots=True)
class Run:
    """One way to run a scope: its parameters besides `x`, its code, and the type of its result.

    x        what the first parameter is called
    modules  the parameters that are modules of other scopes
    """

    parameters: tuple[str, ...]
    lines: tuple[str, ...]
    returns: str
    x: str = "x"
    modules: frozenset[str] = frozenset()

    def kind(self, parameter: str) -> str:
        """The type of a parameter."""
        return "torch.nn.Module" if parameter in self.modules else "torch.Tensor"


@dataclass(frozen=True, slots=True)
class Scope:
    """A module with modules in it. `plain` ones are an nn.Sequential, which needs no `forward`.

    cls   the name of its class; None for a plain sequence that has no name in the spec
    runs  its first run, then those of `reuse` on inputs that need other code (another crop, another padding)
    """

    cls: str | None
    plain: bool
    children: dict[str, Leaf | Scope]
    runs: tuple[Run, ...]

    @property
    def forward(self) -> str:
        """The source of `forward`, with the children under their labels."""
        return self.written(lambda label, arguments: member(label) + ("" if arguments is None else f"({arguments})"))

    def written(self, use: Callable[[str, str | None], str]) -> str:
        """The source of `forward`; `use` writes a child from its label and the arguments (None: it is only read).

        Labels with dots between them lead to a module inside a child.
        """

        def written(text: str) -> str:
            return _USE.sub(lambda match: use(match[1], None if match[2] is None else written(match[2])), text)

        return written(self._code)

    @property
    def _code(self) -> str:
        """The source of `forward` with marks for children; its argument `run` chooses between several runs."""
        first, *others = self.runs
        alike = all(run.parameters == first.parameters for run in others)
        optional = "" if alike else " | None = None"
        kinds = {name: run.kind(name) for run in self.runs for name in run.parameters}
        parameters = ["self", f"{first.x}: torch.Tensor"]
        parameters += [f"{name}: {kind}{optional}" for name, kind in kinds.items()]
        if others:
            parameters.append("run: int = 1")
        returns = " | ".join(dict.fromkeys(run.returns for run in self.runs))
        lines = [f"    def forward({', '.join(parameters)}) -> {returns}:"]
        for number, run in enumerate(others, start=2):
            lines += [f"        if run == {number}:", *(f"    {line}" for line in run.lines)]
        return "\n".join([*lines, *first.lines, ""])

    def scopes(self) -> Iterator[Scope]:
        """The scope itself and all inside it, outer ones first."""
        ahead = [self]
        while ahead:
            scope = ahead.pop()
            yield scope
            ahead += [child for child in reversed(scope.children.values()) if isinstance(child, Scope)]

    def leaves(self) -> Iterator[Leaf]:
        """All layers inside."""
        return (child for scope in self.scopes() for child in scope.children.values() if isinstance(child, Leaf))


#: A child in the code of a scope: its label between two marks, and the arguments where it is called.
_USE = re.compile("\0([^\0]*)\0(?:\\(([^()]*)\\))?")


def mark(label: str) -> str:
    """A child in the code of a scope."""
    return f"\0{label}\0"


def class_name(name: str) -> str:
    """`dense_block` -> `DenseBlock`; empty where no letter or digit is in the name."""
    words = (word for word in re.split(r"[^A-Za-z0-9]+", name) if word)
    camel = "".join(word[0].upper() + word[1:] for word in words)
    if camel[:1].isdigit():
        camel = f"_{camel}"
    return f"{camel}_" if keyword.iskeyword(camel) else camel


def identifier(name: str) -> str:
    """The nearest Python identifier that is no keyword."""
    name = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def member(path: str) -> str:
    """The expression that reads a child of `self`, or a module inside one, by labels with dots between them."""
    expression = "self"
    for label in path.split("."):
        plain = label.isidentifier() and not keyword.iskeyword(label)
        expression = f"{expression}.{label}" if plain else f'getattr({expression}, "{label}")'
    return expression
