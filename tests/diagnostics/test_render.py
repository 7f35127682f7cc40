"""The renderer: marks are under the source they refer to, and formats for tools have all facts."""

import json
import re

import pytest
from syrupy.assertion import SnapshotAssertion

from archdsl.diagnostics import Diagnostic, Frame, Help, Note
from archdsl.diagnostics.codes.shapes import NoOutput, WrongRank
from archdsl.diagnostics.render import count, render_concise, render_github, render_json, render_text
from archdsl.text.source import Source, Span

TEXT = """\
# 日本語 comment
block b(n) {
\tconv(n, 5)   # a tab before it
  "日本語" oops
}
model m {
  input(3x4x4)
  residual {
    b(8)
    relu
  }
}
"""
SOURCE = Source("specs/x.arch", TEXT)
PROBLEM = NoOutput("conv", "height", 0, "(4 - 5) // 1 + 1")


def span(text: str, source: Source = SOURCE) -> Span:
    start = source.text.index(text)
    return Span(source, start, start + len(text))


def underlined(report: str) -> tuple[str, str]:
    """The first source line of a report and the line of marks below it, without their gutters."""
    lines = report.splitlines()
    at = next(i for i, line in enumerate(lines) if "^" in line)
    return lines[at - 1].partition("| ")[2], lines[at].partition("| ")[2]


@pytest.mark.parametrize(("text", "column"), [("conv(n, 5)", 4), ("oops", 11), ("3x4x4", 8)])
def test_marks_stand_under_their_text(text: str, column: int) -> None:
    """Columns counted by hand: a tab goes to column 4, a wide character takes two."""
    shown, marks = underlined(render_text([Diagnostic(PROBLEM, span(text))]))
    assert marks == " " * column + "^" * len(text)
    assert text in shown


def test_marks_of_wide_characters_are_twice_as_long() -> None:
    _, marks = underlined(render_text([Diagnostic(PROBLEM, span('日本語"'))]))
    assert marks == " " * 3 + "^" * 7


def test_combining_and_control_characters() -> None:
    source = Source("x.arch", "e\u0301\x1b[31m\u202e bad")
    report = render_text([Diagnostic(PROBLEM, span("bad", source))])
    assert "\x1b" not in report
    assert "\u202e" not in report
    shown, marks = underlined(report)
    assert marks.index("^") == len(shown) - len("bad") - 1  # the accent takes no column


def test_message_cannot_steer_the_terminal() -> None:
    report = render_text([Diagnostic(WrongRank("\x1b[2J", "a", "b"), span("oops"), "\x1b]0;x\x07")])
    assert "\x1b" not in report + render_concise([Diagnostic(WrongRank("\x1b[2J", "a", "b"), span("oops"))])


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("place", [0, 300, 596])
@pytest.mark.parametrize("filler", ["x", "日"])
def test_long_lines_are_clipped_around_the_span(width: int, place: int, filler: str) -> None:
    text = filler * place + "oops" + filler * (596 - place)
    report = render_text([Diagnostic(PROBLEM, Span(Source("x.arch", text), place, place + 4))], width=width)
    shown, marks = underlined(report)
    wide = 2 if filler == "日" else 1
    columns = sum(wide if c == filler else 1 for c in shown)
    assert columns <= width
    before = shown[: shown.index("oops")]
    assert marks == " " * sum(wide if c == filler else 1 for c in before) + "^^^^"


def test_the_whole_form(snapshot: SnapshotAssertion) -> None:
    diagnostic = Diagnostic(
        PROBLEM,
        span("conv(n, 5)"),
        "the input is 3x4x4",
        notes=(Note("the input is declared here", span("input(3x4x4)")), Note("a fact without a place")),
        helps=(
            Help("padding=1 would give 2x2", span("conv(n, 5)"), "conv(n, 5, padding=1)"),
            Help("did you mean `sum`?", span("residual"), "sum"),
            Help("take a smaller kernel"),
        ),
        chain=(Frame("block `b`", span("b(8)")),),
    )
    assert render_text([diagnostic]) == snapshot


def test_spans_of_several_lines(snapshot: SnapshotAssertion) -> None:
    start, end = TEXT.index("residual"), TEXT.index("  }\n}") + 3
    assert render_text([Diagnostic(PROBLEM, Span(SOURCE, start, end), "this body")]) == snapshot


def test_long_spans_lose_their_middle() -> None:
    text = "{\n" + "relu\n" * 100 + "}"
    report = render_text([Diagnostic(PROBLEM, Span(Source("x.arch", text), 0, len(text)))])
    assert report.count("relu") == 3
    assert "102 | | }" in report


