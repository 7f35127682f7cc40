"""The summary of a network as a table, JSON, CSV and Markdown. The JSON form is a public contract (docs/json.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from archdsl.cards.folders import shown_spec
from archdsl.view.rows import COLUMNS, USUAL, Row, batch_lines, cells, footnotes, rows, total_lines
from archdsl.view.tables import draw, fits, wrapped

if TYPE_CHECKING:
    from archdsl.graph.network import LayerInfo, Network
    from archdsl.graph.training_memory import Precision

#: Shown after the MACs where the terminal has room for it.
WHERE_WIDE = "flops"
#: The totals in the JSON form.
TOTALS = ("params", "trainable_params", "macs", "flops", "param_bytes", "buffer_bytes", "activation_bytes")
#: The columns of the CSV form, which are attributes of a layer.
CSV_COLUMNS = ("name", "kind", "input", "output", *TOTALS, "receptive_field", "line", "shared", "aux")


class ForBatch(NamedTuple):
    """A batch whose memory is shown; without a precision in that of the recipe."""

    size: int
    precision: Precision | None = None


def to_json(network: Network, batch: ForBatch | None = None) -> str:
    """One JSON object, every layer on a line of its own."""
    import json

    outputs = {name: list(shape) for name, shape in network.output_shapes.items()}
    summary = {
        "model": network.name,
        "input": list(network.input_shape),
        **({"inputs": inputs_of(network)} if network.named_inputs else {}),
        "output": list(network.output_shape),
        **({"outputs": outputs} if len(outputs) > 1 else {}),
        **{name: getattr(network, name) for name in TOTALS},
        "peak_memory": network.peak_memory,
        "peak_at": network.peak.at,
        **(_memory_of(network, batch) if batch is not None else {}),
    }
    head = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in summary.items()]
    layers = ",\n".join(f"    {json.dumps(_layer(layer), ensure_ascii=False)}" for layer in network.layers)
    listed = f"[\n{layers}\n  ]" if layers else "[]"
    return "{\n" + ",\n".join([*head, f'  "layers": {listed}']) + "\n}"


def _memory_of(network: Network, batch: ForBatch) -> dict[str, Any]:
    """What PyTorch needs for a batch, as JSON's types."""
    inference, training = network.peak_in_pytorch, network.training_memory(batch=batch.size, precision=batch.precision)
    return {
        "inference": {"batch": batch.size, "peak": batch.size * inference.bytes, "at": inference.at},
        "training": training._asdict(),
    }


def inputs_of(network: Network) -> dict[str, Any]:
    """The named inputs as JSON's types: sizes and the type of the elements."""
    return {name: {"shape": list(shape), "dtype": shape.dtype} for name, shape in network.inputs.items()}


def _layer(layer: LayerInfo) -> dict[str, Any]:
    names = ("name", "kind", "input", "output", "params", "macs", "receptive_field", "line")
    return {name: getattr(layer, name) for name in names} | {
        name: True for name in ("shared", "aux") if getattr(layer, name)
    }


def to_csv(network: Network, depth: int | None = None, columns: Sequence[str] = ()) -> str:
    """A line of column names and a line for each layer (or summed scope), exact integers, shapes as `3x224x224`.

    `columns` are names of the table's columns; all of CSV_COLUMNS where there are none.
    """
    import csv
    from io import StringIO

    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [COLUMNS[name].attribute for name in columns] or CSV_COLUMNS
    writer.writerow(names)
    for row in rows(network, depth):
        if not row.header:
            writer.writerow([_csv_cell(getattr(row.info, name)) for name in names])
    return text.getvalue().rstrip("\n")


def _csv_cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def to_markdown(
    network: Network, depth: int | None = None, columns: Sequence[str] = (), batch: ForBatch | None = None
) -> str:
    """A table as GitHub shows it, with full names, and the totals as a list below. `columns` as in the table."""
    names = [name for name in columns or USUAL if name != "name"]
    titles = [COLUMNS[name].column.title for name in names]
    aligned = [":---", *(":---" if name == "kind" else "---:" for name in names)]
    leaves = [row for row in rows(network, depth) if not row.header]
    listed = [[f"`{row.info.name}`" + (r"\*" if row.info.aux else ""), *cells(row, names)] for row in leaves]
    lines = [f"| {' | '.join(line)} |" for line in (["layer", *titles], aligned, *listed)]
    totals = [f"- {name}: {value}" for name, value in _named_totals(network, batch)]
    below = [line.replace("*", r"\*") for line in [*totals, "", *footnotes(leaves)]]
    return "\n".join([f"## {network.name}", "", *lines, "", *below]).rstrip("\n")


def draw_summary(
    network: Network,
    *,
    file: IO[str],
    width: int,
    depth: int | None = None,
    columns: Sequence[str] = (),
    others: Sequence[str] = (),
    partial: bool = False,
    batch: ForBatch | None = None,
) -> None:
    """Draw the table with its totals. `columns` are names of COLUMNS, `others` the file's other models.

    A `partial` network has errors: a line that says so takes the place of its totals.
    """
    shown = rows(network, depth)
    names = list(columns) or _usual(network, shown, width)
    chosen = [COLUMNS[name].column for name in names]
    if columns:  # those that were asked for are never dropped
        chosen = [column._replace(drop=0) for column in chosen]
    file.write("\n".join([*wrapped(f"{network.title}  {shown_spec(network.path)}".rstrip(), width), "", ""]))
    faint = [i for i, row in enumerate(shown) if row.header]
    draw(chosen, [cells(row, names) for row in shown], file=file, width=width, faint=faint)
    below = (
        _totals(network, batch)
        if not partial
        else ["The spec has errors: these are the layers whose shapes are known."]
    )
    file.write("\n" + "\n".join([*below, *_footer(shown, others, width)]) + "\n")


def _usual(network: Network, shown: Sequence[Row], width: int) -> list[str]:
    """The usual columns, FLOPs too where they fit; a network without spatial axes has no receptive field."""
    names = [name for name in USUAL if name != "field" or any(shape.rank for shape in network.inputs.values())]
    at = names.index("macs") + 1
    wide = [*names[:at], WHERE_WIDE, *names[at:]]
    return wide if fits([COLUMNS[name].column for name in wide], [cells(row, wide) for row in shown], width) else names


def _named_totals(network: Network, batch: ForBatch | None) -> list[tuple[str, str]]:
    """The totals, with the memory of a batch where it is asked for."""
    return total_lines(network) + (batch_lines(network, batch.size, batch.precision) if batch is not None else [])


def _totals(network: Network, batch: ForBatch | None) -> list[str]:
    totals = _named_totals(network, batch)
    wide = max(len(name) for name, _ in totals)
    return [f"{name:<{wide}}  {text}" for name, text in totals]


def _footer(shown: Sequence[Row], others: Sequence[str], width: int) -> list[str]:
    notes = footnotes(shown)
    if others:
        notes += wrapped(f"Other models in this file (--model NAME): {', '.join(others)}", width)
    return ["", *notes] if notes else []
