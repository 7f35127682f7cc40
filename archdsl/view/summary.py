"""What a network amounts to, layer by layer: rows for tables, and the JSON, CSV and Markdown forms.

The JSON form is a public contract (docs/json.md). The table itself is drawn by `archdsl.view.tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.graph import AnyNode
from archdsl.graph.lower import is_scope

if TYPE_CHECKING:
    from archdsl.graph.network import LayerInfo, Network
    from archdsl.shapes import Shape

MEBIBYTE = 1024**2


class Row(NamedTuple):
    """A layer, a scope whose inside is not shown (its figures are sums), or the header of one whose inside is.

    name     the state_dict prefix; `label` is its part inside the scope, `level` the scopes around it and 1
    header   the figures are those of the rows that follow, one level deeper
    receptive_field  the largest inside
    shared   runs on the weights of an earlier row
    aux      runs in training only: its MACs and activations are not in the totals
    """

    name: str
    label: str
    level: int
    kind: str
    input: Shape
    output: Shape
    params: int
    trainable_params: int
    macs: int
    param_bytes: int
    buffer_bytes: int
    activation_bytes: int
    receptive_field: tuple[int, ...]
    line: int
    header: bool = False
    shared: bool = False
    aux: bool = False

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return 2 * self.macs


def rows(network: Network, depth: int | None = None) -> list[Row]:
    """The rows of the table in execution order; scopes nested deeper than `depth` are summed up in theirs."""
    layers = iter(network.layers)
    scopes: list[str] = []
    inside: list[list[Row]] = [[]]
    for step in network.program.steps:
        if step.op == "layer":
            inside[-1].append(_row(step.node, [next(layers)], scopes))
        elif step.op == "enter" and is_scope(step.node):
            scopes.append(step.node.name)
            inside.append([])
        elif step.op == "exit" and is_scope(step.node):
            scopes.pop()
            inner = inside.pop()
            inside[-1] += _scope_rows(step.node, inner, scopes, depth)
    return inside[0]


def _scope_rows(node: AnyNode, inner: list[Row], scopes: Sequence[str], depth: int | None) -> list[Row]:
    """The rows of a scope: a header and those inside, or one with the sums of those."""
    if not inner:
        return []
    leaves = [row for row in inner if not row.header]
    if depth is not None and len(scopes) + 1 >= depth:
        return [_row(node, leaves, scopes)]
    return [_row(node, leaves, scopes, header=True), *inner]


def _row(node: AnyNode, parts: Sequence[LayerInfo | Row], scopes: Sequence[str], *, header: bool = False) -> Row:
    """One row for `parts`. Auxiliary parts of a scope that is not auxiliary itself add parameters only."""
    aux = all(part.aux for part in parts)
    running = [part for part in parts if aux or not part.aux]
    return Row(
        name=node.name,
        label=node.name.removeprefix(f"{scopes[-1]}.") if scopes else node.name,
        level=len(scopes) + 1,
        kind=node.kind,
        input=node.input,
        output=node.output,
        params=sum(part.params for part in parts),
        trainable_params=sum(part.trainable_params for part in parts),
        macs=sum(part.macs for part in running),
        param_bytes=sum(part.param_bytes for part in parts),
        buffer_bytes=sum(part.buffer_bytes for part in parts),
        activation_bytes=sum(part.activation_bytes for part in running),
        receptive_field=tuple(map(max, zip(*(part.receptive_field for part in running), strict=True))),
        line=node.span.line,
        header=header,
        shared=all(part.shared for part in parts),
        aux=aux,
    )


def as_dict(network: Network) -> dict[str, Any]:
    """The summary as JSON's types; the keys are a public contract (docs/json.md)."""
    shapes = network.output_shapes
    outputs = {name: list(shape) for name, shape in shapes.items()}
    return {
        "model": network.name,
        "input": list(network.input_shape),
        "output": list(network.output_shape),
        **({"outputs": outputs} if len(outputs) > 1 else {}),
        "params": network.params,
        "trainable_params": network.trainable_params,
        "macs": network.macs,
        "flops": network.flops,
        "param_bytes": network.param_bytes,
        "buffer_bytes": network.buffer_bytes,
        "activation_bytes": network.activation_bytes,
        "layers": [_layer_dict(layer) for layer in network.layers],
    }


def _layer_dict(layer: LayerInfo) -> dict[str, Any]:
    marks = {"shared": layer.shared, "aux": layer.aux}
    return {
        "name": layer.name,
        "kind": layer.kind,
        "input": list(layer.input),
        "output": list(layer.output),
        "params": layer.params,
        "macs": layer.macs,
        "receptive_field": list(layer.receptive_field),
        "line": layer.line,
        **{key: True for key, present in marks.items() if present},
    }


def to_json(network: Network) -> str:
    """One JSON object, every layer on a line of its own."""
    import json

    summary = as_dict(network)
    layers = ",\n".join(f"    {json.dumps(layer, ensure_ascii=False)}" for layer in summary.pop("layers"))
    head = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in summary.items()]
    listed = f"[\n{layers}\n  ]" if layers else "[]"
    return "{\n" + ",\n".join([*head, f'  "layers": {listed}']) + "\n}"


CSV_COLUMNS = (
    "name",
    "kind",
    "input",
    "output",
    "params",
    "trainable_params",
    "macs",
    "flops",
    "param_bytes",
    "buffer_bytes",
    "activation_bytes",
    "receptive_field",
    "line",
    "shared",
    "aux",
)