def test_places_without_text() -> None:
    source = Source("empty.arch", "")
    assert "empty.arch:1:1" in render_text([Diagnostic(PROBLEM, Span(source, 0, 0))])
    end = render_text([Diagnostic(PROBLEM, Span(SOURCE, len(TEXT), len(TEXT)))])
    assert underlined(end)[1] == "^"
    missing = render_text([Diagnostic(PROBLEM, path="no.arch")])
    assert "--> no.arch" in missing


def test_an_edit_shows_the_line_as_it_would_read() -> None:
    help = Help("close it", Span(SOURCE, TEXT.index("oops"), TEXT.index("oops") + 4), "one\n  two")
    report = render_text([Diagnostic(PROBLEM, span("oops"), helps=(help,))])
    assert '4 |   "日本語" one\n' in report
    assert "5 |   two" in report


@pytest.mark.parametrize(("calls", "shown"), [(1, 1), (7, 7), (8, 7), (100, 7)])
def test_long_chains_are_abridged(calls: int, shown: int) -> None:
    chain = tuple(Frame(f"block `b{i}`", span("b(8)")) for i in range(calls))
    report = render_text([Diagnostic(PROBLEM, span("oops"), chain=chain)])
    lines = [line for line in report.splitlines() if " = " in line]
    assert len(lines) == shown
    assert f"b{calls - 1}`" in lines[0]  # the innermost call comes first
    assert "b0`" in lines[-1]
    if calls > 7:
        assert f"{calls - 6} more calls" in lines[3]


def test_count() -> None:
    other = Diagnostic(PROBLEM, path="y.arch")
    assert count([Diagnostic(PROBLEM, span("oops"))]) == "1 error in 1 file"
    assert count([Diagnostic(PROBLEM, span("oops")), other, other]) == "3 errors in 2 files"
    assert count([Diagnostic(PROBLEM)]) == "1 error"


def test_colour_adds_nothing_but_colour() -> None:
    diagnostic = Diagnostic(PROBLEM, span("oops"), "label", helps=(Help("h", span("oops"), "x"),))
    plain, coloured = render_text([diagnostic]), render_text([diagnostic], color=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_concise() -> None:
    found = [Diagnostic(PROBLEM, span("oops")), Diagnostic(PROBLEM, path="no.arch"), Diagnostic(PROBLEM)]
    lines = render_concise(found).splitlines()
    assert lines[0] == f"specs/x.arch:4:9: E402 {PROBLEM}"
    assert lines[1] == f"no.arch: E402 {PROBLEM}"
    assert lines[2] == f"E402 {PROBLEM}"


def test_json_points_at_the_text() -> None:
    diagnostic = Diagnostic(
        PROBLEM,
        span("oops"),
        "label",
        notes=(Note("n", span("3x4x4")),),
        helps=(Help("h", span("b(8)"), "b(4)"), Help("bare")),
        chain=(Frame("block `b`", span("b(8)")),),
    )
    [found] = json.loads(render_json([diagnostic]))
    lines = TEXT.splitlines()

    def pointed(region: dict[str, int]) -> str:
        assert region["line"] == region["end_line"]
        return lines[region["line"] - 1][region["column"] - 1 : region["end_column"] - 1]

    assert (found["code"], found["message"], found["file"]) == ("E402", str(PROBLEM), "specs/x.arch")
    assert pointed(found) == "oops"
    assert pointed(found["notes"][0]) == "3x4x4"
    assert pointed(found["helps"][0]["edit"]) == "b(8)"
    assert found["helps"][0]["edit"]["replacement"] == "b(4)"
    assert found["helps"][1] == {"message": "bare", "edit": None}
    assert pointed(found["chain"][0]) == "b(8)"


def test_json_without_a_place() -> None:
    [found] = json.loads(render_json([Diagnostic(PROBLEM, path="no.arch")]))
    assert (found["file"], found["line"], found["end_column"]) == ("no.arch", None, None)
    assert json.loads(render_json([])) == []


def test_github_escapes_what_it_gives_a_meaning() -> None:
    source = Source("a,b:c.arch", "x")
    line = render_github([Diagnostic(WrongRank("50%", "a", "b"), Span(source, 0, 1), helps=(Help("fix"),))])
    message = "50%25 expects a, but its input is b%0Ahelp: fix"
    assert line == f"::error file=a%2Cb%3Ac.arch,line=1,endLine=1,col=1,endColumn=2,title=E401::{message}"
