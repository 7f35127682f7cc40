"""The difference of two networks as a table, JSON and Markdown. The JSON form is a public contract (docs/json.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any

from archdsl.arguments.values import spec_text
from archdsl.diagnostics.render import plural
from archdsl.diff import Change, Difference, Fit
from archdsl.diff.names import scopes, shortened
from archdsl.graph import Use
from archdsl.graph.network import Network
from archdsl.shapes import Shape
from archdsl.view.rows import field, humanised, memory
from archdsl.view.tables import Column, draw, wrapped

SIGNS = {"added": "+", "removed": "-", "changed": "~", "renamed": ">"}
#: The totals as they are shown.
SHOWN: Mapping[str, tuple[str, Callable[[int], str]]] = {
    "params": ("Parameters", "{:,}".format),
    "trainable_params": ("Trainable", "{:,}".format),
    "macs": ("MACs", humanised),
    "param_bytes": ("Parameter memory", memory),
    "activation_bytes": ("Activation memory", memory),
    "peak_memory": ("Peak memory", memory),
}
#: Numbers of which the first four digits are shown, if these differ.
LONG = re.compile(r"\d+\.\d{5,}(e[+-]?\d+)?")
#: Longer lists end with how many more there are.
MOST = 12


def draw_diff(found: Difference, titles: Sequence[str], *, file: IO[str], width: int) -> None:
    """Draw the tables of changes and totals, and what becomes of a checkpoint. `titles` are the names of the two."""
    file.write(f"{titles[0]} -> {titles[1]}\n\n")
    if found.is_empty:
        file.write("the networks are the same\n")
        return
    rows = change_rows(found)
    if rows:
        columns = [Column(""), Column("layer", fold=16), Column("change", fold=24), Column("params", right=True)]
        draw(columns, rows, file=file, width=width)
        file.write("\n")
    names = [*titles, "change"]
    columns = [Column("", fold=9), *(Column(name, right=True, fold=9) for name in names)]
    draw(columns, totals(found), file=file, width=width)
    for lines in (shape_lines(found), checkpoint_lines(found.fit, titles)):
        if lines:
            file.write("\n" + "\n".join(part for line in lines for part in wrapped(line, width)) + "\n")


def titles_of(old: Network, new: Network) -> list[str]:
    """The names of two models, with the settings in which they differ if the names are the same."""
    if old.name != new.name:
        return [old.name, new.name]
    other = [name for name, value in new.settings.items() if old.settings.get(name) != value]
    return [_titled(network, other) for network in (old, new)]


def _titled(network: Network, settings: Sequence[str]) -> str:
    given = [f"{name}={spec_text(network.settings[name])}" for name in settings if name in network.settings]
    return f"{network.name}({', '.join(given)})" if given else network.name


# Changes


def change_rows(found: Difference) -> list[list[str]]:
    """A row for each change: its sign, where it is, what it is, and the parameters it adds or saves."""
    rows = [
        [SIGNS[one.action], where(one), what(one), f"{one.params:+,}" if one.params else ""] for one in found.changes
    ]
    return rows or ([["", "", "no layer differs in its type or arguments", ""]] if found.shapes else [])


def where(change: Change) -> str:
    """The names of the parts in short form; `stem.0 -> stem.1` for a part that was renamed."""
    names = [_repeated(name, change) for name in shortened([part.name for part in change.parts])]
    text = ", ".join(names) or "(the model)"
    old = change.old[0].name if change.old else ""
    return f"{old} -> {text}" if change.new and change.old and old != change.new[0].name else text


def _repeated(name: str, change: Change) -> str:
    """A name with the scopes in which the change is the same: `layer1.{1..2}.conv1`."""
    for scope in sorted(change.repeats, key=lambda names: len(names[0]), reverse=True):
        if name == scope[0] or name.startswith(f"{scope[0]}."):
            name = ", ".join(shortened(scope)) + name[len(scope[0]) :]
    return name


def what(change: Change) -> str:
    """What has changed, in words."""
    part = change.parts[0]
    match change.action:
        case "renamed":
            return "renamed" if change.fits else "renamed, with weights of another shape"
        case "changed":
            facts = ", ".join(_fact(name, old, new) for name, (old, new) in change.facts.items())
            return facts if "" in change.facts else f"{part.kind}: {facts}"
    if part.is_layer:
        shapes = {(one.node.input, one.node.output) for each in change.everywhere for one in each.parts}
        return f"{part.kind}, {part.node.input} -> {part.node.output}" if len(shapes) == 1 else part.kind
    if isinstance(part.node, Use):
        return f"use({part.node.tap.name})"
    count = len(change.parts)
    more = {"added": "more ", "removed": "fewer "}[change.action] if change.more else ""
    noun = f"{count} {more}{part.kind}{'s' * (count > 1)}" if count > 1 or more else part.kind
    layers = plural(change.count // len(change.everywhere), "layer")
    if change.around:
        ends = list(dict.fromkeys((change.around[0].name, change.around[-1].name)))
        around = f"around {' to '.join(ends)}"
        return f"{noun} {around}" + (f", with {layers} more" if change.layers else "")
    return f"{noun}, {layers}"


def _fact(name: str, old: str | None, new: str | None) -> str:
    """`kernel_size 3 -> 5`; the name is empty for the type itself."""
    if old is None or new is None:
        return f"{name} {new}" if old is None else f"{name} {old} -> default"
    short = [LONG.sub(lambda found: f"{float(found[0]):.4g}", value) for value in (old, new)]
    old, new = short if short[0] != short[1] else (old, new)
    return f"{name} {old} -> {new}".lstrip()


# Totals


def totals(found: Difference) -> list[list[str]]:
    """The rows of the totals: name, old value, new value and what it changes by."""
    rows = []
    for name, (title, text) in SHOWN.items():
        old, new = found.totals[name]
        if name != "trainable_params" or (old, new) != found.totals["params"]:
            rows.append([title, text(old), text(new), _change(old, new, text)])
    old_field, new_field = found.fields
    if old_field or new_field:
        rows.append(["Receptive field", field(old_field), field(new_field), ""])
    for title, both in (("Input", (found.old.inputs, found.new.inputs)), ("Output", _outputs(found))):
        rows.append([title, *(_shapes(shapes) for shapes in both), ""])
    return rows


def _outputs(found: Difference) -> tuple[Mapping[str, Shape], Mapping[str, Shape]]:
    return found.old.output_shapes, found.new.output_shapes


def _shapes(shapes: Mapping[str, Shape]) -> str:
    """The shape of the only input or output, or all with their names."""
    return ", ".join(f"{name} {shape}" if len(shapes) > 1 else str(shape) for name, shape in shapes.items())


def _change(old: int, new: int, text: Callable[[int], str]) -> str:
    if old == new:
        return ""
    percent = f"{100 * (new - old) / old:+.1f}" if old else ""
    share = f" ({percent} %)" if percent.strip("+-0.") else ""
    return f"{'+' if new > old else '-'}{text(abs(new - old))}{share}"


# Shapes and checkpoints


def shape_lines(found: Difference) -> list[str]:
    """How many layers of both networks have another output shape, and the first of them."""
    if not found.shapes:
        return []
    first = found.shapes[0]
    count = plural(len(found.shapes), "layer")
    have = "has" if len(found.shapes) == 1 else "have"
    more = "" if len(found.shapes) == 1 else ", ..."
    return [f"{count} of both networks {have} another output: {first.name} {first.old} -> {first.new}{more}"]


def checkpoint_lines(fit: Fit, titles: Sequence[str]) -> list[str]:
    """What becomes of a checkpoint of the first network in the second one."""
    verb = {"loads": "loads into", "loads with strict=False": "loads into", "does not load": "does not load into"}
    rest = " with strict=False" if fit.verdict == "loads with strict=False" else ""
    counts = {"missing": fit.missing, "unexpected": fit.unexpected, "of another shape": fit.other_shape}
    entries = f"{len(fit.kept):,} {'entry' if len(fit.kept) == 1 else 'entries'} kept"
    listed = ", ".join([entries, *(f"{len(keys):,} {word}" for word, keys in counts.items() if keys)])
    old, new = {*fit.kept, *fit.unexpected, *fit.other_shape}, {*fit.kept, *fit.missing, *fit.other_shape}
    other = [f"{key} {one} -> {two}" for key, (one, two) in fit.other_shape.items()]
    groups = {
        "missing": scopes(fit.missing, new),
        "unexpected": scopes(fit.unexpected, old),
        "other shape": other,
    }
    width = max(map(len, groups))
    lines = [f"  {word:<{width}}  {text}" for word, names in groups.items() for text in _first(names)]
    return [f"A checkpoint of {titles[0]} {verb[fit.verdict]} {titles[1]}{rest}: {listed}.", *lines]


def _first(names: Sequence[str]) -> Iterable[str]:
    yield from names[:MOST]
    if len(names) > MOST:
        yield f"and {len(names) - MOST:,} more"


# Formats for other programs


def to_markdown(found: Difference, titles: Sequence[str]) -> str:
    """The tables as GitHub shows them, for a pull request."""
    lines = [f"## {titles[0]} -> {titles[1]}", ""]
    if found.is_empty:
        return "\n".join([*lines, "The networks are the same."])
    rows = [[sign, f"`{name}`" if name else "", text, params] for sign, name, text, params in change_rows(found)]
    if rows:
        lines += [*_table(["", "layer", "change", "params"], [":---", ":---", ":---", "---:"], rows), ""]
    lines += [*_table(["", *titles, "change"], [":---", "---:", "---:", "---:"], totals(found)), ""]
    lines += [f"{line}\n" for line in shape_lines(found)]
    summary, *rest = checkpoint_lines(found.fit, titles)
    lines += [summary]
    return "\n".join([*lines, *([""] if rest else []), *(f"- {' '.join(line.split())}" for line in rest)])


def _table(titles: Sequence[str], aligned: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (titles, aligned, *escaped)]


def to_dict(found: Difference) -> dict[str, Any]:
    """The difference for JSON: what was added, removed, changed and renamed, shapes, totals and the checkpoint."""
    fit = found.fit
    return {
        "old": _network(found, 0),
        "new": _network(found, 1),
        "changes": [_change_dict(change) for change in found.changes],
        "inputs": {name: {"old": _tensor(old), "new": _tensor(new)} for name, (old, new) in found.inputs.items()},
        "outputs": {name: {"old": _tensor(old), "new": _tensor(new)} for name, (old, new) in found.outputs.items()},
        "shapes": [{"name": one.name, "old": one.old, "new": one.new} for one in found.shapes],
        "checkpoint": {
            "verdict": fit.verdict,
            "kept": fit.kept,
            "missing": fit.missing,
            "unexpected": fit.unexpected,
            "other_shape": {key: {"old": old, "new": new} for key, (old, new) in fit.other_shape.items()},
        },
    }


def _network(found: Difference, side: int) -> dict[str, Any]:
    network = (found.old, found.new)[side]
    return {
        "model": network.name,
        "inputs": {name: _tensor(shape) for name, shape in network.inputs.items()},
        "outputs": {name: _tensor(shape) for name, shape in network.output_shapes.items()},
        **{name: pair[side] for name, pair in found.totals.items()},
        "receptive_field": found.fields[side],
    }


def _tensor(shape: Shape | None) -> dict[str, Any] | None:
    return None if shape is None else {"shape": list(shape), "dtype": shape.dtype}


def _change_dict(change: Change) -> dict[str, Any]:
    """One change; where it is the same in several scopes, with the names in all of them."""
    return {
        "change": change.action,
        "kind": change.parts[0].kind,
        "old": change.old_names,
        "new": change.new_names,
        "facts": {name or "kind": {"old": old, "new": new} for name, (old, new) in change.facts.items()},
        "layers": change.count,
        "params": change.params,
    }
