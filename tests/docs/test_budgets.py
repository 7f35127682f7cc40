"""docs/budgets.md is run as it stands; its table has every figure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archdsl.graph.requirements import FIGURES
from tests.docs.page import DOCS, run_page


def test_the_page_does_what_it_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_page("budgets.md", capsys)


def test_every_figure_is_on_the_page() -> None:
    table = (DOCS / "budgets.md").read_text("utf-8").partition("| figure | meaning |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line]
    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == [*FIGURES]
