"""`%%arch` in IPython: the variable, what is shown, and errors as reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import archdsl

CELL = "model small(classes = 2) {\n  input(1x8x8)\n  flatten\n  linear(classes)\n}\nmodel wide = small(classes=9)\n"


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """A shell with the extension."""
    found = InteractiveShell.instance()
    found.run_line_magic("load_ext", "archdsl")
    yield found
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    ("line", "name", "output"),
    [("", "small", 2), ("net", "net", 2), ("--model wide", "wide", 9), ("net --set classes=7", "net", 7)],
)
def test_a_cell_is_a_network(shell: Any, line: str, name: str, output: int) -> None:
    shown = shell.run_cell_magic("arch", line, CELL)
    assert isinstance(shown, archdsl.Network)
    assert shell.user_ns[name] is shown
    assert list(shown.output_shape) == [output]
    assert "<table" in str(shown._repr_html_())


@pytest.mark.parametrize(
    ("line", "cell", "message"),
    [
        ("", CELL.replace("linear", "linaer"), "did you mean `linear`?"),
        ("--set clases=3", CELL, "did you mean `classes`?"),
        ("--set epochs=3", CELL, "E717"),
        ("--model narrow", CELL, "narrow"),
        ("--sett classes=3", CELL, "unrecognized arguments: --sett"),
        ("--set classes", CELL, "is not KEY=VALUE"),
    ],
)
def test_a_mistake_is_a_report(
    shell: Any, capsys: pytest.CaptureFixture[str], line: str, cell: str, message: str
) -> None:
    assert shell.run_cell_magic("arch", f"broken {line}", cell) is None
    assert message in capsys.readouterr().err
    assert "broken" not in shell.user_ns
