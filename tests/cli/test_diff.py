"""`archdsl diff`: from files, the zoo, run folders and git, in every format."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from archdsl.cli import main

Capture = pytest.CaptureFixture[str]
BLOCK = "block unit(n) { conv(n, 3, padding=1, bias=false); batchnorm; relu }\n"
MODEL = (
    'import "lib/blocks.arch"\nmodel net(classes = 10) {\n  input(3x8x8)\n  unit(8)\n  flatten\n  linear(classes)\n}\n'
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits: the second one widens the imported block's kernel and the model's output."""
    (tmp_path / "specs" / "lib").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    model, blocks = tmp_path / "specs" / "net.arch", tmp_path / "specs" / "lib" / "blocks.arch"
    for block, text in ((BLOCK, MODEL), (BLOCK.replace("3, padding=1", "5, padding=2"), MODEL.replace("10", "20"))):
        model.write_text(text)
        blocks.write_text(block)
        git("init", "-q") if not (tmp_path / ".git").exists() else None
        git("add", ".")
        git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--no-gpg-sign")
    return tmp_path


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def changes(arguments: list[str], capsys: Capture) -> list[tuple[str, list[str], list[str]]]:
    """The changes by JSON: what, where, and which facts differ."""
    assert main(["diff", *arguments, "--format", "json"]) == 0, capsys.readouterr().err
    found = json.loads(capsys.readouterr().out)
    return [(one["change"], one["new"], sorted(one["facts"])) for one in found["changes"]]


def test_a_revision_has_its_own_imports(repository: Path, capsys: Capture) -> None:
    both = [("changed", ["0.0"], ["kernel_size", "padding"]), ("changed", ["2"], ["out_features"])]
    assert changes(["HEAD~1:specs/net.arch", "specs/net.arch"], capsys) == both
    assert changes(["HEAD~1:specs/net.arch", "HEAD:specs/net.arch"], capsys) == both
    assert changes(["HEAD:specs/net.arch", "specs/net.arch"], capsys) == []
    # What is not committed counts too, and the file may be gone by now.
    (repository / "specs" / "lib" / "blocks.arch").write_text(BLOCK)
    assert changes(["HEAD:specs/net.arch", "specs/net.arch"], capsys) == both[:1]
    (repository / "specs" / "net.arch").unlink()
    assert changes(["HEAD~1:specs/net.arch", "HEAD:specs/net.arch"], capsys) == both


def test_paths_of_revisions_count_from_the_top_or_the_current_folder(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(repository / "specs")
    assert len(changes(["HEAD~1:./net.arch", "HEAD:specs/net.arch"], capsys)) == 2
    assert len(changes(["HEAD~1:./lib/../net.arch", "net.arch"], capsys)) == 2


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("HEAD~9:specs/net.arch", "HEAD~9"),
        ("HEAD:specs/no.arch", "specs/no.arch"),
        ("HEAD:net.arch", "net.arch"),
        ("HEAD:../net.arch", "outside"),
    ],
)
def test_what_git_does_not_have(repository: Path, spec: str, reason: str, capsys: Capture) -> None:
    assert main(["diff", spec, "specs/net.arch"]) == 1
    error = capsys.readouterr().err
    assert f"error[E790]: git has no {spec}: " in error
    assert reason in error.partition(f"{spec}: ")[2].splitlines()[0]


def test_no_repository_and_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["diff", "HEAD:net.arch", "lenet"]) == 1
    assert "not a git repository" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["diff", "HEAD:net.arch", "lenet"]) == 1
    assert "git is not installed" in capsys.readouterr().err


def test_an_import_that_was_not_there_yet(repository: Path, capsys: Capture) -> None:
    """The error is at the import, as for a file on disk."""
    (repository / "specs" / "net.arch").write_text('import "new.arch"\n' + MODEL)
    (repository / "specs" / "new.arch").write_text("let unused = 1\n")
    git("add", "specs/net.arch")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--no-gpg-sign")
    assert main(["diff", "HEAD:specs/net.arch", "specs/net.arch"]) == 1
    error = capsys.readouterr().err
    assert "git has no HEAD:specs/new.arch" in error
    assert "--> HEAD:specs/net.arch:1:8" in error


