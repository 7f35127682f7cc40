"""The commands as a user sees them: exit codes, help, streams, imports."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import archdsl
from archdsl.cli import commands, main
from archdsl.cli.app import application, command_names
from archdsl.diagnostics import CODES, RETIRED, load_all

RIGHT = "model right {\n  input(3x8x8)\n  conv(4, 3)\n}\n"
WRONG = "model wrong {\n  input(3x8x8)\n  conv(4, 9)\n  linear(2, bia=false)\n}\n"
HEAVY = ("torch", "torchvision", "numpy", "onnx", "onnxruntime")

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def right(tmp_path: Path) -> str:
    path = tmp_path / "right.arch"
    path.write_text(RIGHT, encoding="utf-8")
    return str(path)


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    path = tmp_path / "wrong.arch"
    path.write_text(WRONG, encoding="utf-8")
    return str(path)


def example_words(example: str) -> list[str]:
    """An example as the shell hands it over."""
    name, *rest = shlex.split(example.partition(" < ")[0])
    assert name == "archdsl"
    return rest


@pytest.mark.parametrize("command", command_names())
def test_help_has_an_example(command: str, capsys: Capture) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert re.search(rf"^  Examples?:\n    archdsl {command}\b", text, re.MULTILINE)


@pytest.mark.parametrize(
    "example", [line for name in command_names() for line in import_module(f"archdsl.cli.commands.{name}").EXAMPLES]
)
def test_examples_parse(example: str) -> None:
    """Every example names options that exist, with values of their types."""
    words = example_words(example)
    command = application(words).get_command(None, words[0])
    command.make_context(words[0], words[1:])


def test_help_lists_every_command(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^  {name} ", text, re.MULTILINE) for name in command_names())
    assert "..." not in text.partition("Look at a network:")[2]  # no summary is cut


def test_a_new_command_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    (tmp_path / "hello.py").write_text(
        'EXAMPLES = ("archdsl hello you",)\n\ndef hello(name: str) -> None:\n    "Greet."\n    print("hello", name)\n'
    )
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    assert main(["hello", "you"]) == 0
    assert capsys.readouterr().out == "hello you\n"
    assert main(["--help"]) == 0
    assert re.search(r"^  hello +Greet", capsys.readouterr().out, re.MULTILINE)


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"archdsl {archdsl.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sumary"],
        ["summary"],
        ["summary", "alexnet", "--depth", "0"],
        ["summary", "alexnet", "--format", "xml"],
        ["summary", "alexnet", "--columns", "colour"],
        ["summary", "alexnet", "--set", "classes"],
        ["summary", "alexnet", "--set", "=3"],
        ["summary", "alexnet", "--input", "3,224,224"],
        ["summary", "alexnet", "--input", "3x224x"],
        ["summary", "alexnet", "--nope"],
        ["layers", "cnv"],
        ["explain", "E999"],
        ["zoo", "no such network"],
        ["export", "alexnet"],
        ["summary", "lenet", "--format", "json", "--columns", "kind"],
        ["summary", "lenet", "--format", "json", "--depth", "1"],
        ["show", "filters", "lenet"],
        ["show", "lenet", "--depth", "1"],
        ["show", "lenet", "--stage", "tree", "--set", "classes=3"],
        ["show", "lenet", "--stage", "tree", "--model", "lenet"],
        ["draw", "lenet"],
        ["draw", "network", "lenet", "--stage", "graph"],
        ["draw", "network", "lenet", "--layer", "a"],
        ["draw", "filters", "lenet", "--weights", "run", "--depth", "1"],
        ["draw", "mistakes", "lenet", "--weights", "run", "--layer", "a"],
        ["draw", "embedding", "lenet", "--weights", "run", "--layer", "a", "--layer", "b"],
        ["summary", "lenet", "--stdin-filename", "a.arch"],
        ["diff", "-", "-"],
        ["compare", "a", "b", "-o", "curves.txt"],
        ["zoo", "resnet18", "--show", "--json"],
        ["zoo", "resnet18", "--show", "--year", "2015"],
        ["train"],
        ["train", "lenet", "--out", "a", "--resume", "b"],
        ["summary", "alexnet", "--input", "3x0x0"],
        ["summary", "alexnet", "--set", "model.=3"],
        ["export", "lenet", "-o", "x.onnx", "--normalize", "0.5"],
    ],
)
def test_a_wrong_command_line_is_2(arguments: list[str], capsys: Capture) -> None:
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert streams.err.startswith("error[E80" if arguments else "Usage: archdsl")
    assert "Traceback" not in streams.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["summary", "no/such.arch"], "E001"),
        (["summary", "alexnett"], "E001"),
        (["summary", "specs"], "E632"),
        (["check", "no/such.arch"], "E001"),
        (["show", "no/such.arch", "--stage", "tree"], "E001"),
        (["summary", "alexnet", "--model", "nope"], "E009"),
        (["summary", "alexnet", "--set", "clases=3"], "E716"),
        (["summary", "alexnet", "--set", "model.clases=3"], "E203"),
        (["summary", "alexnet", "--set", "epochs=3"], "E717"),
        (["export", "alexnet", "-o", "x.onnx", "--set", "train.classes=3"], "E717"),
        (["summary", "alexnet", "--set", "classes=1 +"], "E103"),
        (["summary", "alexnet", "--set", "classes=1/0"], "E302"),
        (["summary", "alexnet", "--input", "3x8x8"], "E402"),
        (["train", "lenet", "--set", "epoch=3"], "E716"),
        (["train", "lenet", "--set", "train.epoch=3"], "E601"),
        (["train", "lenet", "--set", "train.classes=3"], "E207"),
        (["train", "--resume", "no/such/run"], "E632"),
        (["train", "lenet", "--set", "optimizer.lr=-1"], "E207"),
    ],
)
def test_a_wrong_spec_or_input_is_1(arguments: list[str], code: str, capsys: Capture) -> None:
    assert main(arguments) == 1
    streams = capsys.readouterr()
    assert f"error[{code}]" in streams.err + streams.out
    assert "Traceback" not in streams.err


def test_settings_are_expressions_of_the_language(capsys: Capture) -> None:
    """Layer figures by hand: lenet with rectifiers, max pooling and 2 + 3 classes."""
    settings = ["--set", "classes=2 + 3", "--set", "activation=relu", "--set", "pool=maxpool"]
    assert main(["summary", "lenet", *settings, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["output"] == [5]
    assert {"relu", "maxpool"} <= {layer["kind"] for layer in found["layers"]}
    assert found["params"] == 61_706 - 5 * 85


def test_input_size(capsys: Capture) -> None:
    assert main(["summary", "specs/cifar_cnn.arch", "--input", "1x32x32", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == 5_852_170 - 2 * 9 * 32


def test_others_of_the_file_are_named(capsys: Capture) -> None:
    main(["summary", "vgg16", "--depth", "1"])
    text = " ".join(capsys.readouterr().out.split())
    assert "Other models in this file (--model NAME): vgg11," in text
    assert "vgg16," not in text.partition("Other models")[2]


def test_check_counts_what_it_looked_at(tmp_path: Path, right: str, capsys: Capture) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "two.arch").write_text(RIGHT + RIGHT.replace("right", "left"), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not a spec", encoding="utf-8")
    assert main(["check", str(tmp_path), right]) == 0
    assert capsys.readouterr().out == "checked 2 files with 3 models: no errors\n"


def test_check_says_what_it_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks, empty = tmp_path / "blocks.arch", tmp_path / "empty.arch"
    blocks.write_text("block a { relu }\nblock b { a }\n")
    empty.write_text("# nothing yet\n")
    assert main(["check", str(blocks)]) == 0
    assert capsys.readouterr().out.endswith("\n\nchecked 1 file with 2 blocks: no errors\n")
    assert main(["check", str(blocks), "--no-warnings"]) == 0
    assert capsys.readouterr().out == "checked 1 file with 2 blocks: no errors\n"
    assert main(["check", str(blocks), str(empty)]) == 1
    assert "error[E010]" in capsys.readouterr().out


def test_check_reports_all_errors_of_all_files(tmp_path: Path, right: str, wrong: str, capsys: Capture) -> None:
    (tmp_path / "worse.arch").write_text("model m { input(3x8x8); cnv(3, 3) }", encoding="utf-8")
    assert main(["check", str(tmp_path), "--format", "concise"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"^.*/(\w+\.arch):(\d+):.*? (E\d+) .*", r"\1 \2 \3", line) for line in lines] == [
        "worse.arch 1 E201",
        "wrong.arch 3 E402",
        "wrong.arch 4 E203",
    ]


def test_check_says_an_imported_error_once(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "lib.arch").write_text("block b { cnv(3 3) }", encoding="utf-8")
    for name in ("one", "two"):
        (tmp_path / f"{name}.arch").write_text('import "lib.arch"\nmodel m { input(3x8x8); b }', encoding="utf-8")
    assert main(["check", str(tmp_path), "--format", "concise"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_check_for_tools(wrong: str, right: str, capsys: Capture) -> None:
    assert main(["check", wrong, "--format", "json"]) == 1
    assert [found["code"] for found in json.loads(capsys.readouterr().out)] == ["E402", "E203"]
    assert main(["check", right, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["check", wrong, "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error file=")


def test_check_of_an_empty_folder(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", str(tmp_path)]) == 2
    assert "no .arch file" in capsys.readouterr().err


def test_no_colour_codes_outside_a_terminal(wrong: str, capsys: Capture) -> None:
    main(["check", wrong])
    main(["summary", "lenet"])
    assert "\x1b" not in capsys.readouterr().out


def test_explain_shows_what_the_failing_example_really_says(capsys: Capture) -> None:
    assert main(["explain", "e402"]) == 0
    text = capsys.readouterr().out
    assert "error[E402]" in text
    assert "out = floor(" in text
    assert text.rstrip().endswith(CODES["E402"].right)


def test_a_code_of_an_earlier_version_is_explained_by_its_successor(capsys: Capture) -> None:
    assert main(["explain", "E605"]) == 0
    assert capsys.readouterr().out.startswith("E203: ")
    assert not RETIRED.keys() & CODES.keys()


def test_every_code_can_be_explained(capsys: Capture) -> None:
    load_all()
    for code, problem in sorted(CODES.items()):
        assert main(["explain", code]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"{code}: ")
        if problem.wrong:
            assert f"{problem.severity}[{code}]" in text


def test_layers(capsys: Capture) -> None:
    assert main(["layers", "conv"]) == 0
    text = capsys.readouterr().out
    for argument in ("out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode"):
        assert re.search(rf"^  {argument} ", text, re.MULTILINE)
    assert main(["layers", "--format", "json"]) == 0
    kinds = json.loads(capsys.readouterr().out)
    assert main(["layers"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{kind['kind']} " in listed for kind in kinds)


def test_zoo(capsys: Capture) -> None:
    assert main(["zoo", "resnet", "--format", "json"]) == 0
    found = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert found["resnet18"]["params"] == 11_689_512
    assert found["resnet18"]["gmacs"] == 1.814
    assert main(["zoo", "alexnet"]) == 0
    text = capsys.readouterr().out
    assert "61,100,840" in text
    assert "One weird trick" in text


def test_fmt(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.arch"
    path.write_text("model m{\ninput(3x8x8)\n# kept\nconv( 4,3 )\n}", encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    assert main(["fmt", "--check", str(path)]) == 1
    assert path.read_text(encoding="utf-8") == before
    assert main(["fmt", str(path)]) == 0
    after = path.read_text(encoding="utf-8")
    assert "conv(4, 3)" in after
    assert "# kept" in after
    capsys.readouterr()
    assert main(["fmt", "--check", str(path)]) == 0
    assert capsys.readouterr().out == "1 file already formatted\n"


def test_fmt_leaves_a_broken_file_alone(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "broken.arch"
    path.write_text("model m {", encoding="utf-8")
    assert main(["fmt", str(path)]) == 1
    assert path.read_text(encoding="utf-8") == "model m {"
    assert "broken.arch:1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("tree", ["model lenet", "conv(6, "]),
        ("graph", ["model lenet(", "features: group", "conv(out_channels=6", "1x28x28 -> 6x28x28"]),
    ],
)
def test_show(stage: str, words: list[str], capsys: Capture) -> None:
    assert main(["show", "lenet", "--stage", stage]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in words)


def test_show_graph_names_taps_and_shortcuts(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "m.arch"
    path.write_text(
        "model m { input(4x8x8) -> x; residual { conv(4, 3, padding=1) } shortcut { conv(4, 1) }; concat(x) }",
        encoding="utf-8",
    )
    assert main(["show", str(path)]) == 0
    text = capsys.readouterr().out
    assert " -> x " in text
    assert "concat(x)" in text
    assert "4x8x8 -> 8x8x8" in text
    assert text.index("body") < text.index("shortcut")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "archdsl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize(
    "arguments",
    [
        ["summary", "specs/alexnet.arch"],
        ["summary", "alexnet", "--format", "json"],
        ["check", "specs/lenet.arch"],
        ["layers"],
        ["explain", "E402"],
        ["zoo", "lenet"],
        ["fmt", "--check", "specs/lenet.arch"],
        ["show", "lenet"],
        ["--help"],
    ],
)
def test_the_front_end_stays_light(arguments: list[str]) -> None:
    """Neither the heavy packages nor, outside a terminal, Rich."""
    code = (
        "import sys; from archdsl.cli import main; code = main(sys.argv[1:]); "
        "print(code, *{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    status, *modules = done.stderr.split()
    assert status == "0"
    assert not {*HEAVY, "rich"} & set(modules)


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("torch", ["export", "lenet", "-o", "x.onnx"]),
        ("torch", ["report", "x"]),
        ("jinja2", ["report", "x"]),
    ],
)
def test_a_missing_extra_is_named(package: str, arguments: list[str]) -> None:
    code = f"import sys; sys.modules[{package!r}] = None\nfrom archdsl.cli import main\nsys.exit(main({arguments}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f'the package {package}: pip install "archdsl[torch]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_fmt_of_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    for arguments, code, printed in (([], 0, "model m { relu }\n"), (["--check"], 1, "would reformat <stdin>\n")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"model m{relu}")))
        assert main(["fmt", *arguments, "-"]) == code
        assert capsys.readouterr().out == printed
    assert main(["fmt", "-", "specs/lenet.arch"]) == 2


def test_a_reader_that_goes_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m archdsl summary resnet152 | head -1"],  # longer than a pipe's buffer
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("resnet152(")
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "archdsl", "summary", "lenet"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("archdsl.api.locate", interrupted)
    assert main(["summary", "lenet"]) == 130


def test_output_in_a_narrow_encoding() -> None:
    done = run("summary", "lenet", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "61,706" in done.stdout


def test_columns_of_csv_and_markdown(capsys: Capture) -> None:
    """The figures of the whole table, for the columns that were chosen."""
    assert main(["summary", "lenet", "--format", "csv"]) == 0
    whole = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    places = [whole[0].index(name) for name in ("name", "trainable_params", "activation_bytes")]
    assert main(["summary", "lenet", "--format", "csv", "--columns", "trainable,memory"]) == 0
    assert capsys.readouterr().out.splitlines() == [",".join(row[i] for i in places) for row in whole]
    assert main(["summary", "lenet", "--format", "markdown", "--columns", "line,kind", "--depth", "1"]) == 0
    head, rule, first = capsys.readouterr().out.splitlines()[2:5]
    assert (head, rule) == ("| layer | line | kind |", "| :--- | ---: | :--- |")
    assert first == "| `features` | 8 | group |"


def test_a_stage_goes_to_a_file(tmp_path: Path, capsys: Capture) -> None:
    for stage in ("tree", "graph"):
        assert main(["show", "lenet", "--stage", stage]) == 0
        printed = capsys.readouterr().out
        assert main(["show", "lenet", "--stage", stage, "-o", str(tmp_path / "lenet.txt")]) == 0
        assert capsys.readouterr().out == f"wrote {tmp_path / 'lenet.txt'}\n"
        assert (tmp_path / "lenet.txt").read_text(encoding="utf-8") == printed
    assert main(["show", "lenet", "-o", str(tmp_path / "no" / "lenet.txt")]) == 1
    assert "error[E708]" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["sizes resnet18", "diff lenet lenet --new-set classes=3"])
def test_long_lines_are_wrapped(line: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(line.split()) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60
