"""Which sizes of a network's tensors depend on the input's, and where a running ONNX file finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from archdsl.diagnostics import Diagnostic, Rejected, SpecError
from archdsl.diagnostics.codes.sizes import NotDynamic, OneSize
from archdsl.graph import LayerNode
from archdsl.graph.lower import Step, Value
from archdsl.graph.network import Network
from archdsl.layers.base import Layer
from archdsl.shapes import Shape
from archdsl.shapes.extent import Extent, Unanswered, is_known
from archdsl.sizes import AxisSizes, input_sizes
from archdsl.sizes.subject import Subject
from archdsl.text.record import replace

#: How many sizes above and below the spec's own are looked at on each axis.
ABOVE, BELOW = 8, 4

#: A tensor and an axis, batch axis included, whose size an argument is.
Place = tuple[Value, int]


class Dynamic(NamedTuple):
    """A network for inputs of several sizes.

    inputs     the symbolic axes of the inputs: their positions without the batch axis, and their names
    names      the names of the inputs
    varying    the axes of each tensor whose size depends on the input's, positions without the batch axis
    arguments  the arguments of layers that are such sizes, by the number of the operation: where each is found
    others     the network for two other inputs
    """

    inputs: Mapping[Value, Mapping[int, str]]
    names: Mapping[Value, str]
    varying: Mapping[Value, frozenset[int]]
    arguments: Mapping[int, Mapping[str, Any]]
    others: Sequence[Network]

    def shape(self, value: Value) -> Shape:
        """The shape of a tensor, with None, or an input's name for it, where the size varies."""
        names, varying = self.inputs.get(value.source, {}), self.varying[value.source]
        sizes: list[Any] = [names.get(i) if i in varying else size for i, size in enumerate(value.shape)]
        return value.shape.like(sizes)

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """The shapes of the inputs, with their symbolic axes."""
        return {name: self.shape(value) for value, name in self.names.items()}

    def running(self, value: Value, name: str) -> Shape:
        """The shape of a tensor, called `name` in the file, with the sizes that only the running file knows."""
        varying = self.varying[value.source]
        sizes: list[Any] = [Extent("size", name, i + 1) if i in varying else n for i, n in enumerate(value.shape)]
        return value.shape.like(sizes)


def dynamic(network: Network) -> Dynamic:
    """What the export needs to know to write a file for all sizes that a network takes.

    Raises:
        SpecError: there are no two other sizes, or the network has other layers with other sizes.
    """
    subject = Subject(network)
    answers = input_sizes(network)
    inputs = list(_inputs(subject, network, answers))
    if len(inputs) < 2:
        rules = "; ".join(f"{one.axis.name}: {one.rule or 'no rule'}" for one in answers) or "it has no spatial axis"
        raise SpecError([Diagnostic(OneSize(f"it does not take two other sizes ({rules})"), path=network.path)])
    others = [subject.at(each) for each in inputs]
    steps = [one.program.operations for one in (network, *others)]
    _require_same_layers(network, steps)
    values = [_values(one) for one in (network, *others)]
    varying = {
        each[0]: frozenset(i for i, sizes in enumerate(zip(*(v.shape for v in each), strict=True)) if len({*sizes}) > 1)
        for each in zip(*values, strict=True)
    }
    names = dict(zip(network.program.inputs, network.inputs, strict=True))
    axes = {value: {i: _axis_name(answers, name, i) for i in varying[value]} for value, name in names.items()}
    return Dynamic(axes, names, varying, _arguments(network, steps, values), others[:2])


def running_node(found: Dynamic, number: int, step: Step, node: LayerNode, names: Mapping[Value, str]) -> LayerNode:
    """A layer with the sizes that only the running file knows; `names` are those of the tensors made so far."""
    layer = node.layer
    if number in found.arguments:
        arguments = {name: _extents(value, names) for name, value in found.arguments[number].items()}
        layer = layer.model_copy(update=arguments)
    shapes = [found.running(value, names[value.source]) for value in step.inputs]
    [made] = step.outputs
    try:
        sizes: Sequence[Any] = layer.shape(*shapes)
    except (Rejected, Unanswered, TypeError):
        sizes = ()
    varying = found.varying[made]
    known = len(sizes) == len(made.shape)
    output: list[Any] = [
        n if i not in varying else sizes[i] if known and not is_known(sizes[i]) else Extent("unknown")
        for i, n in enumerate(made.shape)
    ]
    return replace(node, layer=layer, input=shapes[0], output=made.shape.like(output))


