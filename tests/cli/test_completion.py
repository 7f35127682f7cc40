"""Shell completion: what is offered where, and the scripts in the real shells."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archdsl.cards import index
from archdsl.cli import main
from archdsl.cli.app import application, command_names
from archdsl.cli.candidates import COMPLETERS, zoo_names
from archdsl.cli.completion import _bash_words, candidates
from archdsl.cli.words import choices_of, type_of
from archdsl.diagnostics import CODES, load_all
from archdsl.recipe import FAMILIES, Recipe
from archdsl.view.catalog import all_items

Capture = pytest.CaptureFixture[str]

#: Parameters whose values are numbers, bounds and new names: nothing can be offered for them.
FREE = {
    *("input", "max_params", "mean", "std", "normalize", "required", "target", "position", "year"),
    *(("new", "name"), ("runs", "model"), ("lsp", "ws")),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two specs, a run and an image."""
    monkeypatch.chdir(tmp_path)
    spec = "model small(width = 8, deep = false) { input(3x8x8); conv(width, 3) }\nmodel large = small(width=16)\n"
    (tmp_path / "my.arch").write_text(spec)
    (tmp_path / "other net.arch").write_text(spec)
    (tmp_path / "sub").mkdir()
    (tmp_path / "cat.png").write_bytes(b"")
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    (tmp_path / "runs" / "nothing").mkdir()
    return tmp_path


def offered(*words: str) -> list[str]:
    return [one.value for one in candidates(words)]


@pytest.mark.parametrize("command", command_names())
def test_whatever_has_known_values_is_completed(command: str) -> None:
    """A new parameter gets a completer in archdsl/cli/candidates.py, or goes into FREE here."""
    found = application([command]).commands[command]
    takes = [one for one in found.params if not getattr(one, "is_flag", False) and not choices_of(found, one)]
    takes = [one for one in takes if type_of(found, one) not in {int, float}]
    known = {*COMPLETERS, *FREE}
    assert [one.name for one in takes if one.name not in known and (command, one.name) not in known] == []


def test_commands_and_options() -> None:
    assert offered("") == command_names()
    assert offered("su") == ["summary"]
    assert offered("--v") == ["--version"]
    assert offered("nosuch", "") == []
    found = offered("summary", "lenet", "--depth", "2", "--")
    assert "--format" in found
    assert "--help" in found
    assert "--depth" not in found  # is given
    assert "--set" in offered("summary", "--set", "a=1", "--s")  # may be repeated
    assert {"-q", "--quiet"} <= set(offered("train", "-"))


def test_choices() -> None:
    assert offered("summary", "--format", "") == ["table", "json", "csv", "markdown"]
    assert offered("summary", "--format=m") == ["--format=markdown"]
    assert offered("completion", "") == ["bash", "zsh", "fish"]
    assert "filters" in offered("draw", "fil")


def test_networks(folder: Path) -> None:
    assert offered("summary", "m")[0] == "my.arch"
    everything = offered("summary", "")
    assert everything[:5] == ["my.arch", "other net.arch", "runs/", "sub/", "runs/first"]
    assert set(index.names()) == set(everything[5:]) == set(zoo_names())
    assert offered("eval", "runs/") == ["runs/first", "runs/nothing/"]
    assert offered("diff", "lenet", "alexn") == ["alexnet", "alexnet_2012"]
    assert offered("train", "--resume", "runs/f") == ["runs/first"]
    assert offered("predict", "lenet", "c") == ["cat.png"]
    assert offered("predict", "lenet", "cat.png", "c") == ["cat.png"]  # several images
    assert offered("summary", "lenet", "a") == []  # one network


def test_files_of_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert offered("summary", "~/m") == ["~/my.arch"]
    assert offered("summary", "./m") == ["./my.arch"]


def test_models_and_settings_of_the_file(folder: Path) -> None:
    assert offered("summary", "my.arch", "--model", "") == ["small", "large"]
    assert offered("summary", "my.arch", "--set", "") == ["width=", "deep="]
    assert offered("summary", "--set", "w") == []  # the network is not known yet
    found = offered("train", "my.arch", "--set", "")
    assert found == ["width=", "deep=", *(f"{name}=" for name in Recipe.model_fields)]
    assert offered("train", "my.arch", "--set", "optimizer=adam") == [
        f"optimizer={name}" for name in FAMILIES["optimizer"] if name.startswith("adam")
    ]
    assert offered("train", "my.arch", "--set", "optimizer.mom") == ["optimizer.momentum=", "optimizer.momentum_decay="]
    assert offered("train", "my.arch", "--set=precision=b") == ["--set=precision=bf16"]
    assert offered("train", "my.arch", "--set", "channels_last=") == ["channels_last=true", "channels_last=false"]
    assert offered("diff", "my.arch", "lenet", "--new-set", "p") == ["pool="]


