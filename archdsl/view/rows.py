"""The summary of a network row by row, and how its figures are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from archdsl.graph import AnyNode
from archdsl.graph.lower import is_scope
from archdsl.graph.network import LayerInfo
from archdsl.view.tables import Column

if TYPE_CHECKING:
    from archdsl.graph.network import Network
    from archdsl.graph.training_memory import Precision
    from archdsl.shapes import Shape

#: The largest receptive field that is written as a number.
MOST = 999_999


class Row(NamedTuple):
    """A layer, a scope whose inside is not shown (its figures are sums), or the header of one whose inside is.

    label   the name inside the scope around; `level` is the number of scopes around and 1
    header  the figures are those of the rows that follow, one level deeper
    """

    info: LayerInfo
    label: str
    level: int
    header: bool = False


def rows(network: Network, depth: int | None = None) -> list[Row]:
    """The rows of the table in execution order; scopes nested deeper than `depth` are summed up in theirs."""
    layers = iter(network.layers)
    scopes: list[str] = []
    inside: list[list[Row]] = [[]]
    for step in network.program.steps:
        if step.op == "layer":
            inside[-1].append(_row(next(layers), scopes))
        elif step.op == "enter" and is_scope(step.node):
            scopes.append(step.node.name)
            inside.append([])
        elif step.op == "exit" and is_scope(step.node):
            scopes.pop()
            inner = inside.pop()
            if inner:
                header = _row(_summed(step.node, inner), scopes, header=True)
                deep = depth is not None and len(scopes) + 1 >= depth
                inside[-1] += [header._replace(header=False)] if deep else [header, *inner]
    return inside[0]


def _row(info: LayerInfo, scopes: Sequence[str], *, header: bool = False) -> Row:
    label = info.name.removeprefix(f"{scopes[-1]}.") if scopes else info.name
    return Row(info, label, len(scopes) + 1, header)


def _summed(node: AnyNode, inner: Sequence[Row]) -> LayerInfo:
    """The figures of a scope. Auxiliary parts of one that is not auxiliary itself add parameters only."""
    parts = [row.info for row in inner if not row.header]
    aux = all(part.aux for part in parts)
    running = [part for part in parts if aux or not part.aux]
    return LayerInfo(
        name=node.name,
        kind=node.kind,
        input=node.input,
        output=node.output,
        params=sum(part.params for part in parts),
        trainable_params=sum(part.trainable_params for part in parts),
        macs=sum(part.macs for part in running),
        param_bytes=sum(part.param_bytes for part in parts),
        buffer_bytes=sum(part.buffer_bytes for part in parts),
        activation_bytes=sum(part.activation_bytes for part in running),
        receptive_field=_largest([part.receptive_field for part in running]),
        span=node.span,
        chain=node.chain,
        shared=all(part.shared for part in parts),
        aux=aux,
    )


def _largest(fields: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The largest field on each axis, of those in the input with the most axes."""
    rank = max(map(len, fields))
    return tuple(map(max, zip(*(field for field in fields if len(field) == rank), strict=True)))


class Figure(NamedTuple):
    """A column of the summary.

    column     how it is laid out
    cell       the text of a row
    attribute  where a layer has the exact value
    sums       whether it is empty in the header of a scope, since the rows below have it
    """

    column: Column
    cell: Callable[[Row], str]
    attribute: str
    sums: bool = True


def _name(row: Row) -> str:
    return "  " * (row.level - 1) + row.label + (" *" if row.info.aux else "")


def _params(row: Row) -> str:
    return "(shared)" if row.info.shared and not row.info.params else f"{row.info.params:,}"


#: The columns by the names that `--columns` knows.
COLUMNS = {
    "name": Figure(Column("layer", fold=14), _name, "name", sums=False),
    "kind": Figure(Column("kind", fold=9, drop=3), lambda row: row.info.kind, "kind", sums=False),
    "input": Figure(Column("input", right=True, drop=5), lambda row: str(row.info.input), "input", sums=False),
    "output": Figure(Column("output", right=True), lambda row: str(row.info.output), "output", sums=False),
    "params": Figure(Column("params", right=True), _params, "params"),
    "trainable": Figure(
        Column("trainable", right=True, drop=6), lambda row: f"{row.info.trainable_params:,}", "trainable_params"
    ),
    "macs": Figure(Column("MACs", right=True, drop=1), lambda row: humanised(row.info.macs), "macs"),
    "flops": Figure(Column("FLOPs", right=True, drop=7), lambda row: humanised(row.info.flops), "flops"),
    "memory": Figure(
        Column("memory", right=True, drop=2), lambda row: memory(row.info.activation_bytes), "activation_bytes"
    ),
    "field": Figure(
        Column("field", right=True, drop=4), lambda row: field(row.info.receptive_field), "receptive_field"
    ),
    "line": Figure(Column("line", right=True, drop=8), lambda row: str(row.info.line), "line", sums=False),
}
#: The figures of a table by default, and all its columns.
FIGURES = ("params", "macs", "memory", "field")
USUAL = ("name", "kind", "output", *FIGURES)


