"""The straight-line `forward` of every scope, and the tree of modules that goes with it.

Both the builder and the source printer read the `Scope` made here, so that they cannot disagree. Code is
written in one walk: a node reads its input from one variable and may assign to one other, the target.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import assert_never

from archdsl.backends.torch.dataflow import InPlace, Interface, Interfaces, is_scope
from archdsl.graph import (
    AnyNode,
    Aux,
    Dense,
    Group,
    Inception,
    LayerNode,
    Residual,
    Scale,
    Split,
    Sum,
    Tap,
    Use,
    walk,
)
from archdsl.graph.network import Network
from archdsl.layers.base import TorchForm


@dataclass(frozen=True, slots=True)
class Leaf:
    """A layer's module, and the node it comes from."""

    form: TorchForm
    node: LayerNode

    @property
    def is_parameter(self) -> bool:
        """Whether the module's one weight is what the scope around holds, under the layer's label."""
        return self.node.layer.is_parameter


@dataclass(frozen=True, slots=True)
class Run:
    """One way to run a scope: what it takes besides `x`, its code, and what it returns."""

    parameters: tuple[str, ...]
    lines: tuple[str, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class Scope:
    """A module with modules in it. `plain` ones are an nn.Sequential: `forward` says the same, but is not needed.

    cls   the name of its class; None for a plain sequence that has no name in the spec
    code  the text of `forward`, with a mark wherever a child is used
    runs  its first run, then those of `reuse` on inputs that need other code (another crop, another padding)
    """

    cls: str | None
    plain: bool
    code: str
    children: dict[str, Leaf | Scope]
    runs: tuple[Run, ...]

    @property
    def forward(self) -> str:
        """The text of `forward`, with the children under their labels."""
        return self.written(lambda label, arguments: member(label) + ("" if arguments is None else f"({arguments})"))

    def written(self, use: Callable[[str, str | None], str]) -> str:
        """The text of `forward`; `use` writes a child, given its label and the arguments (None: it is only read)."""
        return _USE.sub(lambda match: use(match[1], match[2]), self.code)

    def scopes(self) -> Iterator[Scope]:
        """The scope itself and all inside it, outer ones first."""
        yield self
        for child in self.children.values():
            if isinstance(child, Scope):
                yield from child.scopes()

    def leaves(self) -> Iterator[Leaf]:
        """All layers inside."""
        return (child for scope in self.scopes() for child in scope.children.values() if isinstance(child, Leaf))


#: A child in the code of a scope: its label between two marks, and the arguments where it is called.
_USE = re.compile("\0([^\0]*)\0(?:\\(([^()]*)\\))?")


def _child(label: str) -> str:
    return f"\0{label}\0"


def scopes(network: Network, *, inplace: bool = True) -> Scope:
    """The module tree of a network with the code of each scope."""
    names = frozenset(node.name for node in walk(network.root))
    plan = _Plan(Interfaces(network), InPlace(network, enabled=inplace), names)
    writer = _Writer(plan, network.root.name)
    last = writer.body(network.root, "x", "x")
    writer.return_outputs(last, network.outputs)
    return writer.scope(class_name(network.name) or "Network", (writer.run,))


def class_name(name: str) -> str:
    """`dense_block` -> `DenseBlock`; the empty string where nothing is left of the name."""
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


def member(label: str) -> str:
    """The expression that reads the child `label` of `self`."""
    plain = label.isidentifier() and not keyword.iskeyword(label)
    return f"self.{label}" if plain else f'getattr(self, "{label}")'


@dataclass(frozen=True, slots=True)
class _Plan:
    interfaces: Interfaces
    inplace: InPlace
    names: frozenset[str]


@dataclass(slots=True)
class _Writer:
    """Writes the `forward` of one scope and collects its children."""

    plan: _Plan
    name: str
    interface: Interface = field(default_factory=Interface)
    children: dict[str, Leaf | Scope] = field(default_factory=dict)
    plain: bool = True
    _lines: list[str] = field(default_factory=list)
    _depth: int = 2
    _taken: set[str] = field(default_factory=lambda: {"self", "torch", "nn", "getattr", "x", "run"})
    _taps: dict[int, str] = field(default_factory=dict)
    _aux: dict[str, str] = field(default_factory=dict)
    _parameters: list[str] = field(default_factory=list)
    _returns: str = "torch.Tensor"

    # The finished scope.

    @property
    def run(self) -> Run:
        return Run(tuple(self._parameters), tuple(self._lines), self._returns)

    def scope(self, cls: str | None, runs: tuple[Run, ...]) -> Scope:
        return Scope(cls, self.plain, _forward(runs), self.children, runs)

    @classmethod
    def nested(cls, plan: _Plan, node: AnyNode, known: Scope | None = None) -> tuple[Scope, Run]:
        """The scope of a labelled node that is not the root, and how it runs here. `known` is that of earlier runs."""
        writer = cls(plan, node.name, plan.interfaces.of(node), dict(known.children) if known else {})
        writer.plain = writer.interface.plain and known is None
        arguments = writer.interface.arguments
        for tap in arguments:
            # Without its number, so that blocks that differ in it alone are one class.
            plain = tap.name.rstrip("0123456789") if len(arguments) == 1 else tap.name
            writer._taps[tap.id] = writer._new(plain or tap.name)
            writer._parameters.append(writer._taps[tap.id])
        last = writer.body(node, "x", "x")
        results = [writer._taps[tap.id] for tap in writer.interface.results]
        results += [writer._aux[aux.output_name] for aux in writer.interface.aux]
        if results:
            optional = " | None" if writer.interface.aux else ""
            writer._returns = f"tuple[torch.Tensor{optional}, ...]"
        writer._line(f"return {', '.join([last, *results])}")
        run = writer.run
        if known is None:
            return writer.scope(_scope_class(node, plain=writer.plain), (run,)), run
        if run in known.runs:
            return known, run
        return writer.scope(_scope_class(node, plain=False), (*known.runs, run)), run

    def return_outputs(self, last: str, outputs: Sequence[Tap]) -> None:
        """The root's result: one tensor, or a dict where there are several, as torchvision's segmentation models do."""
        named = {"out": last} | {tap.name: self._taps[tap.id] for tap in outputs}
        result = _dict(named) if outputs else last
        if outputs or self._aux:
            self.plain = False
            self._returns = "dict[str, torch.Tensor]" if outputs else "torch.Tensor | dict[str, torch.Tensor]"
        if self._aux:
            self._line("if self.training:")
            self._line(f"    return {_dict(named | self._aux)}")
        self._line(f"return {result}")

    # Names and lines.

    def _line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    def _new(self, base: str) -> str:
        """A variable that is not in use."""
        base = identifier(base)
        name, number = base, 2
        while name in self._taken:
            name, number = f"{base}{number}", number + 1
        self._taken.add(name)
        return name

    @contextmanager
    def _local(self, *bases: str) -> Iterator[list[str]]:
        """Variables that can be used again afterwards."""
        names = [self._new(base) for base in bases]
        yield names
        self._taken.difference_update(names)

    def _keep(self, taps: Sequence[Tap], value: str) -> None:
        for tap in taps:
            if self.plan.interfaces.uses[tap.id] or tap in self.interface.results:
                self.plain = False
                self._taps[tap.id] = self._new(tap.name)
                self._line(f"{self._taps[tap.id]} = {value}")

    # Nodes. Each method returns the variable that holds the result: the target, or where it already was.

    def node(self, node: AnyNode, x: str, target: str) -> str:
        """Run a node on the variable `x`: call its module where it has one, else write its code here."""
        if isinstance(node, LayerNode):
            result = self._layer(node, x, target)
        elif isinstance(node, Aux):
            result = self._aux_head(node, x)
        elif is_scope(node):
            result = self._call_scope(node, x, target)
        else:
            result = self.body(node, x, target)
        self._keep(node.taps, result)
        return result

    def body(self, node: AnyNode, x: str, target: str) -> str:
        """The code of an inner node."""
        self.plain = self.plain and isinstance(node, Group | Aux)
        match node:
            case LayerNode():
                return self._layer(node, x, target)
            case Use():
                return self._taps[node.tap.id]
            case Group():
                for inner in node.body:
                    x = self.node(inner, x, target)
                return x
            case Residual():
                return self._residual(node, x, target)
            case Inception():
                return self._branches(node.branches, x, target, "torch.cat([{}], 1)", ", ")
            case Sum():
                return self._branches(node.branches, x, target, "{}", " + ")
            case Dense():
                return self._dense(node, x, target)
            case Scale():
                with self._local("scale") as [scale]:
                    self._line(f"{target} = {x} * {self.node(node.body, x, scale)}")
                return target
            case Split():
                return self._split(node, x, target)
            case Aux():
                return self.node(node.body, x, target)
            case _:
                assert_never(node)

    def _layer(self, node: LayerNode, x: str, target: str) -> str:
        form = node.layer.torch(node.input)
        # What runs in place is our business: `inplace=true` in a spec never changes a result.
        keywords = {name: value for name, value in form.keywords.items() if name != "inplace"}
        if self.plan.inplace.layer(node):
            keywords["inplace"] = True
        form = replace(form, keywords=keywords)
        operands = [self._taps[tap.id] for tap in node.operands]
        self.plain = self.plain and not operands
        label = self._register(node, Leaf(form, node))
        if node.layer.is_parameter:
            self.plain = False
            self._line(f"{target} = {_child(label)}.expand({', '.join([f'{x}.shape[0]', *map(str, node.output)])})")
        else:
            self._line(f"{target} = {_child(label)}({', '.join([x, *operands])})")
        return target

    def _register(self, node: LayerNode, child: Leaf) -> str:
        """Add a layer's module under its label; where it has run before, that module if it is the same."""
        label = self._label(node, lambda before: isinstance(before, Leaf) and before.form == child.form)
        self.children.setdefault(label, child)
        return label

    def _label(self, node: AnyNode, fits: Callable[[Leaf | Scope], bool]) -> str:
        """The node's own label, or one that no part has where another module was made for an earlier run."""
        own = node.name.rpartition(".")[2] if node.label is None else node.label
        if own not in self.children:
            return own
        self.plain = False
        label, number = own, 1
        while not self._is_free(label) and not (label in self.children and fits(self.children[label])):
            number += 1
            label = f"{own}_{number}"
        return label

    def _is_free(self, label: str) -> bool:
        name = f"{self.name}.{label}" if self.name else label
        return label not in self.children and name not in self.plan.names

    def _register_scope(self, node: AnyNode, x: str) -> tuple[str, str]:
        """Add a scope, or another run to the one that ran before; returns its label and the arguments of the call."""
        label = self._label(node, lambda before: isinstance(before, Scope))
        known = self.children.get(label)
        scope, run = _Writer.nested(self.plan, node, known if isinstance(known, Scope) else None)
        self.children[label] = scope
        values = [self._taps[tap.id] for tap in self.plan.interfaces.of(node).arguments]
        number = scope.runs.index(run) + 1
        if number == 1:
            return label, ", ".join([x, *values])
        named = (f"{name}={value}" for name, value in zip(run.parameters, values, strict=True))
        return label, ", ".join([x, *named, f"run={number}"])

    def _call_scope(self, node: AnyNode, x: str, target: str) -> str:
        interface = self.plan.interfaces.of(node)
        label, arguments = self._register_scope(node, x)
        self._taps |= {tap.id: self._new(tap.name) for tap in interface.results}
        results = [self._taps[tap.id] for tap in interface.results]
        results += [self._new_aux(aux) for aux in interface.aux]
        self.plain = self.plain and interface.plain
        self._line(f"{', '.join([target, *results])} = {_child(label)}({arguments})")
        return target

    def _residual(self, node: Residual, x: str, target: str) -> str:
        """Shortcut plus body. The sum is written into the body's last tensor where nobody can tell."""
        with self._local("identity" if node.shortcut is None else "shortcut") as [saved]:
            kept = x
            if x == target:
                self._line(f"{saved} = {x}")
                kept = saved
            result = self.node(node.body, x, target)
            shortcut = kept if node.shortcut is None else self.node(node.shortcut, kept, saved)
            if self.plan.inplace.addition(node):
                self._line(f"{result} += {shortcut}")
                return result
            self._line(f"{target} = {shortcut} + {result}")
        return target

    def _branches(self, branches: Sequence[AnyNode], x: str, target: str, join: str, separator: str) -> str:
        if len(branches) == 1:
            return self.node(branches[0], x, target)
        names = [_spoken(branch.label) or f"branch{number}" for number, branch in enumerate(branches, start=1)]
        with self._local(*names) as variables:
            results = [self.node(branch, x, name) for branch, name in zip(branches, variables, strict=True)]
            self._line(f"{target} = {join.format(separator.join(results))}")
        return target

    def _dense(self, node: Dense, x: str, target: str) -> str:
        for item in node.items:
            with self._local("new") as [new]:
                result = self.node(item, x, new)
                self._line(f"{target} = torch.cat([{x}, {result}], 1)")
            x = target
        return x

    def _split(self, node: Split, x: str, target: str) -> str:
        count = len(node.branches)
        if count == 1:
            return self.node(node.branches[0], x, target)
        with self._local(*(f"part{number}" for number in range(1, count + 1))) as parts:
            self._line(f"{', '.join(parts)} = {x}.chunk({count}, 1)")
            results = [self.node(branch, part, part) for branch, part in zip(node.branches, parts, strict=True)]
            self._line(f"{target} = torch.cat([{', '.join(results)}], 1)")
        return target

    def _new_aux(self, node: Aux) -> str:
        self._aux[node.output_name] = self._new(node.output_name)
        return self._aux[node.output_name]

    def _aux_head(self, node: Aux, x: str) -> str:
        """Run an auxiliary head in training only; the current tensor goes on unchanged."""
        self.plain = False
        output = self._new_aux(node)
        if is_scope(node):
            label, arguments = self._register_scope(node, x)
            call = f"{_child(label)}({arguments})"
            self._line(f"{output} = {call} if self.training else None")
            return x
        self._line(f"{output} = None")
        self._line("if self.training:")
        self._depth += 1
        result = self.body(node, x, output)
        if result != output:
            self._line(f"{output} = {result}")
        self._depth -= 1
        return x


def _spoken(label: str | None) -> str | None:
    """A label that says more than a number."""
    return None if label is None or label.isdigit() else label


def _forward(runs: Sequence[Run]) -> str:
    """The method that runs a scope; with more than one way to, its argument `run` chooses."""
    first, *others = runs
    alike = all(run.parameters == first.parameters for run in others)
    kind = "torch.Tensor" if alike else "torch.Tensor | None = None"
    names = dict.fromkeys(name for run in runs for name in run.parameters)
    parameters = ["self", "x: torch.Tensor", *(f"{name}: {kind}" for name in names), *["run: int = 1"] * bool(others)]
    returns = " | ".join(dict.fromkeys(run.returns for run in runs))
    lines = [f"    def forward({', '.join(parameters)}) -> {returns}:"]
    for number, run in enumerate(others, start=2):
        lines += [f"        if run == {number}:", *(f"    {line}" for line in run.lines)]
    return "\n".join([*lines, *first.lines, ""])


def _dict(values: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}"


def _scope_class(node: AnyNode, *, plain: bool) -> str | None:
    """A block's name, or the combinator's; a plain sequence without a name is simply an nn.Sequential."""
    if isinstance(node, Group):
        name = class_name(node.block or "")
        return name or (None if plain else "Group")
    return type(node).__name__
