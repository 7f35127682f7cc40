"""Every command and option is in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archdsl.cli.app import application, command_names

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "\n".join(page.read_text("utf-8") for page in sorted(DOCS.glob("*.md")) if page.name != "decisions.md")


@pytest.mark.parametrize("name", command_names())
def test_each_option_is_in_a_page(name: str) -> None:
    command = application([name]).get_command(None, name)
    options = [one for one in command.params if one.param_type_name == "option" and not getattr(one, "hidden", False)]
    words = {option: max(option.opts, key=len) for option in options}
    missing = [word for word in words.values() if not re.search(rf"{word}(?![\w-])", PAGES)]
    assert not missing


def test_the_list_of_commands_is_whole() -> None:
    rows = re.findall(r"^\| `(\w+)", (DOCS / "cli.md").read_text("utf-8").partition("## ")[0], re.MULTILINE)
    assert sorted(rows) == sorted(command_names())
