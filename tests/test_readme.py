"""The specs, commands and scripts of the README, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from archdsl.cli import main
from archdsl.cli.app import command_names

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


CONSOLE = dict(block.removeprefix("$ ").split("\n", 1) for block in blocks("console"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the README's specs under the names that their first lines give."""
    for spec in blocks("arch"):
        name = re.match(r"# (\S+\.arch):", spec)
        assert name is not None
        (tmp_path / name[1]).write_text(spec, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.mark.parametrize("command", CONSOLE)
def test_a_commands_output(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = command.split()
    assert program == "archdsl"
    code = main(arguments)
    assert capsys.readouterr().out.rstrip() == CONSOLE[command].rstrip()
    assert code == ("broken" in command)


def test_the_good_spec_is_in_form_and_has_a_sound_recipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "small.arch"]) == 0
    assert main(["fmt", "--check", "small.arch", "broken.arch"]) == 0


def test_the_scripts_run_in_their_order(folder: Path) -> None:
    """First the Python tour, which exports the file that the ONNX Runtime script then runs."""
    tour, runtime = blocks("python")
    done = subprocess.run([sys.executable, "-c", tour], capture_output=True, text=True, check=True, timeout=120)
    first, *layers = done.stdout.splitlines()
    printed = re.search(r"print\(net\.output_shape.*?# (.*)", tour)
    assert printed is not None
    assert first == printed[1]
    assert len(layers) == 26  # three of the stem, 6 and 7 and 7 of the units, three at the end
    done = subprocess.run([sys.executable, "-c", runtime], capture_output=True, text=True, check=True, timeout=60)
    assert len(re.findall(r"\d+", done.stdout)) == 7


def test_the_onnx_script_has_five_lines() -> None:
    assert len([line for line in blocks("python")[1].splitlines() if line]) == 5


def test_every_command_is_in_the_tour() -> None:
    tour = set(re.findall(r"^\| `archdsl (\w+)", README, re.MULTILINE))
    assert tour == set(command_names())


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md"), ROOT / "benchmarks" / "README.md"]


def anchors(page: Path) -> set[str]:
    """The fragments of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(((?!https?:)[^)\s]+)", page.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\((\w+\.md)\)", index))
