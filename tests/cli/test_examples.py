"""The examples in the help of every command, run as they stand in a folder with a few files.

Those that need a download, and servers, are only parsed (tests/cli/test_commands.py does that with all). Those with
torch are slow.
"""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from archdsl.cli import main
from archdsl.cli.app import command_names
from archdsl.zoo import specs_folder
from tests.cli.runs import write_run

EXAMPLES = [one for name in command_names() for one in import_module(f"archdsl.cli.commands.{name}").EXAMPLES]
#: Parts of examples that need weights or data that are not there, or serve until they are stopped.
#: tests/cli/test_predict_inputs.py predicts for pairs.
PARSED = ("torchvision:", "archdsl train lenet", "runs/pair", "runs/autoencoder", "archdsl lsp")
#: The commands, and parts of others, that build, train or draw with torch or matplotlib.
WITH_TORCH = ("train", "eval", "predict", "export", "verify", "report", "-o compare", "--stage", ".pdf", "draw")


def needs_torch(example: str) -> bool:
    words = shlex.split(example)
    return words[1] in WITH_TORCH or any(part in example for part in WITH_TORCH if part.startswith(("-", ".")))


HERE = [one for one in EXAMPLES if not any(word in one for word in PARSED)]
LIGHT = [one for one in HERE if not needs_torch(one) or one.startswith("archdsl draw network")]


def in_git(folder: Path, *arguments: str) -> None:
    user = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spec in two revisions, and runs as the commands without torch read them."""
    folder = tmp_path_factory.mktemp("examples")
    in_git(folder, "init", "-q")
    for width in (4, 8):
        text = f"model net(width = {width}) {{\n  input(1x8x8)\n  flatten\n  linear(width)\n}}\n"
        (folder / "net.arch").write_text(text)
        in_git(folder, "add", ".")
        in_git(folder, "commit", "-qm", "a width")
    (folder / "experiments").mkdir()
    spec = (specs_folder() / "lenet.arch").read_text("utf-8")
    for name in ("lenet", "a", "b"):
        write_run(folder / "runs" / name, spec=spec, model="lenet", settings={}, input=[1, 28, 28])
    return folder


@pytest.fixture(scope="module")
def trained(light: Path) -> Path:
    """The same with runs that have weights, with images and an exported file."""
    from PIL import Image

    shutil.rmtree(light / "runs")
    options = ["--dataset", "digits", "--set", "epochs=1", "--set", "report=false", "--quiet"]
    for name in ("lenet", "a", "b"):
        assert main(["train", "lenet_relu", *options, "--out", str(light / "runs" / name)]) == 0
    for name in ("three", "a", "b"):
        Image.new("L", (8, 8), 80).save(light / f"{name}.png")
    assert main(["export", str(light / "runs" / "lenet"), "-o", str(light / "lenet.onnx")]) == 0
    return light


def run_example(example: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    line, _, stdin = example.partition(" < ")
    if stdin:
        data = io.BytesIO(Path(stdin).read_bytes())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    return main(shlex.split(line)[1:])


@pytest.mark.parametrize("example", LIGHT)
def test_an_example(
    example: str, light: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_example(example, light, monkeypatch)
    streams = capsys.readouterr()
    assert code == 0, streams.err + streams.out
    assert "error" not in streams.err
    (light / "mynet.arch").unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("example", [one for one in HERE if one not in LIGHT])
def test_an_example_with_torch(
    example: str, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_example(example, trained, monkeypatch)
    streams = capsys.readouterr()
    assert code == 0, streams.err + streams.out


def test_few_examples_are_only_parsed() -> None:
    assert len(EXAMPLES) - len(HERE) < len(EXAMPLES) / 6