#: Columns of the table that have another name here, with their exact figures.
CSV_NAMES = {"trainable": "trainable_params", "memory": "activation_bytes", "field": "receptive_field"}


def to_csv(network: Network, depth: int | None = None, columns: Sequence[str] = ()) -> str:
    """A line of column names and a line for each layer (or summed scope), exact integers, shapes as `3x224x224`.

    `columns` are names of the table's columns; all of CSV_COLUMNS where there are none.
    """
    import csv
    from io import StringIO

    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [CSV_NAMES.get(name, name) for name in columns] or CSV_COLUMNS
    writer.writerow(names)
    for row in rows(network, depth):
        if not row.header:
            writer.writerow([_csv_cell(getattr(row, name)) for name in names])
    return text.getvalue().rstrip("\n")


def _csv_cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


#: The columns of the Markdown table besides the layer's name.
MARKDOWN_COLUMNS: dict[str, Callable[[Row], str]] = {
    "kind": lambda row: row.kind,
    "output": lambda row: str(row.output),
    "params": lambda row: figures(row)[0],
    "MACs": lambda row: figures(row)[1],
    "memory": lambda row: figures(row)[2],
    "field": lambda row: figures(row)[3],
}


def to_markdown(
    network: Network, depth: int | None = None, columns: Mapping[str, Callable[[Row], str]] | None = None
) -> str:
    """A table as GitHub shows it, with full names, and the totals as a list below.

    `columns` are those besides the layer's name: what makes each one's cell, by its title.
    """
    shown = MARKDOWN_COLUMNS if columns is None else columns
    aligned = [":---", *(":---" if title == "kind" else "---:" for title in shown)]
    lines = [f"| {' | '.join(cells)} |" for cells in (["layer", *shown], aligned)]
    leaves = [row for row in rows(network, depth) if not row.header]
    for row in leaves:
        star = r"\*" if row.aux else ""
        cells = [f"`{row.name}`{star}", *(cell(row) for cell in shown.values())]
        lines.append(f"| {' | '.join(cells)} |")
    totals = [f"- {name}: {value}" for name, value in total_lines(network)]
    notes = ["", *footnotes(leaves)]
    below = [line.replace("*", r"\*") for line in [*totals, *notes]]
    return "\n".join([f"## {network.name}", "", *lines, "", *below]).rstrip("\n")


def figures(row: Row) -> list[str]:
    """The cells for parameters, MACs, activation memory and receptive field."""
    params = "(shared)" if row.shared and not row.params else f"{row.params:,}"
    return [params, humanised(row.macs), memory(row.activation_bytes), field(row.receptive_field)]


def field(sizes: Sequence[int]) -> str:
    """A receptive field: one number where all axes agree, `-` for a network without spatial axes."""
    if not sizes:
        return "-"
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def total_lines(network: Network) -> list[tuple[str, str]]:
    """The totals below the table, as names and texts. MACs and activations are those of eval mode, for one input."""
    trainable = "all trainable"
    if network.trainable_params != network.params:
        trainable = f"{network.trainable_params:,} trainable"
    size = megabytes(network.param_bytes)
    if network.buffer_bytes:
        size += f", {megabytes(network.param_bytes + network.buffer_bytes)} with buffers"
    aux = {node.output_name: " *" for node in network.aux}
    outputs = [f"{name} {shape}{aux.get(name, '')}" for name, shape in network.output_shapes.items()]
    return [
        ("Parameters", f"{network.params:,} ({trainable})"),
        ("Parameter memory", size),
        ("MACs", f"{humanised(network.macs)} ({network.macs:,})"),
        ("FLOPs", f"{humanised(network.flops)} (two for each multiply-add)"),
        ("Activation memory", f"{memory(network.activation_bytes)} for one input"),
        ("Input", f"{network.input_shape} ({network.input_shape.numel:,} values)"),
        ("Output", ", ".join(outputs) if len(outputs) > 1 else str(network.output_shape)),
    ]


def footnotes(shown: Iterable[Row]) -> list[str]:
    """What the marks in the rows mean."""
    if not any(row.aux for row in shown):
        return []
    return ["* in training only: parameters are in the totals, MACs and activations are not"]


def megabytes(number: int) -> str:
    """Bytes as MB of 1024*1024, with two digits: `22.33 MB`."""
    return f"{number / MEBIBYTE:,.2f} MB"


def humanised(number: int) -> str:
    """A count in thousands, millions, ...: `714.2 M`, `1.81 G`; exact under a thousand."""
    return _scaled(number, 1000, ("", " K", " M", " G", " T", " P"))


def memory(number: int) -> str:
    """Bytes in units of 1024: `784.0 KB`, `1.50 MB`."""
    return _scaled(number, 1024, (" B", " KB", " MB", " GB", " TB", " PB"))


def _scaled(number: int, base: int, units: Sequence[str]) -> str:
    if number < base:
        return f"{number}{units[0]}"
    value, unit = float(number), 0
    while value >= base and unit < len(units) - 1:
        value, unit = value / base, unit + 1
    digits = 2 if value < 100 else 1
    if round(value, digits) >= base and unit < len(units) - 1:
        value, unit, digits = value / base, unit + 1, 2
    return f"{value:,.{digits}f}{units[unit]}"
