"""What users do with a network in each of its forms: a path, a name, a run folder, a file in git, standard input."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import archdsl
from archdsl.cli import main
from archdsl.cli.network import Asked
from tests.cli.runs import write_run

SPEC = """\
import "lib.arch"

model net(width = 4, act = relu) {
  input(1x8x8)
  flatten
  hidden(width, act)
  linear(10)
}
model other = net(act=sigmoid)
train { dataset = digits; epochs = 1; batch = 64; optimizer = adam(lr=0.05); report = false }
"""
LIBRARY = "block hidden(n, act) { linear(n); act }\n"
#: Each form with the width that the network has in it.
FORMS = {"net.arch": 4, "runs/one": 6, "HEAD:net.arch": 3, "-": 4}

Capture = pytest.CaptureFixture[str]


def params(width: int) -> int:
    """Two linear layers, by hand."""
    return 64 * width + width + 10 * width + 10


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which the width was 3, and a run with a width of 6."""
    folder = tmp_path_factory.mktemp("networks")
    (folder / "lib.arch").write_text(LIBRARY)
    (folder / "net.arch").write_text(SPEC.replace("width = 4", "width = 3"))
    user = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (["init", "-q"], ["add", "."], [*user, "commit", "-qm", "x", "--no-gpg-sign"]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    (folder / "net.arch").write_text(SPEC)
    run = ["--set", "width=6", "--out", str(folder / "runs" / "one"), "--quiet"]
    assert main(["train", str(folder / "net.arch"), *run]) == 0
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "image.png")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the current folder, with the spec on standard input."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SPEC.encode())))
    return tmp_path / "copy"


