"""What would never end, or would fill the machine, is one clear error instead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.elaborate import check_source, read
from archdsl.limits import MAX_ERRORS, MAX_FILES
from archdsl.source import Source


def errors(text: str) -> list[Diagnostic]:
    return check_source(Source("test.arch", text))[0]


TEXTS = {
    "a loop over a billion": ("E504", "model m { input(3); for i in 1..1000000000 { relu } }"),
    "a range of a billion": ("E504", "model m { input(3); for i in range(1000000000) { relu } }"),
    "loops in loops": ("E507", "model m { input(3); for i in 1..9999 { for j in 1..9999 { let a = j } } }"),
    "too many layers": ("E503", "model m { input(3); for i in 1..9999 { relu; relu; relu } }"),
    "ten thousand braces": ("E501", f"model m {{ input(3); {'{' * 10_000}relu{'}' * 10_000} }}"),
    "ten thousand open braces": ("E501", f"model m {{ input(3); {'{' * 10_000}"),
    "ten thousand parentheses": ("E501", f"model m {{ input(3); linear({'(' * 10_000}3{')' * 10_000}) }}"),
    "ten thousand signs": ("E501", f"model m {{ input(3); linear({'-' * 10_000}3) }}"),
    "ten thousand terms": ("E501", f"model m {{ input(3); linear({'1 + ' * 10_000}3) }}"),
    "ten thousand conditions": ("E501", "model m { input(3); if false { } " + "else if false { } " * 3_000 + "}"),
    "a block that calls itself": ("E502", "block a { a }\nmodel m { input(3); a }"),
    "through another": ("E502", "block a { b }\nblock b { a }\nmodel m { input(3); a }"),
    "through a parameter": ("E502", "block a(f) { f(f) }\nmodel m { input(3); a(a) }"),
    "through a parameter and another": (
        "E502",
        "block a(f) { f(b) }\nblock b(f) { f(a) }\nmodel m { input(3); a(b) }",
    ),
    "doubling blocks": (
        "E503",
        "block b0 { relu }\n" + "".join(f"block b{i} {{ b{i - 1}; b{i - 1} }}\n" for i in range(1, 60))
        + "model m { input(3); b59 }",
    ),
    "doubling blocks of nothing": (
        "E507",
        "block b0(n) { }\n"
        + "".join(f"block b{i}(n) {{ b{i - 1}(n + 1); b{i - 1}(n * 2) }}\n" for i in range(1, 40))
        + "model m { input(3); b39(1) }",
    ),
    "a long chain of blocks": (
        "E501",
        "block b0 { relu }\n" + "".join(f"block b{i} {{ b{i - 1} }}\n" for i in range(1, 300))
        + "model m { input(3); b299 }",
    ),
    "an input no machine holds": ("E506", "model m { input(1000000000x1000000000); linear(10) }"),
    "a weight no machine holds": ("E506", "model m { input(1000000000); linear(1000000000) }"),
    "a number of a hundred thousand digits": ("E505", f"model m {{ input(3); linear({'9' * 100_000}) }}"),
    "a tower of powers": ("E505", "model m { input(3); linear(9 ** 9 ** 9 ** 9) }"),
    "a size of many digits": ("E505", f"model m {{ input(3x{'9' * 100}) }}"),
    "a doubling text": ("E504", 'model m { input(3); let a = "0123456789"; ' + "let a = a + a; " * 60 + "}"),
    "a doubling list": ("E504", "model m { input(3); let a = [1]; " + "let a = a + a; " * 60 + "}"),
    "lists in lists": ("E507", "model m { input(3); let a = [[i * j for i in 1..9999] for j in 1..9999]; relu }"),
    "lists of nothing": ("E507", "let a = [[1 for i in 1..9999 if false] for j in 1..9999]"),
    "long lists in a list": ("E507", "let a = [([0] * 10000, [1] + [2]) for i in 1..9999]"),
    "long lists of many lines": ("E507", "".join(f"let a{i} = [[0] * 10000 for i in 1..99]\n" for i in range(9))),
    "names inside each other": ("E501", f"let {'(' * 10_000}a{')' * 10_000} = 1"),
    "a repeated list": ("E504", "model m { input(3); let a = [1] * 1000000000 }"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_one_clear_error(name: str) -> None:
    code, text = TEXTS[name]
    found = errors(text)
    assert [one.code for one in found] == [code]
    assert found[0].span is not None
    assert len(found[0].message) < 300


def test_what_is_large_but_within_bounds_is_fine() -> None:
    assert errors("model m { input(3); for i in 1..5000 { relu } }") == []
    assert errors(f"model m {{ input(3); {'{ ' * 90}relu{' }' * 90} }}") == []
    assert errors(f"model m {{ input(3); linear({'(' * 90}3{')' * 90}) }}") == []


def test_the_errors_of_one_run_are_bounded() -> None:
    found = errors("model m { input(3x8x8); " + "; ".join(f"layer{i}" for i in range(3_000)) + " }")
    assert len(found) == MAX_ERRORS


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as raised:
        read(path)
    assert len(raised.value.diagnostics) == 1
    return raised.value.diagnostics[0].code


def test_files(tmp_path: Path) -> None:
    big = tmp_path / "big.arch"
    with big.open("wb") as file:
        file.truncate(100_000_000)
    assert refusal(big) == "E005"
    (tmp_path / "latin1.arch").write_bytes("# fünf".encode("latin-1"))
    assert refusal(tmp_path / "latin1.arch") == "E004"
    assert refusal(tmp_path) == "E002"
    assert refusal(tmp_path / "nowhere.arch") == "E001"
    assert refusal(tmp_path / ("a" * 5_000)) == "E003"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.arch")
    assert refusal(tmp_path / "pipe.arch") == "E002"


def test_import_cycle(tmp_path: Path) -> None:
    (tmp_path / "a.arch").write_text('import "b.arch"\nmodel m { input(3); relu }\n')
    (tmp_path / "b.arch").write_text('import "c.arch"\n')
    (tmp_path / "c.arch").write_text('import "a.arch"\n')
    found = check_source(read(tmp_path / "a.arch"), tmp_path / "a.arch")[0]
    assert [one.code for one in found] == ["E006"]
    assert "b.arch, " in found[0].message


def test_too_many_files(tmp_path: Path) -> None:
    for i in range(MAX_FILES + 1):
        (tmp_path / f"f{i}.arch").write_text(f'import "f{i + 1}.arch"\n')
    (tmp_path / f"f{MAX_FILES + 1}.arch").write_text("")
    found = check_source(read(tmp_path / "f0.arch"), tmp_path / "f0.arch")[0]
    assert [one.code for one in found] == ["E007"]
