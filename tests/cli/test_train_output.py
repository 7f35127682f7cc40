"""What `archdsl train` prints, as a whole: of a run, a resumed one, quietly and as JSON. Times are masked."""

import json
import re
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from archdsl.cli import main

SPEC = """
model small(width = 4) {
  input(1x12x12)
  conv(width, 3); batchnorm; relu
  adaptive_avgpool(2); flatten; linear(12)
}
train {
  dataset = digits; validation = 0.25; epochs = 2; batch = 256; optimizer = adam(lr=0.01)
  augment = [random_crop(12, 1)]; ema = 0.9; report = false
}
"""

Capture = pytest.CaptureFixture[str]


def masked(text: str) -> str:
    """The text without what depends on the machine: figures that were measured, and times."""
    text = re.sub(r"\d+\.\d+s|\d+:\d\d|(?<!lr=)\b\d+\.\d{2,}%?", "0", text)
    return re.sub(r"(?m)^( +\d/\d) .*$", r"\1 ...", text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.arch").write_text(SPEC, encoding="utf-8")
    return tmp_path


def test_a_run_and_its_resumption(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    monkeypatch.setattr("archdsl.runs.environment._processor", lambda: "CPU")
    assert main(["train", "small.arch", "--out", "run"]) == 0
    whole = capsys.readouterr().out
    assert masked(whole) == snapshot
    assert main(["train", "--resume", "run", "--epochs", "3"]) == 0
    resumed = capsys.readouterr().out
    assert masked(resumed) == snapshot
    lines = [line for line in (whole + resumed).splitlines() if re.match(r"epoch | +\d/\d ", line)]
    assert max(map(len, lines)) <= 80
    figures = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert [f"{line['val_accuracy']:.2%}" in text for line, text in zip(figures, lines[1:3], strict=False)] == [
        True
    ] * 2


def test_quiet_prints_the_folder_alone(here: Path, capsys: Capture) -> None:
    assert main(["train", "small.arch", "--epochs", "1", "-q"]) == 0
    [folder] = capsys.readouterr().out.splitlines()
    assert Path(folder, "weights.safetensors").is_file()


def test_json(here: Path, capsys: Capture) -> None:
    assert main(["train", "small.arch", "--epochs", "1", "--out", "run", "--format", "json"]) == 0
    start, note, epoch, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert (start["params"], start["trainable_params"]) == (4 * 9 + 4 + 8 + 16 * 12 + 12,) * 2
    assert (start["train"], start["validation"], start["test"], start["validates_on_test"]) == (1082, 360, 355, False)
    assert (start["epochs"], start["epoch_steps"], start["steps"]) == (1, 5, 5)
    assert note == {"event": "note", "text": "digits: 10 classes; the last 2 of 12 outputs stay unused"}
    [line] = Path("run/metrics.jsonl").read_text().splitlines()
    assert epoch == {"event": "epoch", "best": True} | json.loads(line)
    assert end["best"] == end["last"] == json.loads(line)
    assert end["test"]["samples"] == 355
    assert (end["state"], end["folder"], end["report"]) == ("finished", "run", None)
