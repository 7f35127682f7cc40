"""Specs with their expectations: `accept/` builds, `reject/CODE/` does not and says why, `warn/CODE/` is warned of.

ARCHDSL_UPDATE=1 writes the messages of `reject/` and `warn/` again; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import archdsl
from archdsl.diagnostics import CODES, Diagnostic, SpecError, load_all
from archdsl.diagnostics.render import render_text
from archdsl.elaborate import check_source, elaborate, load_module, read
from archdsl.text.source import Source
from archdsl.zoo import specs_folder

HERE = Path(__file__).parent
ACCEPT = sorted((HERE / "accept").rglob("*.arch"))
REJECT = sorted((HERE / "reject").glob("E*/*.arch"))
WARN = sorted((HERE / "warn").glob("W*/*.arch"))

load_all()
#: Codes that no text of a spec gives: they come from paths, options, data, weights and machines.
WITHOUT_SPEC = {
    "E003", "E005", "E007", "E009", "E492",
    *(code for code in CODES if "E611" <= code < "E660" and code not in {"E625", "E647"}),
    *(code for code in CODES if code.startswith(("E7", "E8"))),
}  # fmt: skip


def expectations(path: Path) -> dict[str, str]:
    """The `key: value` pairs of the first comment."""
    line = path.read_text().partition("\n")[0]
    return dict(re.findall(r"(\w+): ([^,]+(?:, (?!\w+: )[^,]+)*)", line.removeprefix("# ")))


def errors_of(source: Source, path: Path | None = None) -> tuple[Diagnostic, ...]:
    """What `check` says, and what a command that needs a model says of a text that `check` accepts."""
    found = check_source(source, path).errors
    if found:
        return tuple(found)
    try:
        elaborate(load_module(source, path))
    except SpecError as error:
        return error.diagnostics
    return ()


@pytest.mark.parametrize("path", ACCEPT, ids=lambda path: path.stem)
def test_accepted(path: Path) -> None:
    expected = expectations(path)
    network = archdsl.load(path, model=expected.get("model"))
    assert network.params == int(expected["params"])
    assert str(network.output_shape) == expected["output"]
    if "keys" in expected:
        assert list(network.state) == expected["keys"].split()
    if "outputs" in expected:
        outputs = sorted(f"{name} {shape}" for name, shape in network.output_shapes.items())
        assert outputs == sorted(expected["outputs"].split(", "))
    assert check_source(read(path), path)[0] == []


@pytest.mark.parametrize("path", REJECT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_rejected(path: Path) -> None:
    shown = f"{path.stem}.arch"
    source = Source(shown, read(path).text)
    found = errors_of(source, path)
    assert {one.code for one in found} == {path.parent.name}
    compare(render_text(found) + "\n", path.with_suffix(".txt"))


@pytest.mark.parametrize("path", WARN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_warned(path: Path) -> None:
    """Each line that ends in the comment `# warns` has a warning, and no other line has one."""
    found = warnings_of(Source(f"{path.stem}.arch", read(path).text), path)
    assert {one.code for one in found} == {path.parent.name}
    marked = {i for i, line in enumerate(path.read_text().splitlines(), 1) if line.endswith("# warns")}
    assert {one.span.line for one in found if one.span is not None} == marked
    compare(render_text(found) + "\n", path.with_suffix(".txt"))


def warnings_of(source: Source, path: Path | None = None) -> tuple[Diagnostic, ...]:
    """What `check` warns of in a text without errors."""
    checked = check_source(source, path)
    assert checked.errors == []
    return tuple(checked.warnings)


def compare(report: str, expected: Path) -> None:
    """Compare a report with its file, or write it."""
    if os.environ.get("ARCHDSL_UPDATE") == "1":
        expected.write_text(report)
    assert report == expected.read_text()


@pytest.mark.parametrize("path", sorted(specs_folder().glob("*.arch")), ids=lambda path: path.stem)
def test_no_spec_of_the_zoo_is_warned_of(path: Path) -> None:
    assert [str(one.span) for one in warnings_of(read(path), path) if one.code != "W005"] == []


def test_every_code_of_specs_has_a_rejected_one() -> None:
    codes = {path.parent.name for path in REJECT}
    assert codes | {path.parent.name for path in WARN} == set(CODES) - WITHOUT_SPEC


def test_every_message_belongs_to_a_spec() -> None:
    assert {path.with_suffix(".arch") for path in HERE.glob("reject/E*/*.txt")} == set(REJECT)
    assert {path.with_suffix(".arch") for path in HERE.glob("warn/W*/*.txt")} == set(WARN)


@pytest.mark.parametrize("code", sorted(CODES))
def test_explanation(code: str) -> None:
    problem = CODES[code]
    assert "\n\n" in (problem.__doc__ or "")
    assert bool(problem.wrong) == bool(problem.right)
    if problem.wrong:
        found = errors_of if problem.severity == "error" else warnings_of
        assert [one.code for one in found(Source("wrong.arch", problem.wrong))] == [code]
        assert found(Source("right.arch", problem.right)) == ()


def test_codes_of_specs_have_examples() -> None:
    from_other_files = {"E002", "E004", "E006"}
    without = {code for code, problem in CODES.items() if not problem.wrong}
    assert without <= WITHOUT_SPEC | from_other_files
