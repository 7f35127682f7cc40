"""Standard streams that are closed, lost, or accept ASCII only."""

import io
import json
import os
import subprocess
import sys

import pytest

from archdsl.cli import main

ARCHDSL = f"{sys.executable} -m archdsl"


def printed(monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: str) -> str:
    """What a command prints to a stream of that encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(arguments) == 0
    return stream.detach().getvalue().decode(encoding)


def test_rules_and_accents_have_a_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    table = printed(monkeypatch, "ascii", "summary", "lenet")
    assert table.replace("-", "─") == printed(monkeypatch, "utf-8", "summary", "lenet").replace("-", "─")
    assert "Piotr Dollar" in printed(monkeypatch, "ascii", "zoo", "regnet_y_400mf")


def test_json_is_the_same_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("zoo", "regnet_y_400mf", "--json")
    plain = printed(monkeypatch, "ascii", *arguments)
    assert r"Doll\u00e1r" in plain
    assert json.loads(plain) == json.loads(printed(monkeypatch, "utf-8", *arguments))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("summary lenet >&-", 0),
        ("summary lenet <&- >&- 2>&-", 0),
        ("summary nosuch >&- 2>&-", 1),
        ("fmt - <&-", 0),
    ],
)
def test_closed_streams(command: str, code: int) -> None:
    done = subprocess.run(["bash", "-c", f"{ARCHDSL} {command}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_closed_stream_is_no_file_that_is_opened_next(tmp_path: os.PathLike[str]) -> None:
    """With stdout closed, the file to be written would get its descriptor, and in it what is printed."""
    command = ["bash", "-c", f"{ARCHDSL} new one >&- && cat one.arch"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.startswith(b"# one: ")
    assert b"wrote" not in done.stdout


def test_readers_of_both_streams_have_gone() -> None:
    script = f"({ARCHDSL} summary resnet152; echo $? >&3) 2>&1 | true"
    done = subprocess.run(["bash", "-c", f"({script}) 3>&1"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")