def test_settings_and_models_for_each_side(repository: Path, capsys: Capture) -> None:
    spec = "specs/net.arch"
    assert changes([spec, spec, "--new-set", "classes=5"], capsys) == [("changed", ["2"], ["out_features"])]
    assert changes([spec, spec, "--set", "classes=5"], capsys) == []
    assert changes([spec, spec, "--set", "classes=5", "--old-set", "classes=7"], capsys)[0][1] == ["2"]
    assert main(["diff", spec, spec, "--new-set", "classes=5"]) == 0
    assert capsys.readouterr().out.startswith("net(classes=20) -> net(classes=5)\n")
    pair = ["vgg11", "vgg11", "--new-model", "vgg13"]
    assert {change for change, *_ in changes(pair, capsys)} == {"added", "renamed"}


def test_the_exit_code(capsys: Capture) -> None:
    assert main(["diff", "lenet", "lenet", "--exit-code"]) == 0
    assert capsys.readouterr().out == "lenet -> lenet\n\nthe networks are the same\n"
    assert main(["diff", "lenet", "lenet", "--new-set", "classes=5"]) == 0
    assert main(["diff", "lenet", "lenet", "--new-set", "classes=5", "--exit-code"]) == 1


def test_a_run_folder_is_the_network_that_was_trained(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("torch")
    run = str(tmp_path / "run")
    options = ["--set", "epochs=1", "--dataset", "digits", "--set", "classes=10", "--set", "device=cpu", "--out", run]
    spec = tmp_path / "net.arch"
    spec.write_text("model net(width = 4, classes = 3) { input(1x8x8); flatten; linear(width); relu; linear(classes) }")
    assert main(["train", str(spec), "--set", "width=6", *options]) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert changes([run, str(spec), "--new-set", "width=6", "--new-set", "classes=10"], capsys) == []
    assert [one[1] for one in changes([run, str(spec)], capsys)] == [["1"], ["3"]]
    assert main(["diff", str(tmp_path), str(spec)]) == 1
    assert "E632" in capsys.readouterr().err


def test_the_json_form(capsys: Capture) -> None:
    assert main(["diff", "resnet50", "resnet101", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["old", "new", "changes", "inputs", "outputs", "shapes", "checkpoint"]
    [change] = found["changes"]
    assert (change["change"], change["kind"], change["layers"], change["params"]) == (
        *("added", "bottleneck", 153, 18_992_128),
    )
    assert change["new"] == [f"layer3.{i}" for i in range(6, 23)]
    assert found["checkpoint"]["verdict"] == "loads with strict=False"
    assert len(found["checkpoint"]["missing"]) == 306
    assert (found["old"]["params"], found["new"]["params"]) == (25_557_032, 44_549_160)


def test_repeated_changes_have_all_names(capsys: Capture) -> None:
    found = changes(["resnet34", "resnet50"], capsys)
    conv1 = [names for change, names, facts in found if change == "changed" and names[0].endswith("conv1")]
    assert ["layer3.1.conv1", "layer3.2.conv1", "layer3.3.conv1", "layer3.4.conv1", "layer3.5.conv1"] in conv1
    assert sum(map(len, conv1)) == 16
    # 5 * (256*1024 - 256*256*3*3)
    assert main(["diff", "resnet34", "resnet50"]) == 0
    assert re.search(r"layer3\.{1\.\.5}\.conv1 .* -1,638,400\n", capsys.readouterr().out)


def test_the_table_and_markdown(capsys: Capture) -> None:
    assert main(["diff", "vgg11", "vgg13"]) == 0
    table = capsys.readouterr().out
    assert "+  features.2 " in table
    assert ">  features.3 -> features.5 " in table
    assert (
        "A checkpoint of vgg11 loads into vgg13 with strict=False: 8 entries kept, 18\n  missing, 14 unexpected.\n"
        in table
    )
    assert main(["diff", "vgg11", "vgg13", "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    assert "| + | `features.2` | conv, 64x224x224 -> 64x224x224 | +36,928 |" in text
    assert "| Parameters | 132,863,336 | 133,047,848 | +184,512 (+0.1 %) |" in text
