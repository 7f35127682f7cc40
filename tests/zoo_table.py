"""Writes the tables of README.md and docs/zoo.md from the measurements of `./run zoo`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
MARK = "zoo"
ROW = r"^\| `(\w+)` \|.*\| ([\d.e+-]+) \| ([\d.e+-]+) \|$"


class Measured(NamedTuple):
    """The largest differences of a network's outputs from the reference, divided by the largest output (at least 1)."""

    name: str
    torch: float
    onnx: float


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--zoo-tables", action="store_true", help="write the tables of the zoo from what was measured")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--zoo-tables"):
        return
    reports = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    properties = (value for report in reports for name, value in report.user_properties if name == MARK)
    measured = {name: Measured(name, *differences) for name, *differences in properties}
    write_tables(earlier() | measured)
    terminalreporter.write_line(f"wrote the tables of {len(measured)} networks")


def earlier() -> dict[str, Measured]:
    """The rows of docs/zoo.md: a run of some networks keeps the others' rows."""
    rows = re.findall(ROW, (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {name: Measured(name, float(torch), float(onnx)) for name, torch, onnx in rows}


def write_tables(measured: dict[str, Measured]) -> None:
    """Write the table of families to README.md and that of networks to docs/zoo.md, between their marks."""
    for path, lines in ((ROOT / "README.md", by_family(measured)), (ROOT / "docs" / "zoo.md", by_network(measured))):
        text = path.read_text(encoding="utf-8")
        begin, end = f"<!-- {MARK}: begin -->", f"<!-- {MARK}: end -->"
        before, _, rest = text.partition(begin)
        path.write_text("\n".join([before + begin, *lines, end]) + rest.partition(end)[2], encoding="utf-8")


def by_network(measured: dict[str, Measured]) -> Iterator[str]:
    """A row for each network of the zoo that torchvision or timm has."""
    from archdsl import zoo
    from archdsl.cards.cards import cards

    yield "| network | parameters | GMACs | input | reference | torch | ONNX Runtime |"
    yield "| --- | ---: | ---: | ---: | --- | ---: | ---: |"
    for family in cards().values():
        for name, card in family.models.items():
            if name not in measured:
                continue
            network, (_, torch, onnx) = zoo.load(name), measured[name]
            size = "x".join(map(str, network.input_shape))
            reference = f"torchvision `{card.torchvision}`" if card.torchvision else f"timm `{card.timm}`"
            figures = f"{network.params:,} | {network.macs / 1e9:.3f} | {size}"
            yield f"| `{name}` | {figures} | {reference} | {torch:.1e} | {onnx:.1e} |"


def by_family(measured: dict[str, Measured]) -> Iterator[str]:
    """A row for each spec: how many of its networks were compared, and the largest differences among them."""
    from archdsl.cards.cards import cards

    yield "| spec | networks compared | reference | torch | ONNX Runtime |"
    yield "| --- | ---: | --- | ---: | ---: |"
    rows: dict[str, list[Measured]] = defaultdict(list)
    references: dict[str, str] = {}
    for stem, family in cards().items():
        for name, card in family.models.items():
            if name in measured:
                rows[stem].append(measured[name])
                references[stem] = "torchvision" if card.torchvision else "timm"
    for stem, found in rows.items():
        torch, onnx = max(each.torch for each in found), max(each.onnx for each in found)
        yield f"| [{stem}](specs/{stem}.arch) | {len(found)} | {references[stem]} | {torch:.1e} | {onnx:.1e} |"