def cells(row: Row, names: Sequence[str]) -> list[str]:
    """The row's cells in these columns; the header of a scope has no figures, since the rows below it have them."""
    return ["" if row.header and COLUMNS[name].sums else COLUMNS[name].cell(row) for name in names]


def total_lines(network: Network) -> list[tuple[str, str]]:
    """The totals below the table, as names and strings. MACs and activations are those of eval mode, for one input."""
    trainable = "all trainable"
    if network.trainable_params != network.params:
        trainable = f"{network.trainable_params:,} trainable"
    size = memory(network.param_bytes)
    if network.buffer_bytes:
        size += f", {memory(network.param_bytes + network.buffer_bytes)} with buffers"
    aux = {node.output_name: " *" for node in network.aux}
    outputs = [f"{name} {shape}{aux.get(name, '')}" for name, shape in network.output_shapes.items()]
    return [
        ("Parameters", f"{network.params:,} ({trainable})"),
        ("Parameter memory", size),
        ("MACs", f"{humanised(network.macs)} ({network.macs:,})"),
        ("FLOPs", f"{humanised(network.flops)} (two for each multiply-add)"),
        ("Activation memory", f"{memory(network.activation_bytes)} for one input"),
        ("Peak memory", f"{memory(network.peak.bytes)} at {network.peak.at}"),
        *[(_input_title(network, name), f"{shape} ({_values(shape)})") for name, shape in network.inputs.items()],
        ("Output", ", ".join(outputs) if len(outputs) > 1 else str(network.output_shape)),
    ]


def _input_title(network: Network, name: str) -> str:
    return f"Input {name}" if network.named_inputs else "Input"


def _values(shape: Shape) -> str:
    return "1 value" if shape.numel == 1 else f"{shape.numel:,} values"


def footnotes(shown: Sequence[Row]) -> list[str]:
    """What the marks in the rows mean."""
    if not any(row.info.aux for row in shown):
        return []
    return ["* in training only: parameters are in the totals, MACs and activations are not"]


def field(sizes: Sequence[int]) -> str:
    """A receptive field: one number where all axes agree, `-` for a network without spatial axes.

    Beyond MOST positions it is `all`: each squeeze over the whole map multiplies the field.
    """
    if not sizes:
        return "-"
    texts = [str(size) if size <= MOST else "all" for size in sizes]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def humanised(number: int) -> str:
    """A count in thousands, millions, ...: `714.2 M`, `1.81 G`; exact under a thousand."""
    return _scaled(number, ("", " K", " M", " G", " T", " P"))


def memory(number: int) -> str:
    """Bytes in units of 1000: `784.0 KB`, `1.50 MB`."""
    return _scaled(number, (" B", " KB", " MB", " GB", " TB", " PB"))


def _scaled(number: int, units: Sequence[str]) -> str:
    if number < 1000:
        return f"{number}{units[0]}"
    value, unit = float(number), 0
    while value >= 1000 and unit < len(units) - 1:
        value, unit = value / 1000, unit + 1
    digits = 2 if value < 100 else 1
    if round(value, digits) >= 1000 and unit < len(units) - 1:
        value, unit, digits = value / 1000, unit + 1, 2
    return f"{value:,.{digits}f}{units[unit]}"


def batch_lines(network: Network, batch: int, precision: Precision | None) -> list[tuple[str, str]]:
    """The memory that PyTorch needs for a batch, as names and strings."""
    training = network.training_memory(batch=batch, precision=precision)
    inference = network.peak_in_pytorch
    names = ("activations", "gradients", "optimizer", "parameters")
    parts = [f"{name} {memory(getattr(training, name))}" for name in names]
    step = f"{memory(training.peak)} for a batch of {batch:,} in {training.precision}"
    return [
        ("PyTorch inference", f"{memory(batch * inference.bytes)} for a batch of {batch:,}, at {inference.at}"),
        ("PyTorch training", f"{step}, {training.phase} at {training.at}"),
        ("of that", ", ".join(parts)),
    ]