def test_names_of_the_code() -> None:
    load_all()
    assert offered("explain", "") == sorted(CODES)
    assert offered("layers", "") == [item.name for item in all_items()]
    assert offered("layers", "--kind", "losses", "m") == ["mse"]
    assert offered("summary", "lenet", "--columns", "kind,para") == ["kind,params"]
    assert offered("draw", "filters", "lenet", "--layer", "features.0") == ["features.0"]
    assert offered("draw", "network", "lenet", "--fold", "") == ["features", "classifier"]
    assert offered("eval", "resnet18", "--weights", "torch") == [
        "torchvision:DEFAULT",
        "torchvision:IMAGENET1K_V1",
    ]


@pytest.mark.parametrize(
    "words", [["summary", "missing.arch", "--model", ""], ["draw", "filters", "wrong.arch", "--layer", ""]]
)
def test_a_wrong_network_completes_nothing(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.arch").write_text("model m {")
    assert offered(*words) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("archdsl ", [""]),
        ("archdsl su", ["su"]),
        ("archdsl summary ", ["summary", ""]),
        ("archdsl summary 'my n", ["summary", "my n"]),
        ('archdsl check "a b" c', ["check", "a b", "c"]),
        ("archdsl train --set optimizer.lr=", ["train", "--set", "optimizer.lr="]),
    ],
)
def test_words_of_a_line_in_bash(line: str, words: list[str]) -> None:
    assert _bash_words(line) == words


def test_bash_inserts_what_follows_its_own_break(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["__complete", "bash", "archdsl train lenet --set optimizer=adaf"]) == 0
    assert capsys.readouterr().out == "adafactor\n"
    assert main(["__complete", "bash", "archdsl eval resnet18 --weights torchvision:D"]) == 0
    assert capsys.readouterr().out == "DEFAULT\n"


def test_descriptions(capsys: Capture) -> None:
    assert main(["__complete", "fish", "archdsl", "explain", "E402"]) == 0
    assert capsys.readouterr().out == "E402\tA window that is larger than its input.\n"


def program(folder: Path) -> dict[str, str]:
    """An environment with `archdsl` in it, and nothing of the user's."""
    script = folder / "bin" / "archdsl"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m archdsl "$@"\n')
    script.chmod(0o755)
    source = str(Path(__file__).parents[2])
    return {
        **os.environ,
        "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")])),
        "HOME": str(folder),
        "ZDOTDIR": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "TERM": "xterm",
        "PS1": "> ",
    }


def typed(command: list[str], keys: list[tuple[str, str]], environment: dict[str, str]) -> str:
    """What an interactive shell shows: of each pair, the keys are typed and then the text is waited for."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, environment)
    shown = ""
    try:
        for keys_of_one, expected in keys:
            start = len(shown)
            os.write(terminal, keys_of_one.encode())
            end = time.monotonic() + 10
            while expected not in shown[start:] and time.monotonic() < end:
                if select.select([terminal], [], [], 0.1)[0]:
                    shown = CONTROL.sub("", shown + os.read(terminal, 4096).decode(errors="replace"))
            assert expected in shown[start:], shown
    finally:
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    return shown


#: How a terminal is told to change colours and places.
CONTROL = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>])")
KEYS = [
    ("archdsl summ\t", "ary "),
    ("my\t", ".arch "),
    ("--for\t", "mat "),
    ("mark\t", "down "),
    ("--set w\t", "idth="),
    ("3 ", " "),
    ("\x15archdsl train my.arch --set optimizer=adaf\t", "actor "),
    ("\x15archdsl eval runs/f\t", "irst "),
]


def in_bash(folder: Path, keys: list[tuple[str, str]]) -> None:
    environment = program(folder)
    (folder / "rc").write_text('eval "$(archdsl completion bash)"; PS1="ready> "\n')
    typed(["bash", "--rcfile", "rc", "-i"], [("", "ready> "), *keys], environment)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_in_bash(folder: Path) -> None:
    in_bash(folder, KEYS[6:7])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_all_in_bash(folder: Path) -> None:
    in_bash(folder, KEYS)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_in_zsh(folder: Path) -> None:
    environment = program(folder)
    (folder / ".zshrc").write_text(
        'autoload -Uz compinit; compinit -u; eval "$(archdsl completion zsh)"; PS1="ready> "\n'
    )
    typed(["zsh", "-i"], [("", "ready> "), *KEYS], environment)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_in_fish(folder: Path) -> None:
    environment = program(folder)
    main_script = subprocess.run(
        ["archdsl", "completion", "fish"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    lines = ["archdsl summ", "archdsl summary my", "archdsl summary --format ma", "archdsl summary my.arch --set w"]
    asked = "\n".join(f"complete -C '{line}'" for line in lines)
    command = ["fish", "--no-config", "-c", f"{main_script}\n{asked}"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=folder).stdout
    assert [line.partition("\t")[0] for line in found.splitlines()] == ["summary", "my.arch", "markdown", "width="]