def printed(capsys: Capture, *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == code, capsys.readouterr().err
    streams = capsys.readouterr()
    return streams.err if code else streams.out


def parsed(capsys: Capture, *arguments: str) -> Any:
    return json.loads(printed(capsys, *arguments, "--format", "json"))


@pytest.mark.parametrize(("form", "width"), [*FORMS.items(), ("lenet", 0)])
def test_the_same_network_for_every_command_without_weights(
    folder: Path, form: str, width: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, name = (params(width), "net") if width else (61_706, "lenet")

    def rewound(*arguments: str) -> str:
        sys.stdin.seek(0)
        return printed(capsys, *arguments)

    assert json.loads(rewound("summary", form, "--format", "json"))["params"] == expected
    assert json.loads(rewound("sizes", form, "--format", "json"))["model"] == name
    assert rewound("show", form).startswith(f"model {name}(")
    assert f"model {name}" in rewound("show", form, "--stage", "tree")
    namespace: dict[str, Any] = {"__name__": "printed"}
    exec(rewound("show", form, "--stage", "torch"), namespace)
    assert sum(weight.numel() for weight in namespace[name.capitalize()]().parameters()) == expected
    assert "Gemm" in rewound("show", form, "--stage", "onnx")
    rewound("draw", "network", form, "-o", "network.svg")
    assert "10" in Path("network.svg").read_text("utf-8")
    against = "lenet" if width == 0 else "net.arch"
    difference = json.loads(rewound("diff", form, against, "--format", "json"))
    assert difference["old"]["params"] == expected
    assert bool(difference["changes"]) == (width not in {0, 4})
    rewound("new", "copied", "--from", form)
    assert archdsl.load("copied.arch").params == expected
    assert "no errors" in rewound("check", form)


@pytest.mark.parametrize(("form", "width"), FORMS.items())
def test_every_form_can_be_trained(folder: Path, form: str, width: int, capsys: Capture) -> None:
    printed(capsys, "train", form, "--out", "new", "--quiet")
    info = json.loads(Path("new/run.json").read_text())
    assert (info["model"], info["settings"]["width"], info["dataset"]) == ("net", width, "digits")
    assert info["params"] == params(width)
    assert parsed(capsys, "summary", "new")["params"] == params(width)


def test_a_run_brings_its_weights(folder: Path, capsys: Capture) -> None:
    run, spec = "runs/one", ["net.arch", "--weights", "runs/one"]
    assert parsed(capsys, "eval", run) == parsed(capsys, "eval", *spec)
    assert parsed(capsys, "predict", run, "image.png") == parsed(capsys, "predict", spec[0], "image.png", *spec[1:])
    text = printed(capsys, "export", run, "-o", "one.onnx")
    assert "with the weights of runs/one" in text
    assert "agrees with net with the weights of runs/one" in printed(capsys, "verify", "one.onnx", run)
    assert "E713" in printed(capsys, "verify", "one.onnx", run, "--weights", other_weights(folder), code=1)


def other_weights(folder: Path) -> str:
    """A file with other weights for the network of the run, in no run."""
    from archdsl.backends.torch import save_weights

    path = folder / "weights.safetensors"
    save_weights(Asked("runs/one").network().build(seed=5), path)
    return str(path)


def test_other_weights_in_a_run(folder: Path, capsys: Capture) -> None:
    """A file elsewhere is evaluated with the run's recipe and normalisation, and predicts with its classes."""
    shutil.copy("runs/one/weights.safetensors", "elsewhere.safetensors")
    own = parsed(capsys, "eval", "runs/one")
    assert parsed(capsys, "eval", "runs/one", "--weights", "elsewhere.safetensors") == own
    assert parsed(capsys, "eval", "runs/one", "--weights", other_weights(folder))["accuracy"] < own["accuracy"]
    both = [
        parsed(capsys, "predict", "runs/one", "image.png", *more)
        for more in ([], ["--weights", "elsewhere.safetensors"])
    ]
    assert both[0] == both[1]


def test_published_weights_need_a_network_of_the_zoo(folder: Path, capsys: Capture) -> None:
    assert "error[E722]" in printed(capsys, "eval", "runs/one", "--weights", "torchvision:DEFAULT", code=1)


def test_options_go_over_the_run(folder: Path, capsys: Capture) -> None:
    run = "runs/one"
    assert parsed(capsys, "summary", run, "--set", "width=5")["params"] == params(5)
    assert parsed(capsys, "summary", run, "--input", "1x4x4")["params"] == 16 * 6 + 6 + 70
    assert "E703" in printed(capsys, "eval", run, "--set", "width=5", code=1)


def test_another_model_of_the_spec_has_its_own_values(tmp_path: Path, capsys: Capture) -> None:
    run = write_run(tmp_path / "run", settings={"width": 6})
    with (run / "spec.arch").open("a") as file:
        file.write("model other(width = 5) = small(width=width)\n")
    assert parsed(capsys, "summary", str(run))["params"] == params(6)
    other = parsed(capsys, "summary", str(run), "--model", "other")
    assert (other["model"], other["params"]) == ("other", params(5))


@pytest.mark.parametrize("command", ["eval", "predict", "export", "verify", "draw"])
def test_weights_of_another_model(folder: Path, command: str, capsys: Capture) -> None:
    """They would fit: only the activation differs."""
    arguments = {
        "eval": ["runs/one"],
        "predict": ["runs/one", "image.png"],
        "export": ["runs/one", "-o", "x.onnx"],
        "verify": ["x.onnx", "runs/one"],
        "draw": ["activations", "runs/one"],
    }[command]
    message = printed(capsys, command, *arguments, "--model", "other", code=2)
    assert "error[E792]: the weights of runs/one belong to the model net, not to other" in message


def test_a_zoo_name_is_the_model(tmp_path: Path, capsys: Capture) -> None:
    """A file of a run of another model of the same spec is loaded into the model that was named."""
    from archdsl.zoo import specs_folder

    spec = (specs_folder() / "lenet.arch").read_text("utf-8")
    run = write_run(tmp_path / "run", spec=spec, model="lenet", settings={"classes": 7}, input=[1, 28, 28])
    (run / "weights.safetensors").touch()
    found = Asked("lenet_relu").weighted(str(run / "weights.safetensors")).network
    assert (found.name, found.output_shape) == ("lenet_relu", (10,))
    same = Asked("lenet").weighted(str(run / "weights.safetensors")).network
    assert (same.name, same.output_shape) == ("lenet", (7,))
    message = printed(capsys, "eval", "lenet_relu", "--weights", str(run), code=2)
    assert "belong to the model lenet, not to lenet_relu" in message
    assert "E792" in printed(capsys, "eval", "resnet18", "--weights", str(run), code=2)


def test_what_is_known_of_a_network_on_standard_input(folder: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(["summary", "-", "--stdin-filename", "net.arch", "--set", "act=3"]) == 1
    assert "these are the layers whose shapes are known" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", "net.arch"],
        ["eval", "-"],
        ["predict", "HEAD:net.arch", "image.png"],
        ["draw", "confusion", "net.arch"],
        ["eval", "resnet18"],
    ],
)
def test_weights_that_are_missing(folder: Path, arguments: list[str], capsys: Capture) -> None:
    message = printed(capsys, *arguments, code=2)
    assert "error[E791]" in message
    assert "--weights runs/NAME" in message
    assert ("torchvision:DEFAULT" in message) == ("resnet18" in arguments)


def test_standard_input_has_a_name(
    folder: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imports are relative to it, messages name it, and the model of its name is the default one."""
    monkeypatch.chdir(tmp_path)
    assert "there is no file `lib.arch`" in printed(capsys, "summary", "-", code=1)
    sys.stdin.seek(0)
    found = parsed(capsys, "summary", "-", "--stdin-filename", "copy/other.arch")
    assert found["model"] == "other"
    sys.stdin.seek(0)
    message = printed(capsys, "summary", "-", "--stdin-filename", "copy/net.arch", "--set", "width=0", code=1)
    assert "--> copy/lib.arch:1:" in message
    assert "called at copy/net.arch:6:3" in message


@pytest.mark.parametrize("data", [b"model \xff", b""])
def test_standard_input_that_is_no_spec(data: bytes, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert "<stdin>" in printed(capsys, "summary", "-", code=1)


def test_a_closed_standard_input(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert "error[E008]" in printed(capsys, "summary", "-", code=1)


def test_resume_and_repeat(folder: Path, capsys: Capture) -> None:
    printed(capsys, "train", "runs/one", "--out", "again", "--quiet")
    assert Path("again/weights.safetensors").read_bytes() == Path("runs/one/weights.safetensors").read_bytes()
    printed(capsys, "train", "net.arch", "--resume", "again", "--epochs", "2", "--quiet")
    assert len(Path("again/metrics.jsonl").read_text().splitlines()) == 2
    assert "E632" in printed(capsys, "train", "net.arch", "--resume", "nowhere", code=1)


def test_the_specs_of_runs_and_hidden_folders_are_not_searched(folder: Path, capsys: Capture) -> None:
    Path(".venv").mkdir()
    Path(".venv/bad.arch").write_text("model {")
    assert printed(capsys, "check", ".").endswith("checked 2 files with 2 models and 1 block: no errors\n")
    assert printed(capsys, "check", "runs/one").startswith("checked 1 file")


def test_zoo_files_are_named_from_the_current_folder(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archdsl.zoo import specs_folder

    arguments = ["summary", "lenet", "--set", "classes=none"]
    monkeypatch.chdir(specs_folder().parent)
    assert f"--> {specs_folder().name}/lenet.arch:" in printed(capsys, *arguments, code=1)
    monkeypatch.chdir(tmp_path)
    message = printed(capsys, *arguments, code=1)
    [place] = [line for line in message.splitlines() if "-->" in line]
    assert Path(place.split("--> ")[1].split(":")[0]).resolve() == specs_folder() / "lenet.arch"
