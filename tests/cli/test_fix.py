"""`check --fix` and `fmt --diff`: what they change, and what they leave."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import Diagnostic, Help
from archdsl.elaborate import check_source, load_module, models_in, read
from archdsl.elaborate.fix import fix
from archdsl.text.source import Source
from tests.test_golden import REJECT, WARN, errors_of

Capture = pytest.CaptureFixture[str]

WRONG = """\
model net(classes = 10) {
  input(3 x 8 x 8)
  let unused = 4
  let a, b = (8, 2)
  conv(8 3, padding: 1) -> tap  # kept
  # also kept
  if channels = 8 && true { relu } elif false { tanh }
  flatten; let c = 3; linear(classes * a)
}
"""
RIGHT = """\
model net(classes = 10) {
  input(3x8x8)
  let a, _ = (8, 2)
  conv(8, 3, padding=1)  # kept
  # also kept
  if channels == 8 and true { relu } else if false { tanh }
  flatten; linear(classes * a)
}
"""


def problems(source: Source) -> list[Diagnostic]:
    found = check_source(source)
    return [*found.errors, *found.warnings]


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("net.arch")
    path.write_text(WRONG)
    return path


def test_all_that_is_certain_is_fixed(wrong: Path, capsys: Capture) -> None:
    assert main(["check", "net.arch", "--fix"]) == 0
    assert wrong.read_text() == RIGHT
    text = capsys.readouterr().out
    assert text == "checked 1 file with 1 model: no errors\nfixed 10 of 10 problems\n"
    assert main(["check", "net.arch", "--fix"]) == 0
    assert capsys.readouterr().out.endswith("fixed 0 of 0 problems\n")
    assert wrong.read_text() == RIGHT


def test_what_may_mean_something_else_is_left(wrong: Path, capsys: Capture) -> None:
    text = "model net(classes = 10, unused = 1) {\n  input(3x8x8)\n  cnov(8, 3, padding: 1)\n  batchnorm\n}\n"
    wrong.write_text(text)
    assert main(["check", "net.arch", "--fix"]) == 1
    assert wrong.read_text() == text.replace("padding: 1", "padding=1")
    found = capsys.readouterr().out
    assert "error[E201]" in found
    assert found.endswith("fixed 1 of 2 problems\n")
    assert main(["check", "net.arch", "--unsafe-fixes"]) == 0
    assert "  conv(8, 3, padding=1, bias=false)\n" in wrong.read_text()
    assert "unused = 1" in wrong.read_text()
    assert capsys.readouterr().out.endswith("fixed 2 of 4 problems\n")


def test_a_diff_writes_nothing(wrong: Path, capsys: Capture) -> None:
    assert main(["check", "net.arch", "--diff"]) == 1
    streams = capsys.readouterr()
    assert wrong.read_text() == WRONG
    assert streams.out.startswith(
        "--- net.arch\n+++ net.arch\n@@ -1,9 +1,8 @@\n model net(classes = 10) {\n-  input(3 x 8"
    )
    assert streams.err == "would fix 10 of 10 problems\n"
    main(["check", "net.arch", "--fix"])
    capsys.readouterr()
    assert main(["check", "net.arch", "--diff"]) == 0
    assert capsys.readouterr().out == ""


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(WRONG.encode())))
    assert main(["check", "-", "--fix"]) == 0
    assert capsys.readouterr().out == RIGHT


def test_json_has_what_is_left(wrong: Path, capsys: Capture) -> None:
    assert main(["check", "net.arch", "--fix", "--json", "--no-warnings"]) == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out) == []
    assert streams.err == "fixed 6 of 6 problems\n"
    assert "let unused" in wrong.read_text()


def test_line_ends_stay(wrong: Path) -> None:
    wrong.write_bytes(WRONG.replace("\n", "\r\n").encode())
    main(["check", "net.arch", "--fix"])
    assert wrong.read_bytes() == RIGHT.replace("\n", "\r\n").encode()


def test_an_imported_file_is_fixed_only_where_it_is_named(wrong: Path, capsys: Capture) -> None:
    Path("lib.arch").write_text("block b { relu // note\n}\n")
    wrong.write_text('import "lib.arch"\nmodel net { input(8); b }\n')
    assert main(["check", "net.arch", "--fix"]) == 1
    assert "// note" in Path("lib.arch").read_text()
    assert main(["check", ".", "--fix"]) == 0
    assert Path("lib.arch").read_text() == "block b { relu # note\n}\n"
    capsys.readouterr()


@pytest.mark.parametrize("path", ["lenet", "HEAD:specs/lenet.arch"])
def test_only_files_are_fixed(path: str, capsys: Capture) -> None:
    assert main(["check", path, "--fix"]) == 2
    assert "archdsl new NAME --from" in capsys.readouterr().err


def edits_of(path: Path) -> tuple[Source, list[tuple[Diagnostic, Help]]]:
    source = Source(f"{path.stem}.arch", read(path).text)
    found = errors_of(source, path) if path in REJECT else check_source(source, path).warnings
    return source, [(one, help) for one in found for help in one.suggestions if help.replacement is not None]


#: Without the limits, which take long to reach and have no edits.
WITH_EDITS = [path for path in (*REJECT, *WARN) if not path.parent.name.startswith("E5")]


@pytest.mark.parametrize("path", WITH_EDITS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_edit_fixes_its_problem(path: Path) -> None:
    """Also those that are not certain. A removed value may leave another of its name that is unused as well."""
    source, edits = edits_of(path)
    before = (errors_of(source, path) if path in REJECT else problems_at(source, path)) if edits else []
    for one, help in edits:
        assert help.span is not None
        text = source.text[: help.span.start] + str(help.replacement) + source.text[help.span.end :]
        after = Source(source.path, text)
        left = errors_of(after, path) if path in REJECT else problems_at(after, path)
        count = Counter((each.code, each.message) for each in before)[one.code, one.message]
        assert [(each.code, each.message) for each in left].count(
            (one.code, one.message)
        ) < count or not help.replacement
        if path in WARN:
            assert not any(each.severity == "error" for each in left)


def problems_at(source: Source, path: Path) -> list[Diagnostic]:
    found = check_source(source, path)
    return [*found.errors, *found.warnings]


def wiring(network: archdsl.Network) -> list[object]:
    """Each step of the network with the steps whose outputs it reads."""
    operations = network.program.operations
    made_by = {id(network.program.input): -1} | {id(out): i for i, one in enumerate(operations) for out in one.outputs}
    return [(one.op, one.node.name, *(made_by.get(id(each.source)) for each in one.inputs)) for one in operations]


@pytest.mark.parametrize("path", WARN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_fixed_warnings_leave_the_networks_as_they_are(path: Path, tmp_path: Path) -> None:
    source = read(path)
    fixed = fix(source, lambda source: problems_at(source, path))
    after = tmp_path / path.name
    after.write_text(fixed.text)
    for name in models_in(load_module(source, path)):
        before, now = archdsl.load(path, model=name), archdsl.load(after, model=name)
        assert before.state == now.state
        assert wiring(before) == wiring(now)
    if path.parent.name == "W001":
        assert fixed.number >= 5
        assert {one.code for one in fixed.left} == {"W001"}


def test_diff_of_fmt(wrong: Path, capsys: Capture) -> None:
    wrong.write_text("model m{relu}")
    assert main(["fmt", "--diff", "net.arch"]) == 1
    streams = capsys.readouterr()
    assert streams.out == (
        "--- net.arch\n+++ net.arch\n@@ -1 +1 @@\n-model m{relu}\n\\ No newline at end of file\n+model m { relu }\n"
    )
    assert streams.err == "would reformat net.arch\n"
    assert wrong.read_text() == "model m{relu}"
    assert main(["fmt", "--check", "--json", "net.arch"]) == 1
    assert json.loads(capsys.readouterr().out) == {"files": 1, "changed": ["net.arch"], "errors": []}
    assert main(["fmt", "--diff", "--json", "net.arch"]) == 2


def test_fmt_names_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"model m {")))
    assert main(["fmt", "-", "--stdin-filename", "sub/net.arch"]) == 1
    assert "--> sub/net.arch:1:" in capsys.readouterr().err
