"""Runs a page of the documentation: writes its files, runs its commands and scripts, and compares what they print.

A block `arch` is a file, whose first line names it (`# tiny.arch: ...`). A block `console` has commands with their
output. A block `python` is a script: what it prints stands in comments after its calls of `print`, or in a block
`text` after it. Numbers that depend on the machine (of training and what follows) are compared by their places only.
ARCHDSL_UPDATE=1 writes the outputs of the page again; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from archdsl.cli import main

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(arch|console|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ archdsl (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)

#: The commands whose numbers differ from machine to machine.
MEASURING = {"train", "eval", "predict", "compare", "report", "runs", "export", "verify"}


def comparable(command: str, output: str) -> str:
    """The output; of commands that measure something without its numbers and the widths of its columns."""
    if command.split(maxsplit=1)[0] not in MEASURING:
        return output
    output = re.sub(r"(?m)^(Device +\w+) .*$", r"\1", output)
    return re.sub(r"[ ─]+", " ", re.sub(r"(?<!\S)[\d.,:-]+(e[+-]?\d+)?[%s]?[,;]?(?!\S)", "0", output))


class Reader:
    """Does what a page says, in the current folder, and collects what was printed differently."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.wrong: list[tuple[str, str, str]] = []
        self.printed = ""

    def block(self, match: re.Match[str]) -> str:
        language, text = match.groups()
        return f"```{language}\n{getattr(self, language)(text)}```"

    def arch(self, text: str) -> str:
        name = re.match(r"# (\S+\.arch):", text)
        assert name is not None
        Path(name[1]).write_text(text, encoding="utf-8")
        return text

    def python(self, text: str) -> str:
        exec(text, {})
        self.printed = self.capsys.readouterr().out
        if comments := re.findall(r"^\s*print\(.*\)  # (.*)$", text, re.MULTILINE):
            self.text("".join(f"{line}\n" for line in comments))
        return text

    def text(self, expected: str) -> str:
        if self.printed != expected:
            self.wrong.append(("python", expected, self.printed))
        return self.printed

    def console(self, text: str) -> str:
        return COMMAND.sub(self.command, text)

    def command(self, match: re.Match[str]) -> str:
        command, expected = match.groups()
        main(shlex.split(command))
        captured = self.capsys.readouterr()
        output = "".join(f"{line.rstrip()}\n" for line in (captured.out + captured.err).rstrip().splitlines())
        if comparable(command, output) == comparable(command, expected):
            return match[0]
        self.wrong.append((command, expected, output))
        return f"$ archdsl {command}\n{output}"


def run_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Do in the current folder what a page says, and compare."""
    path = DOCS / name
    reader = Reader(capsys)
    page = BLOCK.sub(reader.block, path.read_text("utf-8"))
    if os.environ.get("ARCHDSL_UPDATE") == "1":
        path.write_text(page, encoding="utf-8")
        return
    for command, expected, output in reader.wrong:
        assert comparable(command, output) == comparable(command, expected), command
