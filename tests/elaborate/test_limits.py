"""Specs that would not end or would exhaust the machine give one clear error."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.elaborate import check_source, elaborate, load_module, read
from archdsl.text.limits import MAX_ERRORS, MAX_FILES, MAX_VARIANTS
from archdsl.text.source import Source

#: Seconds of processor time that nothing may take; what is here takes less than a second.
MAX_SECONDS = 4.0


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
    "a long chain of blocks, each called before": (
        "E501",
        "block b0 { relu }\n" + "".join(f"block b{i} {{ b{i - 1} }}\n" for i in range(1, 300))
        + "model m { input(3)\n" + "\n".join(f"b{i}" for i in range(300)) + "\n}",
    ),
    "an input no machine holds": ("E506", "model m { input(1000000000x1000000000); linear(10) }"),
    "a weight no machine holds": ("E506", "model m { input(1000000000); linear(1000000000) }"),
    "a number of a hundred thousand digits": ("E505", f"model m {{ input(3); linear({'9' * 100_000}) }}"),
    "a tower of powers": ("E505", "model m { input(3); linear(9 ** 9 ** 9 ** 9) }"),
    "a size of many digits": ("E505", f"model m {{ input(3x{'9' * 100}) }}"),
    "a doubling string": ("E504", 'model m { input(3); let a = "0123456789"; ' + "let a = a + a; " * 60 + "}"),
    "a doubling list": ("E504", "model m { input(3); let a = [1]; " + "let a = a + a; " * 60 + "}"),
    "lists in lists": ("E507", "model m { input(3); let a = [[i * j for i in 1..9999] for j in 1..9999]; relu }"),
    "lists in lists as a default": (
        "E507",
        "model m(a = [[i * j for i in 1..900] for j in 1..900]) { input(3); relu }",
    ),
    "lists of nothing": ("E507", "let a = [[1 for i in 1..9999 if false] for j in 1..9999]"),
    "long lists in a list": ("E507", "let a = [([0] * 10000, [1] + [2]) for i in 1..9999]"),
    "long lists of many lines": ("E507", "".join(f"let a{i} = [[0] * 10000 for i in 1..9]\n" for i in range(30))),
    "names inside each other": ("E501", f"let {'(' * 10_000}a{')' * 10_000} = 1"),
    "a long list of long lists": (
        "E508",
        "block f(b) { relu }\nlet a = [0] * 10000\nlet b = [a] * 10000\nmodel m { input(3); f(b) }",
    ),
    "a list doubled in itself": (
        "E508",
        "let a0 = [1]\n" + "".join(f"let a{i} = [a{i - 1}, a{i - 1}]\n" for i in range(1, 40)),
    ),
    "a dictionary doubled in itself": (
        "E508",
        "let a0 = {a: 1}\n" + "".join(f"let a{i} = {{a: a{i - 1}, b: a{i - 1}}}\n" for i in range(1, 40)),
    ),
    "a list of long strings": (
        "E508",
        'let a = "0123456789"\nlet b = a + a + a + a + a\nlet c = b + b + b + b + b\nlet d = [c] * 9999',
    ),
    "lists inside each other": (
        "E501",
        "let a0 = [1]\n" + "".join(f"let a{i} = [a{i - 1}]\n" for i in range(1, 3_000)),
    ),
    "an unknown layer of many letters": ("E201", f"model m {{ input(3); {'a' * 20_000} }}"),
    "a label of many letters": ("E209", f"model m {{ input(3); {'a' * 20_000}: relu }}"),
    "an unknown layer in loops": ("E201", "model m { input(3); for i in 1..200 { for j in 1..200 { nosuch } } }"),
    "an unknown value in loops": (
        "E202",
        "model m { input(3); for i in 1..9999 { for j in 1..9999 { let a = nosuch } } }",
    ),
    "an unknown argument in loops": (
        "E203",
        "model m { input(3); for i in 1..9999 { for j in 1..9999 { relu(nosuch=1) } } }",
    ),
    "a mistake that is only a number in loops": (
        "E302",
        "model m { input(3); for i in 1..9999 { for j in 1..9999 { linear(i / 0) } } }",
    ),
    "long lists compared in loops": (
        "E507",
        "let a = [0] * 10000\nlet b = [0] * 9999 + [1]\n"
        "model m { input(3); for i in 1..9999 { for j in 1..9999 { let c = a == b } } }",
    ),
    "a fraction looked for in a long range": (
        "E507",
        "model m { input(3); for i in 1..9999 { for j in 1..9999 { let c = 0.5 in 1..10000 } } }",
    ),
    "long ranges added up in loops": (
        "E507",
        "model m { input(3); for i in 1..9999 { for j in 1..9999 { let c = sum(1..10000) } } }",
    ),
    "long lists as arguments of blocks": (
        "E507",
        "block f(b) { }\nlet a = [0] * 10000\nmodel m { input(3); for i in 1..9999 { f(a) } }",
    ),
    "many models that take long": (
        "E509",
        "model a(n = 9999) { input(3); for i in 1..n { relu; { relu } } }\n"
        + "".join(f"model a{i} = a()\n" for i in range(1, 50)),
    ),
    "many models with a mistake": (
        "E201",
        "model a(n = 9999) { input(3); for i in 1..n { relu; nosuch } }\n"
        + "".join(f"model a{i} = a()\n" for i in range(1, 50)),
    ),
    "a repeated list": ("E504", "model m { input(3); let a = [1] * 1000000000 }"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_one_clear_error(name: str) -> None:
    code, text = TEXTS[name]
    start = time.process_time()
    found = errors(text)
    assert time.process_time() - start < MAX_SECONDS
    assert [one.code for one in found] == [code]
    assert found[0].span is not None
    assert len(found[0].message) < 300 or str(found[0].message).count("a" * 20_000) == 1


CHAIN = "model v0(x = 1) { input(3); relu }\n"


@pytest.mark.parametrize("arguments", ["", "x=2"])
def test_a_long_chain_of_variants(arguments: str) -> None:
    start = time.process_time()
    found = errors(CHAIN + "".join(f"model v{i} = v{i - 1}({arguments})\n" for i in range(1, 1_500)))
    assert time.process_time() - start < MAX_SECONDS
    assert len(found) == MAX_ERRORS
    assert "E501" in {one.code for one in found} or arguments


def test_a_chain_of_variants_within_bounds() -> None:
    chain = CHAIN + "".join(f"model v{i}(x{i} = 1) = v{i - 1}()\n" for i in range(1, MAX_VARIANTS))
    assert errors(chain) == []
    last = f"v{MAX_VARIANTS - 1}"
    assert elaborate(load_module(Source("test.arch", chain)), last, settings={"x": 2}).settings["x"] == 2


UNHASHABLE = {
    "relu -> t[[1]]": "E301",
    "relu -> t[([1],)]": "E301",
    "relu -> t[1]; use(t[[1]])": "E202",
    "let d = {a: 1}; let e = d[[1]]": "E202",
    "let d = {a: 1}; let e = d[{a: 1}]": "E202",
}


@pytest.mark.parametrize("text", UNHASHABLE)
def test_a_list_is_no_index(text: str) -> None:
    assert [one.code for one in errors(f"model m {{ input(3x8x8); {text} }}")] == [UNHASHABLE[text]]


def test_a_list_is_no_key() -> None:
    text = "let d = {a: 1}; if [1] in d { conv(3, 9) }; if [1] not in d { linear(3) }"
    assert errors(f"model m {{ input(3); {text} }}") == []


def test_mistakes_after_a_repeated_one_are_found() -> None:
    found = errors("model m { input(3); for i in 1..100 { nosuch }; for i in 1..100 { relu(wrong=1) }; nowhere }")
    assert [one.code for one in found] == ["E201", "E203", "E201"]


def test_what_is_large_but_within_bounds_is_fine() -> None:
    assert errors("model m { input(3); for i in 1..5000 { relu } }") == []
    assert errors(f"model m {{ input(3); {'{ ' * 90}relu{' }' * 90} }}") == []
    assert errors(f"model m {{ input(3); linear({'(' * 90}3{')' * 90}) }}") == []


def test_the_errors_of_one_run_are_bounded() -> None:
    found = errors("model m { input(3x8x8); " + "; ".join(f"layer{i}" for i in range(3_000)) + " }")
    assert len(found) == MAX_ERRORS


def error(path: Path) -> str:
    with pytest.raises(SpecError) as raised:
        read(path)
    assert len(raised.value.diagnostics) == 1
    return raised.value.diagnostics[0].code


def test_files(tmp_path: Path) -> None:
    big = tmp_path / "big.arch"
    with big.open("wb") as file:
        file.truncate(100_000_000)
    assert error(big) == "E005"
    (tmp_path / "latin1.arch").write_bytes("# fünf".encode("latin-1"))
    assert error(tmp_path / "latin1.arch") == "E004"
    assert error(tmp_path) == "E002"
    assert error(tmp_path / "nowhere.arch") == "E001"
    assert error(tmp_path / ("a" * 5_000)) == "E003"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.arch")
    assert error(tmp_path / "pipe.arch") == "E002"


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


def test_files_that_import_each_other_on_many_ways(tmp_path: Path) -> None:
    """Two files of each of 20 levels import both of the next: there are a million ways to the last."""
    for level in range(20):
        for side in "ab":
            imports = "".join(f'import "{other}{level + 1}.arch"\n' for other in "ab") if level < 19 else ""
            (tmp_path / f"{side}{level}.arch").write_text(f"{imports}block {side}{level} {{ relu }}\n")
    main = tmp_path / "main.arch"
    main.write_text('import "a0.arch"\nimport "b0.arch"\nmodel m { input(3); a0; b0; linear(2) }\n')
    start = time.process_time()
    assert check_source(read(main), main)[0] == []
    assert elaborate(load_module(read(main), main)).params == 8
    assert time.process_time() - start < MAX_SECONDS