def _extents(value: Any, names: Mapping[Value, str]) -> Any:
    """An argument with its places as sizes of tensors in the file."""
    if isinstance(value, tuple) and value and isinstance(value[0], Value):
        return Extent("size", names[value[0]], value[1])
    return tuple(_extents(item, names) for item in value) if isinstance(value, tuple) else value


def _candidates(one: AxisSizes) -> list[int]:
    """Other sizes of an axis: the next above, then those below, the largest first."""
    below = [n for n in range(one.axis.size - 1, max(0, one.axis.size - 200), -1) if one.takes(n)]
    return one.after(one.axis.size, ABOVE) + below[: BELOW - 1] + below[-1:]


def _inputs(subject: Subject, network: Network, answers: Sequence[AxisSizes]) -> Iterator[dict[str, Shape]]:
    """Other inputs that the network takes: first those that change several axes, each to another size."""
    single = [one for one in answers if len(one.axis.places) == 1 and _candidates(one)]
    found = []
    for turn in range(2):
        inputs = dict(network.inputs)
        for number, one in enumerate(single):
            sizes = _candidates(one)
            inputs = one.axis.resized(inputs, sizes[(1 + 3 * number + turn * ABOVE) % len(sizes)])
        found.append(inputs)
    found += [one.axis.resized(network.inputs, size) for one in answers for size in _candidates(one)]
    seen = [network.inputs]
    for inputs in found:
        if inputs not in seen and subject.fault(inputs) is None:
            seen.append(inputs)
            yield inputs


def _require_same_layers(network: Network, steps: Sequence[Sequence[Step]]) -> None:
    """Reject a network whose layers depend on the size of the input."""
    for other in steps[1:]:
        for one, twin in zip(steps[0], other, strict=False):
            if (one.op, one.node.name, one.node.kind) != (twin.op, twin.node.name, twin.node.kind):
                reason = "the spec makes other layers for other sizes of the input from here on"
                problem = NotDynamic(f"`{one.node.kind}`", reason)
                raise SpecError([Diagnostic(problem, one.node.span, chain=one.node.chain, path=network.path)])
        if len(other) != len(steps[0]):
            reason = "the spec makes other layers for other sizes of the input"
            raise SpecError([Diagnostic(NotDynamic("the network", reason), path=network.path)])


def _values(network: Network) -> list[Value]:
    """The inputs and the outputs of all operations."""
    program = network.program
    return [*program.inputs, *(value for step in program.operations for value in step.outputs)]


def _axis_name(answers: Sequence[AxisSizes], name: str, position: int) -> str:
    """The symbolic name of an input's axis: `height`, or `image_height` for one of several inputs."""
    names = [one.axis.name for one in answers if one.axis.places == ((name, position),)]
    return names[0].replace(".", "_").replace(" ", "_")


def _arguments(
    network: Network, steps: Sequence[Sequence[Step]], values: Sequence[Sequence[Value]]
) -> dict[int, dict[str, Any]]:
    """Where the arguments of layers that depend on the input are found."""
    found: dict[int, dict[str, Any]] = {}
    made = len(network.program.inputs)
    for i, same in enumerate(zip(*steps, strict=True)):
        layers = [step.node.layer for step in same if isinstance(step.node, LayerNode)]
        if layers and any(layer != layers[0] for layer in layers):
            places = {
                tuple(one.shape[axis] for one in tensor): (tensor[0], axis + 1)
                for tensor in reversed([*zip(*values, strict=True)][:made])
                for axis in range(len(tensor[0].shape))
            }
            found[i] = _changed(network, same[0], layers, places)
        made += len(same[0].outputs)
    return found


def _changed(
    network: Network, step: Step, layers: Sequence[Layer], places: Mapping[tuple[int, ...], Place]
) -> dict[str, Any]:
    """The arguments of a layer that differ: for each number the tensor and axis whose size it is."""
    changed: dict[str, Any] = {}
    for name in type(layers[0]).model_fields:
        values = [getattr(layer, name) for layer in layers]
        if all(value == values[0] for value in values):
            continue
        tuples = all(isinstance(value, tuple) and len(value) == len(values[0]) for value in values)
        parts = [*zip(*values, strict=True)] if tuples else [tuple(values)]
        sizes = [part[0] if len({*part}) == 1 else places.get(part) for part in parts]
        if None in sizes:
            reason = f"its {name} depends on the size of the input, and is not the size of an earlier tensor"
            problem = NotDynamic(f"`{step.node.kind}`", reason)
            raise SpecError([Diagnostic(problem, step.node.span, chain=step.node.chain, path=network.path)])
        changed[name] = tuple(sizes) if tuples else sizes[0]
    return changed
