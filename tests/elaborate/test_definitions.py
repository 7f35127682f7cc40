"""What `check` finds without values: in unused blocks, base models, branches that are not taken, imported files."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl.elaborate import check_source, read
from archdsl.text.source import Source

MODEL = "\nmodel m { input(3x8x8); relu }\n"


def found(text: str) -> list[tuple[str, str]]:
    """The codes of all errors with the text they are at."""
    return [(one.code, one.span.text if one.span else "") for one in check_source(Source("t.arch", text)).errors]


#: The body of a block that no model calls, what is wrong in it, and the text of the place.
UNUSED = {
    "a layer": ("convv(n)", "E201", "convv"),
    "a name": ("conv(m, 3)", "E202", "m"),
    "a function": ("conv(maxx(n, 3), 3)", "E202", "maxx"),
    "a name in a label": ("stage{j}: relu", "E202", "j"),
    "a name in an index": ("relu -> t[j]", "E202", "j"),
    "a name of a loop after it": ("for i in 1..2 { relu }; linear(i)", "E202", "i"),
    "a name of a list after it": ("linear(sum([i for i in 1..2]) + i)", "E202", "i"),
    "a tap that is made later": ("add(t); relu -> t", "E202", "t"),
    "an argument": ("conv(n, 3, strides=2)", "E203", "strides"),
    "an argument of a block": ("other(n, k=3)", "E203", "k"),
    "an argument of an initializer": ("conv(n, 3, init=normal(sdt=1))", "E203", "sdt"),
    "an argument twice": ("conv(n, 3, kernel_size=3)", "E204", "kernel_size=3"),
    "a missing argument": ("conv(n)", "E205", "conv(n)"),
    "a missing argument of a block": ("other", "E205", "other"),
    "an argument too many": ("other(n, 2)", "E206", "2"),
    "a value": ("dropout(1.5)", "E207", "1.5"),
    "channels": ("batchnorm(64)", "E207", "64"),
    "a label twice": ("a: relu; a: relu", "E208", "a: relu"),
    "a label": ("train: relu", "E209", "train"),
    "an input": ("input(n)", "E210", "input(n)"),
    "an output": ("relu -> t; output(t)", "E210", "output(t)"),
    "an argument of a combinator": ("sum(2) { relu }", "E210", "2"),
    "aux in aux": ("aux { residual { aux { relu } } }", "E210", "aux"),
    "a setting": ("hidden = n; linear(hidden)", "E212", "hidden"),
    "an initializer": ("init = {conv: kaimin}", "E202", "kaimin"),
    "a layer type of defaults": ("defaults = {convv: {bias: false}}", "E202", "convv"),
    "an argument of defaults": ("defaults = {conv: {biass: false}}", "E203", "biass"),
    "a value of defaults": ("defaults = {dropout: {p: 2}}", "E207", "2"),
    "a parameter of init": ("init = {conv: {nosuch: zeros}}", "E202", "{conv: {nosuch: zeros}}"),
    "a parameter of a layer without any": ("init = {relu: {weight: zeros}}", "E202", "{relu: {weight: zeros}}"),
    "a layer type of init": ("init = {convv: zeros}", "E202", "{convv: zeros}"),
    "a key twice": ("defaults = {conv: {bias: false}, conv: {padding: 1}}", "E208", "conv"),
    "reuse": ("a: relu; reuse(b)", "E202", "b"),
    "reuse in another scope": ("g: { a: relu }; reuse(a)", "E202", "a"),
    "use": ("relu -> t; use(t, t)", "E206", "t"),
    "split": ("split { relu }", "E205", "split"),
    "inside a combinator": ("residual when n > 1 { inception { { nosuch } } }", "E201", "nosuch"),
    "a shortcut": ("residual { relu } shortcut { nosuch }", "E201", "nosuch"),
    "a branch": ("if n > 1 { relu } else if n > 2 { nosuch } else { relu }", "E201", "nosuch"),
    "a condition": ("if k > 1 { relu }", "E202", "k"),
    "a side of a conditional": ("conv(n if n > 1 else k, 3)", "E202", "k"),
}


@pytest.mark.parametrize("case", UNUSED)
def test_an_unused_block_is_checked(case: str) -> None:
    body, code, place = UNUSED[case]
    text = f"block unused(n) {{ {body} }}\nblock other(x) {{ linear(x) }}" + MODEL
    assert found(text) == [(code, place)]


def test_an_error_that_the_expansion_reports_too_is_there_once() -> None:
    for body, code, place in UNUSED.values():
        text = f"block used(n) {{ {body} }}\nblock other(x) {{ linear(x) }}\nmodel m {{ input(3x8x8); used(2) }}"
        assert (code, place) in found(text)
        assert len(found(text)) == len(set(found(text)))


def test_the_example_of_a_base_that_is_never_built() -> None:
    text = "block unused(n) { convv(n) }\nmodel base(k) { input(3x8x8); nosuch(5) }"
    assert found(text) == [("E201", "convv"), ("E201", "nosuch")]


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("model b(k) { relu }", "E210", "relu"),
        ("model b(k) { let a = k }", "E210", "{ let a = k }"),
        ("model b(k) { input(3x8x8); if k > 1 { input(3) } }", "E210", "input(3)"),
        ("model b(k, k) { input(3x8x8) }", "E208", "k"),
        ("model b(k = channels) { input(3x8x8) }", "E202", "channels"),
        ("model v(k) = b(k)", "E202", "b"),
        ("model b(k) { input(k) }\nmodel v(j) = b(n=3)", "E203", "n"),
        ("model b(k) { input(k) }\nmodel v(j) = b(1, 2)", "E206", "2"),
        ("model b(k) { input(k) }\nmodel v = b(3)\nmodel w(j) = v(k=2)", "E203", "k"),
        ("model b(k) { input(k) }\nmodel v(j) = b(i)", "E202", "i"),
        ("model v(j) = w(j)\nmodel w(j) = v(j)", "E502", "w"),
        ("model b(k) { input(k) }\ntrain c { epochs = 1 }", "E202", "c"),
        ("model b(k) { input(k) }\ntrain b { epochs = 1; epochs = 2 }", "E208", "epochs"),
    ],
)
def test_a_model_that_cannot_be_built_is_checked(text: str, code: str, place: str) -> None:
    assert (code, place) in found(text)


@pytest.mark.parametrize(
    "body",
    [
        "n(8)",  # whatever a parameter holds
        "let conv = n; conv(1, 2, 3, 4)",
        "let a, (b, c) = (1, (2, 3)); linear(a + b + c)",
        "for i in 1..2 { if i > 1 { add(t); reuse(a) }; a: relu -> t }",  # made in the round before
        "for i in 1..2 { for j in 1..2 { if i > 1 { reuse(a) }; g: { b: relu } }; a: relu }",
        "if n { relu -> t } else { tanh -> t }; add(t)",
        "if n { a: relu } else { a: tanh }; reuse(a)",
        "stage{n}: relu; reuse(stage1)",
        "relu -> skip[1]; concat(skip[1])",
        "linear(features // min(height, width)); let s = shape; linear(s[0])",
        "permute(0, 2, 1); conv(8, 3, init=kaiming_normal(mode=\"fan_out\"))",
        "conv(8, 3, init={weight: n, bias: zeros if n else ones})",
        "defaults = {conv: {kernel_size: 3}}; conv(8)",
        "let table = [(relu, 1), (conv, 2)]; linear(len([k for k, c in table if k == conv]))",
        "if n == none { } else if n == 2 { n(1) }",
        "dropout(p=n); linear(-n)",
    ],
)  # fmt: skip
def test_what_depends_on_values_is_left_to_the_expansion(body: str) -> None:
    assert found(f"block unused(n) {{ {body} }}" + MODEL) == []


def test_blocks_that_reach_themselves() -> None:
    text = "block a { b }\nblock b { if 1 > 2 { a } }\nblock c { c }\nblock d { b; c; e; e }\nblock e { relu }"
    assert found(text + MODEL) == [("E502", "a"), ("E502", "c")]
    assert found(text + "\nmodel m { input(3); a }") == [("E502", "a"), ("E502", "c")]
    assert found(text + "\nmodel m { input(3); c }") == [("E502", "a"), ("E502", "c")]


def test_arguments_may_come_from_the_defaults_of_a_caller() -> None:
    block = "block b(n) { conv(n) }\n"
    assert found(block + "model m { input(3x8x8); defaults = {conv: {kernel_size: 3}}; b(8) }") == []
    assert found(block + "model m { input(3x8x8); defaults = {linear: {bias: false}}; b(8) }") == [("E205", "conv(n)")]


def test_imported_files_are_checked_at_their_place(tmp_path: Path) -> None:
    (tmp_path / "lib.arch").write_text("block used { relu }\nblock unused(n) { convv(n) }\n")
    main = tmp_path / "main.arch"
    main.write_text('import "lib.arch"\nmodel m { input(3x8x8); used }\n')
    checked = check_source(read(main), main)
    places = [(one.code, Path(one.span.source.path).name) for one in checked.errors if one.span]
    assert places == [("E201", "lib.arch")]
    assert archdsl.load(main).output_shape == (3, 8, 8), "what a model does not use does not stop it"


def test_a_layer_without_parameters_takes_no_initializer() -> None:
    assert found("model m { input(3); init = {relu: zeros}; relu }") == [("E202", "{relu: zeros}")]
    assert found("model m { input(3x8x8); init = {prelu: ones, conv: {bias: zeros}}; conv(8, 3); prelu }") == []


def test_names_of_imports_that_clash(tmp_path: Path) -> None:
    (tmp_path / "a.arch").write_text("block unit { relu }\nlet n = [3]\n")
    (tmp_path / "b.arch").write_text("let n = [4]\n")
    (tmp_path / "c.arch").write_text("model unit { input(3) }\n")

    def places(text: str) -> list[tuple[str, str]]:
        path = tmp_path / "main.arch"
        checked = check_source(Source("main.arch", text + MODEL), path)
        return [(one.code, one.span.text) for one in checked.errors if one.span]

    assert places('import "a.arch"\nimport "a.arch"') == []
    assert places('import "a.arch"\nimport "b.arch"') == [("E208", 'import "b.arch"')]
    assert places('import "a.arch"\nimport "c.arch"') == [("E208", 'import "c.arch"')]
    assert places('import "a.arch"\nmodel unit { input(3); relu }') == [("E208", "unit")]
    assert places('block unit { relu }\nfrom "c.arch" import unit') == [("E208", "unit")]
    assert places('model unit { input(3); relu }\nimport "c.arch"') == [("E208", 'import "c.arch"')]


def test_very_many_errors_end() -> None:
    assert len(found("block b { " + "; ".join(f"nosuch{i}" for i in range(2000)) + " }" + MODEL)) == 50


def test_very_many_branches() -> None:
    text = "block b(n) { if n == 0 { relu }" + "".join(f" else if n == {i} {{ relu }}" for i in range(3000)) + " }"
    assert found(text + MODEL) == []
