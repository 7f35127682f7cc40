"""docs/tutorial.md is run as it stands, in about ten seconds of processor time."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl.cli.app import command_names
from tests.docs.page import COMMAND, DOCS, run_page


def test_the_page_does_what_it_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_page("tutorial.md", capsys)
    assert (folder / "runs" / "tiny" / "report.html").stat().st_size > 10_000


def test_every_command_is_on_the_page() -> None:
    commands = COMMAND.findall((DOCS / "tutorial.md").read_text("utf-8"))
    # The script of `completion`, the texts of `help` and a server are not for a page.
    assert {command.split()[0] for command, _ in commands} == set(command_names()) - {"completion", "help", "lsp"}
