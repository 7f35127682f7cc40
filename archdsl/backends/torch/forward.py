"""The tree of modules of a network, with the straight-line `forward` of every scope.

The builder and the source printer both read the `Scope` made here, so that they cannot disagree. The code is a
fold over the network's steps. A value is in the variable of its slot, or shares that of another value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from archdsl.backends.torch.dataflow import Interface, Interfaces, has_state, is_within
from archdsl.backends.torch.scope import Leaf, Run, Scope, class_name, identifier, mark
from archdsl.graph import AnyNode, Aux, Cut, Group, LayerNode, Tap, walk
from archdsl.graph.features import Features
from archdsl.graph.in_place import in_place, torch_forms
from archdsl.graph.lower import JOINS, Program, Slot, Step, Value, is_scope
from archdsl.graph.network import Network
from archdsl.layers.base import TorchForm
from archdsl.text.stack import deep


def scopes(network: Network, *, inplace: bool = True) -> Scope:
    """The module tree of a network with the code of each scope."""
    writer = _writer(network, network.root, network.program, inplace=inplace)
    writer.return_outputs(network.program.outputs, network.outputs)
    return Scope(class_name(network.name) or "Network", writer.plain, writer.children, (writer.run,))


def feature_scopes(network: Network, features: Features) -> Scope:
    """The same of a part of a network that returns inner tensors by name."""
    writer = _writer(network, features.root, features.program, inplace=True)
    writer.return_features(features.program.outputs[1:], features.outputs)
    return Scope(f"{class_name(network.name)}Features", writer.plain, writer.children, (writer.run,))


def _writer(network: Network, root: Group, program: Program, *, inplace: bool) -> _Writer:
    """The writer of a model's own code, which has written all but what it returns."""
    forms = torch_forms(program)
    overwriting = in_place(root, program, forms) if inplace else ()
    names = frozenset(node.name for node in walk(network.root))
    plan = _Plan(Interfaces(program), forms, overwriting, names)
    writer = _Writer(plan, iter(program.steps), network.root.name)
    writer.write_model(program, network.named_inputs)
    return writer


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the writers of all scopes share."""

    interfaces: Interfaces
    forms: Mapping[Step, TorchForm]
    overwriting: Collection[Step]
    names: frozenset[str]
    #: The children of each scope by the scope's name, which may run again elsewhere.
    children: dict[str, dict[str, Leaf | Scope]] = field(default_factory=dict)


@dataclass(slots=True)
class _Writer:
    """Writes the `forward` of one scope and collects its children. `steps` is read until the scope ends."""

    plan: _Plan
    steps: Iterator[Step]
    name: str
    interface: Interface = field(default_factory=Interface)
    children: dict[str, Leaf | Scope] = field(default_factory=dict)
    plain: bool = True
    _lines: list[str] = field(default_factory=list)
    _depth: int = 2
    _taken: set[str] = field(default_factory=lambda: {"self", "torch", "nn", "getattr", "x", "run"})
    _slots: dict[Slot, str] = field(default_factory=dict)
    _open: list[list[Slot]] = field(default_factory=list)
    _names: dict[Value, str] = field(default_factory=dict)
    _aux: dict[str, str] = field(default_factory=dict)
    _inputs: Collection[Value] = ()
    _parameters: list[str] = field(default_factory=list)
    _returns: str = "torch.Tensor"
    _x: str = "x"
    _modules: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plan.children[self.name] = self.children

    # The finished scope.

    @property
    def run(self) -> Run:
        modules = frozenset(self._modules.values())
        return Run(tuple(self._parameters), tuple(self._lines), self._returns, self._x, modules)

    @classmethod
    @deep
    def nested(cls, plan: _Plan, steps: Iterator[Step], enter: Step, known: Scope | None) -> tuple[Scope, Run, Step]:
        """Return the scope that a step enters, its run here, and the step that ends it.

        `known` is the scope of earlier runs.
        """
        interface = plan.interfaces.of(enter.node)
        writer = cls(plan, steps, enter.node.name, interface, dict(known.children) if known else {})
        writer.plain = interface.plain and known is None
        writer._take(interface)
        end = writer.write(enter.outputs[0])
        writer._return(writer._names[end.inputs[0]])
        run = writer.run
        if known is not None and run in known.runs:
            plan.children[writer.name] = known.children
            return known, run, end
        earlier = () if known is None else known.runs
        cls_name = _scope_class(enter.node, plain=writer.plain)
        return Scope(cls_name, writer.plain, writer.children, (*earlier, run)), run, end

    def _take(self, interface: Interface) -> None:
        """Name the parameters of `forward` besides `x`."""
        taps = interface.arguments
        for tap in taps:
            # Without its number, so that blocks that differ in it alone are one class.
            plain = tap.slot.name.rstrip("0123456789") if len(taps) == 1 else ""
            self._names[tap] = self._new(plain or tap.slot.name)
            self._parameters.append(self._names[tap])
        self._modules = {name: self._new(name.rpartition(".")[2]) for name in interface.modules}
        self._parameters += self._modules.values()

    def write_model(self, program: Program, inputs: Sequence[Tap]) -> None:
        """Write the code of the model, whose parameters are the inputs by their names."""
        if not inputs:
            self.write(program.input)
            return
        self.plain = False
        self._x, *self._parameters = [tap.name for tap in inputs]
        self._taken.update([self._x, *self._parameters])
        # The current tensor's variable is never that of an input, which keeps its value.
        x = self._new("hidden") if "x" in {self._x, *self._parameters} else "x"
        self._slots[program.input.slot] = x
        self._inputs = program.inputs
        self._names |= dict(zip(program.inputs, [self._x, *self._parameters], strict=True))
        self._write_on()

    def _return(self, last: str) -> None:
        results = [self._names[tap] for tap in self.interface.results]
        results += [self._aux[aux.output_name] for aux in self.interface.aux]
        if results:
            kinds = ["torch.Tensor"] * (1 + len(self.interface.results))
            kinds += ["torch.Tensor | None"] * len(self.interface.aux)
            self._returns = f"tuple[{', '.join(kinds)}]"
        self._line(f"return {', '.join([last, *results])}")

    def return_outputs(self, values: Sequence[Value], outputs: Sequence[Tap]) -> None:
        """Return one tensor, or a dict of several as torchvision's segmentation models do."""
        names = [self._names[value] for value in values]
        named = dict(zip(["out", *(tap.name for tap in outputs)], names, strict=True))
        if outputs or self._aux:
            self.plain = False
            # A head in a part that is in eval mode gives None.
            kind = f"dict[str, torch.Tensor{' | None' if self._aux else ''}]"
            self._returns = kind if outputs else f"torch.Tensor | {kind}"
        if self._aux:
            self._line("if self.training:")
            self._line(f"    outputs: {kind} = {_dict(named | self._aux)}")
            self._line("    return outputs")
        if outputs and self._aux:
            self._line(f"named: {kind} = {_dict(named)}")
            self._line("return named")
        else:
            self._line(f"return {_dict(named) if outputs else names[0]}")

    def return_features(self, values: Sequence[Value], outputs: Sequence[Tap]) -> None:
        """Return a dict of tensors."""
        self.plain, self._returns = False, "dict[str, torch.Tensor]"
        named = {tap.name: self._names[value] for tap, value in zip(outputs, values, strict=True)}
        self._line(f"return {_dict(named)}")

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

    def _assign(self, value: Value, code: str) -> None:
        """Write a line that puts a value into the variable of its slot."""
        self._names[value] = self._slots[value.slot]
        self._line(f"{self._names[value]} = {code}")

    # Steps.

    def write(self, x: Value) -> Step:
        """Write the code of the scope, whose input is `x`; returns its last step."""
        self._slots[x.slot] = self._names[x] = "x"
        return self._write_on()

    def _write_on(self) -> Step:
        for step in self.steps:
            if step.op == "exit":
                break
            self._step(step)
        return step

    def _step(self, step: Step) -> None:
        self.plain = self.plain and step.op in ("layer", "enter", "keep", "output")
        match step.op:
            case "layer":
                self._layer(step)
            case "fork":
                self._fork(step)
            case "split":
                self._split(step)
            case "use":
                self._names[step.outputs[0]] = self._names[step.inputs[0]]
            case "keep":
                self._keep(step)
            case "enter":
                self._enter(step)
            case "output":
                pass
            case _:
                self._join(step)

    def _layer(self, step: Step) -> None:
        node = step.node
        assert isinstance(node, LayerNode)
        x, *operands = [self._names[value] for value in step.inputs]
        self.plain = self.plain and not operands and not node.layer.is_parameter
        if self._is_elsewhere(node):
            self.plain = False
            child = self._module(node.name)
        else:
            child = mark(self._register(node, Leaf(self._form(step), node)))
        if node.layer.is_parameter:
            self._assign(step.outputs[0], f"{child}.expand({', '.join([f'{x}.shape[0]', *map(str, node.output)])})")
        else:
            taken = node.layer.written_operands(operands)
            if taken and node.layer.lists_taps:
                taken = [f"[{', '.join(taken)}]"]
            self._assign(step.outputs[0], f"{child}({', '.join([x, *taken])})")

    def _is_elsewhere(self, node: AnyNode) -> bool:
        """Whether a node runs on a module of another scope again; one without weights gets another module."""
        return node.shared and node.name.rpartition(".")[0] != self.name and has_state(node)

    def _module(self, name: str) -> str:
        """The module of another scope: inside one of this scope's children, or an argument."""
        if is_within(name, self.name):
            return mark(name.removeprefix(f"{self.name}."))
        return self._modules[name]

    def _form(self, step: Step) -> TorchForm:
        """The layer's module. `inplace=true` in a spec has no effect on results: it is set again here where allowed."""
        form = self.plan.forms[step]
        keywords = {name: value for name, value in form.keywords.items() if name != "inplace"}
        if step in self.plan.overwriting:
            keywords["inplace"] = True
        return replace(form, keywords=keywords)

    def _register(self, node: LayerNode, child: Leaf) -> str:
        """Add a layer's module under its label, or find the same module of an earlier run."""
        label = self._label(node, lambda before: isinstance(before, Leaf) and before.form == child.form)
        self.children.setdefault(label, child)
        return label

    def _label(self, node: AnyNode, fits: Callable[[Leaf | Scope], bool]) -> str:
        """The node's own label, or an unused one where an earlier run made another module of that label."""
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

    def _enter(self, step: Step) -> None:
        if isinstance(step.node, Aux):
            self._aux_head(step, step.node)
            return
        call, end = self._call(step)
        interface = self.plan.interfaces.of(step.node)
        self._names |= {tap: self._new(tap.slot.name) for tap in interface.results}
        results = [self._names[tap] for tap in interface.results]
        results += [self._new_aux(aux) for aux in interface.aux]
        self.plain = self.plain and interface.plain
        [last] = end.outputs
        self._names[last] = self._slots[last.slot]
        self._line(f"{', '.join([self._names[last], *results])} = {call}")

    def _call(self, step: Step) -> tuple[str, Step]:
        """Add a scope, or a run to one of an earlier run; return the call and the step that ends the scope."""
        if self._is_elsewhere(step.node):
            self.plain = False
            owner, _, label = step.node.name.rpartition(".")
            children, module = self.plan.children[owner], self._module(step.node.name)
        else:
            label = self._label(step.node, lambda before: isinstance(before, Scope))
            children, module = self.children, mark(label)
        known = children.get(label)
        scope, run, end = _Writer.nested(self.plan, self.steps, step, known if isinstance(known, Scope) else None)
        children[label] = scope
        number = scope.runs.index(run) + 1
        interface = self.plan.interfaces.of(step.node)
        values = [self._names[tap] for tap in interface.arguments] + list(map(self._module, interface.modules))
        if number > 1:
            values = [f"{name}={value}" for name, value in zip(run.parameters, values, strict=True)]
            values.append(f"run={number}")
        return f"{module}({', '.join([self._names[step.inputs[0]], *values])})", end

    def _aux_head(self, step: Step, node: Aux) -> None:
        """Run an auxiliary head in training only."""
        self.plain = False
        output = self._new_aux(node)
        if is_scope(node):
            self._line(f"{output} = {self._call(step)[0]} if self.training else None")
            return
        self._line(f"{output}: torch.Tensor | None = None")
        self._line("if self.training:")
        self._depth += 1
        [x] = step.outputs
        self._slots[x.slot], self._names[x] = output, self._names[step.inputs[0]]
        result = self._names[self._write_on().inputs[0]]
        if result != output:
            self._line(f"{output} = {result}")
        self._depth -= 1

    def _new_aux(self, node: Aux) -> str:
        self._aux[node.output_name] = self._new(node.output_name)
        return self._aux[node.output_name]

    def _keep(self, step: Step) -> None:
        [tap] = step.outputs
        if step.inputs[0] in self._inputs:
            self._names[tap] = self._names[step.inputs[0]]
        elif self.plan.interfaces.uses[tap] or tap in self.interface.results:
            self.plain = False
            if isinstance(step.node, Cut) and len(step.node.parts) > 1:  # the parts have variables of their own
                self._names[tap] = self._names[step.inputs[0]]
                return
            self._slots[tap.slot] = self._new(tap.slot.name)
            self._assign(tap, self._names[step.inputs[0]])

    def _fork(self, step: Step) -> None:
        """Start paths on one value. Where one of them overwrites its variable, the others get a copy."""
        name = self._names[step.inputs[0]]
        opened = self._open_slots(step.outputs)
        overwritten = any(self._slots[value.slot] == name for value in step.outputs)
        for value in step.outputs:
            self._names[value] = name
            if overwritten and value.slot in opened:
                self._assign(value, name)

    def _split(self, step: Step) -> None:
        if isinstance(step.node, Cut):
            self._slots |= {value.slot: self._new(value.slot.name) for value in step.outputs}
        else:
            self._open_slots(step.outputs)
        self._names |= {value: self._slots[value.slot] for value in step.outputs}
        names = ", ".join(self._names[value] for value in step.outputs)
        sizes = [value.shape.channels for value in step.outputs]
        parts = f"chunk({len(sizes)}, 1)" if len(set(sizes)) == 1 else f"split({sizes}, 1)"
        self._line(f"{names} = {self._names[step.inputs[0]]}.{parts}")

    def _open_slots(self, values: Iterable[Value]) -> list[Slot]:
        """Reserve variables for the slots that are new; `_join` releases them."""
        opened = [value.slot for value in values if value.slot not in self._slots]
        self._slots |= {slot: self._new(slot.name) for slot in opened}
        self._open.append(opened)
        return opened

    def _join(self, step: Step) -> None:
        join, [result] = JOINS[step.op], step.outputs
        names = [self._names[value] for value in step.inputs]
        if step in self.plan.overwriting:
            self._names[result] = names[0]
            self._line(f"{names[0]} {join.torch}= {names[1]}")
        else:
            self._assign(result, join.expression(names))
        self._taken.difference_update(self._slots[slot] for slot in self._open.pop())


def _dict(values: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}"


def _scope_class(node: AnyNode, *, plain: bool) -> str | None:
    """The class name of a scope: the block's or the combinator's; None for a plain sequence without a name."""
    if isinstance(node, Group):
        name = class_name(node.block or "")
        return name or (None if plain else "Group")
    return node.kind.capitalize()
