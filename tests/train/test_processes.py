"""Runs in two gloo processes under torchrun, compared with the same runs in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import DistBackendError, DistNetworkError, DistStoreError

from archdsl.api import load
from archdsl.datasets.seeds import epoch_order
from archdsl.diagnostics import SpecError
from archdsl.recipe import Recipe
from archdsl.recipe.augmentations import RandomCrop
from archdsl.recipe.losses import CrossEntropy, PairwiseDistance
from archdsl.recipe.optimizers import Adam, Sgd
from archdsl.recipe.schedules import Plateau
from archdsl.runs.checkpoint import checkpoints
from archdsl.runs.folder import RunFolder
from archdsl.train.processes.launch import are_several
from tests.train.several import plain
from tests.train.stub import Stub, cnn, run
from tests.train.test_nothing_lost import assert_same_run, lines
from tests.train.test_resuming import CUT, OPTIMIZERS, SHORT

pytest.importorskip("accelerate")

ROOT = Path(__file__).parents[2]
SAMPLES = 1442  # of the digits' training set

#: Shares of 76 and 75 samples, and of 42 and 41 in the last batch; a class that weighs nothing.
PLAIN = Recipe(
    epochs=3,
    batch=151,
    device="cpu",
    optimizer=Sgd(lr=0.1, momentum=0.9),
    loss=CrossEntropy(weight=(1, 2, 0, 0.5, 1, 1, 3, 1, 1, 1), label_smoothing=0.1),
    metrics=("accuracy", "top5", "f1"),
    validation=None,
    report=False,
)
#: Parts, bounds and an average; the last batch has one sample, which both processes compute.
SMALL = PLAIN.model_copy(update={"batch": 131, "accumulate": 3, "clip_norm": 0.5, "ema": 0.5, "loss": CrossEntropy()})
#: Everything that is random or looks at the batch.
RANDOM = Recipe(
    epochs=3,
    batch=200,
    device="cpu",
    validation=0.1,
    accumulate=2,
    optimizer=Adam(lr=1e-2),
    schedule=Plateau(patience=0, threshold=0.2),
    ema=0.8,
    checkpoint_every=4,
    keep=3,
    report=False,
    augment=(RandomCrop(size=(8, 8), padding=(1, 1)),),
)


@dataclass(frozen=True)
class Job:
    """A run in several processes (tests/train/several.py)."""

    module: str
    recipe: Recipe | None
    folder: Path
    resume: bool = False
    what: str = "nothing"


@dataclass(frozen=True)
class Launched:
    """How the processes ended, and for each job and process its exit code and what it has to say."""

    code: int
    output: str
    ends: Mapping[tuple[int, int], tuple[int, str]]

    def codes(self, job: int) -> tuple[int, int]:
        return self.ends[job, 0][0], self.ends[job, 1][0]

    def said(self, job: int) -> list[str]:
        """What the two processes print, silence left out."""
        return [text for _, text in (self.ends[job, 0], self.ends[job, 1]) if text]


def launch(arguments: Sequence[str], *, limit: int = 180, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *arguments,
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=limit
    )


def do(jobs: Sequence[Job], out: Path, *, limit: int = 180, **variables: str) -> Launched:
    out.mkdir()
    texts = [(j.module, j.recipe and j.recipe.to_json(), str(j.folder), j.resume, j.what) for j in jobs]
    (out / "jobs").write_text(json.dumps(texts), encoding="utf-8")
    done = launch(["-m", "tests.train.several", str(out / "jobs"), str(out)], limit=limit, **variables)
    ends = {}
    for path in out.glob("*.json"):
        job, rank = map(int, path.stem.split("-"))
        end = json.loads(path.read_text(encoding="utf-8"))
        ends[job, rank] = end["code"], end["text"]
    return Launched(done.returncode, done.stdout + done.stderr, ends)


def assert_same_curve(folder: Path, other: Path, *, weights: float = 1e-5) -> None:
    """Losses agree to 1e-5, shares of samples exactly, and weights up to rounding."""
    for one, two in zip(lines(folder), lines(other), strict=True):
        assert one.keys() == two.keys()
        for name, value in one.items():
            assert two[name] == (pytest.approx(value, rel=1e-5) if "loss" in name else value), name
    first, second = load_file(RunFolder(folder).weights), load_file(RunFolder(other).weights)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=weights, atol=weights)


@dataclass(frozen=True)
class Runs:
    folder: Path
    names: Sequence[str]
    launched: Launched

    def codes(self, name: str) -> tuple[int, int]:
        return self.launched.codes(self.names.index(name))

    def said(self, name: str) -> list[str]:
        return self.launched.said(self.names.index(name))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One start of two processes for all jobs, since a start takes longer than they do; the last one is killed."""
    folder = tmp_path_factory.mktemp("two")
    distances = PLAIN.model_copy(update={"loss": PairwiseDistance(), "metrics": None, "max_steps": 4})
    run(Stub(plain), PLAIN.model_copy(update={"max_steps": 13}), folder / "begun by one")
    jobs = {
        "whole": Job("plain", PLAIN, folder / "whole"),
        "small": Job("plain", SMALL, folder / "small"),
        "terminated": Job("plain", PLAIN, folder / "terminated", what="term 1 14"),
        "begun by one": Job("plain", PLAIN, folder / "begun by one", resume=True),
        "distances": Job("plain", distances, folder / "distances"),
        "no number": Job("plain", PLAIN, folder / "no number", what="nan 1 12"),
        "full disk": Job("plain", PLAIN, folder / "full disk", what="full 0"),
        "rejected": Job("plain", PLAIN, folder / "rejected", what="reject 1"),
        "norms": Job("cnn", PLAIN.model_copy(update={"sync_batchnorm": True}), folder / "norms"),
        "elsewhere": Job("cnn", PLAIN.model_copy(update={"device": "cuda:1"}), folder / "elsewhere"),
        "random": Job("cnn", RANDOM, folder / "random"),
        "killed": Job("cnn", RANDOM, folder / "killed", what="kill 1 12"),
    }
    return Runs(folder, list(jobs), do(list(jobs.values()), folder / "ends"))


# The same run


def test_the_curve_is_that_of_one_process(two: Runs, tmp_path: Path) -> None:
    assert two.codes("whole") == (0, 0)
    run(Stub(plain), PLAIN, tmp_path / "one")
    assert_same_curve(two.folder / "whole", tmp_path / "one")
    facts = json.loads(RunFolder(two.folder / "whole").environment.read_text())
    assert facts["processes"] == 2


def test_a_batch_too_small_to_share_counts_once(two: Runs, tmp_path: Path) -> None:
    sizes = [len(rows) for rows in epoch_order(SAMPLES, SMALL.batch, 0, 0, keep_lone=True)]
    assert sizes[-1] == 1
    assert two.codes("small") == (0, 0)
    run(Stub(plain), SMALL, tmp_path / "one")
    assert_same_curve(two.folder / "small", tmp_path / "one")


def test_the_main_process_writes_and_speaks_alone(two: Runs) -> None:
    output = two.launched.output
    assert output.count("2 processes share each batch of 151\n") == len(("whole", "terminated", "no number")) + 2
    assert output.count(f"Saved       {two.folder / 'whole'}") == 1
    assert output.count("\n  1/3 ") == len(("whole", "small", "terminated", "distances", "random")) + 1
    names = {path.name for path in (two.folder / "whole").iterdir()}
    assert names == {
        *("spec.arch", "recipe.json", "run.json", "environment.json", "metrics.jsonl"),
        *("sessions.json", "evaluation.json"),
        *("weights.safetensors", "best.safetensors", "checkpoints"),
    }


def test_pairs_are_those_within_a_share(two: Runs) -> None:
    assert two.codes("distances") == (0, 0)
    (line,) = lines(two.folder / "distances")
    assert 0 < line["train_loss"] < 30


# Another number of processes


def test_a_run_of_two_processes_goes_on_in_one(two: Runs, tmp_path: Path) -> None:
    assert two.codes("terminated") == (143, 143)
    folder = two.folder / "terminated"
    steps = int(checkpoints(folder / "checkpoints")[0].stem.removeprefix("step-"))
    assert 14 <= steps <= 16  # the other process hears of it in the next step
    run(Stub(plain), None, None, resume=folder)
    run(Stub(plain), PLAIN, tmp_path / "one")
    assert_same_curve(folder, tmp_path / "one")


def test_a_run_of_one_process_goes_on_in_two(two: Runs, tmp_path: Path) -> None:
    assert two.codes("begun by one") == (0, 0)
    run(Stub(plain), PLAIN, tmp_path / "one")
    assert_same_curve(two.folder / "begun by one", tmp_path / "one")


# What goes wrong


def test_a_killed_process_ends_the_run_which_goes_on_bit_for_bit(two: Runs) -> None:
    assert two.launched.code != 0
    assert (two.names.index("killed"), 1) not in two.launched.ends
    code, text = two.launched.ends[two.names.index("killed"), 0]
    assert code == 1
    assert "error[E645]: process 0 of 2: another process of the run has ended" in text
    assert f"resume from the last checkpoint: archdsl train --resume {two.folder}" in text
    assert checkpoints(two.folder / "killed" / "checkpoints")[0].name == "step-000000008.safetensors"
    jobs = [Job("cnn", None, two.folder / "killed", resume=True)]
    jobs.append(Job("cnn", RANDOM, two.folder / "beheaded", what="kill 0 5"))
    again = do(jobs, two.folder / "again")
    assert again.codes(0) == (0, 0)
    assert_same_run(two.folder / "killed", two.folder / "random")
    assert again.ends[1, 1][0] == 1
    assert "error[E645]: process 1 of 2: another process of the run has ended" in again.ends[1, 1][1]


def test_a_loss_that_is_no_number_names_the_samples_of_its_process(two: Runs) -> None:
    assert two.codes("no number") == (1, 1)
    (text,) = two.said("no number")
    assert "error[E635]: the loss became nan at step 2 of epoch 2" in text
    rows = epoch_order(SAMPLES, PLAIN.batch, 0, 1, keep_lone=True)[1]
    facts = json.loads(RunFolder(two.folder / "no number").failed_batch.read_text())
    assert facts["samples"] == rows[76:].tolist()


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "full disk": "error[E708]: cannot write",
        "rejected": "error[E636]: there is no device cuda:7: it is one of many",
        "norms": "error[E646]: `sync_batchnorm` does not work with these processes: PyTorch supports it on GPUs only",
        "elsewhere": "error[E636]: there is no device cuda:1: each process uses its own",
    }.items(),
)
def test_an_error_in_one_process_ends_all_and_is_said_once(two: Runs, name: str, text: str) -> None:
    assert two.codes(name) == (1, 1)
    (said,) = two.said(name)
    assert said.startswith(text)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("[/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:31"), True),
        (RuntimeError("[/gloo/gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 1800000ms for recv"), True),
        (DistBackendError("NCCL error: ncclRemoteError: a network error or a remote process exiting"), True),
        (DistNetworkError("The client socket has timed out after 60000ms"), True),
        (DistStoreError("wait timeout after 300000ms"), True),
        (DistBackendError("NCCL error: ncclInvalidUsage"), False),
        (RuntimeError("ProcessGroupGloo::allreduce: invalid tensor type (expected dense CPU or CUDA tensor)"), False),
        (RuntimeError("[enforce fail at gloo/transport/tcp/pair.cc:446] op.nbytes >= length. 8 vs 4"), False),
        (RuntimeError("DataLoader timed out after 5 seconds"), False),
    ],
)
def test_an_error_of_the_transport_is_a_lost_process_only_where_it_says_so(error: Exception, expected: bool) -> None:
    from archdsl.train.processes.many import is_lost

    assert is_lost(error) is expected


# The command line

SPEC = """model net {
  input(1x8x8)
  conv(4, 3); batchnorm; relu
  flatten; linear(10)
}

train net {
  batch  = 200
  epochs = 1
  device = "cpu"
  report = false
}
"""


def test_the_command_under_torchrun(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(SPEC, encoding="utf-8")
    done = launch(["-m", "archdsl", "train", str(tmp_path / "net.arch"), "--out", str(tmp_path / "run")])
    assert done.returncode == 0, done.stderr
    assert "2 processes share each batch of 200" in done.stdout.splitlines()
    assert done.stdout.count("\n  1/1 ") == 1
    assert RunFolder(tmp_path / "run").weights.is_file()


@pytest.mark.slow
def test_the_command_under_accelerate_launch(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(SPEC, encoding="utf-8")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--multi_gpu"]
    command += ["-m", "archdsl", "train", str(tmp_path / "net.arch"), "--out", str(tmp_path / "run")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    assert "2 processes share each batch of 200" in done.stdout.splitlines()
    assert done.stdout.count("\n  1/1 ") == 1


@pytest.mark.slow
def test_a_mistake_in_the_spec_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(SPEC.replace("conv(4, 3)", "conv(4, 13)"), encoding="utf-8")
    done = launch(["-m", "archdsl", "train", str(tmp_path / "net.arch"), "--out", str(tmp_path / "run")])
    assert done.returncode == 1
    assert done.stderr.count("error[E") == 1


# The same run, stopped and resumed


@pytest.mark.slow
def test_two_processes_go_on_bit_for_bit(tmp_path: Path) -> None:
    """Every optimizer, layout, average and precision in one start of the processes."""
    jobs, folders = [], []
    for kind, (layout, ema, precision) in product(OPTIMIZERS, product((None, False), (None, 0.8), ("fp32", "bf16"))):
        folder = tmp_path / f"{kind} {layout} {ema} {precision}"
        recipe = SHORT.model_copy(
            update={"optimizer": OPTIMIZERS[kind], "channels_last": layout, "ema": ema, "precision": precision}
        )
        jobs.append(Job("layouts", recipe, folder / "whole"))
        jobs.append(Job("layouts", recipe.model_copy(update={"max_steps": CUT}), folder / "cut"))
        jobs.append(Job("layouts", recipe, folder / "cut", resume=True))
        folders.append(folder)
    done = do(jobs, tmp_path / "ends", limit=1800)
    assert {code for code, _ in done.ends.values()} == {0}, done.output
    for folder in folders:
        assert_same_run(folder / "cut", folder / "whole")


# FSDP


@pytest.mark.slow
def test_fsdp_gives_the_curve_of_one_process_and_whole_checkpoints(tmp_path: Path) -> None:
    recipe = PLAIN.model_copy(update={"optimizer": Adam(lr=0.01), "clip_norm": 1.0, "accumulate": 2, "report": True})
    jobs = [
        Job("plain", recipe, tmp_path / "whole"),
        Job("plain", recipe, tmp_path / "cut", what="term 0 14"),
        Job("plain", None, tmp_path / "cut", resume=True),
        Job("cnn", RANDOM.model_copy(update={"ema": None}), tmp_path / "random"),
        Job("cnn", RANDOM, tmp_path / "average"),
    ]
    done = do(jobs, tmp_path / "ends", ACCELERATE_USE_FSDP="true", FSDP_VERSION="2")
    assert [done.codes(number) for number in range(5)] == [(0, 0), (143, 143), (0, 0), (0, 0), (1, 1)], done.output
    assert done.said(4)[0].startswith("error[E646]: `ema` does not work with these processes")
    run(Stub(plain), recipe, tmp_path / "one")
    assert_same_curve(tmp_path / "whole", tmp_path / "one", weights=1e-4)
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    run(Stub(cnn), None, None, resume=tmp_path / "random")  # one process reads what two have written


# One process


def test_a_single_process_imports_nothing_for_several(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from archdsl.recipe import Recipe
from tests.train.several import plain
from tests.train.stub import Stub, run
run(Stub(plain), Recipe(epochs=1, device="cpu", report=False), Path({str(tmp_path / "run")!r}))
many = "archdsl.train.processes.many"
print(*(name for name in sys.modules if name.partition(".")[0] == "accelerate" or name == many))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"RANK": "0", "WORLD_SIZE": "1"}, False),
        ({"WORLD_SIZE": "4"}, False),
        ({"RANK": "0", "WORLD_SIZE": "4"}, True),
        ({"RANK": "0", "WORLD_SIZE": "1", "ACCELERATE_USE_FSDP": "true"}, True),
    ],
)
def test_launchers_are_known_by_their_variables(
    variables: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "ACCELERATE_USE_FSDP"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert are_several() is expected


def test_the_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(SpecError) as caught:
        run(Stub(plain), PLAIN, tmp_path)
    (found,) = caught.value.diagnostics
    assert found.code == "E701"
    assert 'pip install "archdsl[distributed]"' in found.message


def test_synchronised_norms_are_those_of_one_process_where_there_is_one(tmp_path: Path) -> None:
    run(Stub(cnn), RANDOM.model_copy(update={"sync_batchnorm": True}), tmp_path / "asked")
    run(Stub(cnn), RANDOM, tmp_path / "plain")
    first, second = (load_file(RunFolder(tmp_path / name).weights) for name in ("asked", "plain"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_synchronised_norms_keep_keys_and_outputs(tmp_path: Path) -> None:
    """PyTorch computes them on GPUs only, but in evaluation everywhere."""
    (tmp_path / "net.arch").write_text(SPEC, encoding="utf-8")
    module = load(tmp_path / "net.arch").build(seed=0).eval()
    pictures = torch.rand(4, 1, 8, 8)
    before, keys = module(pictures), list(module.state_dict())
    synchronised = torch.nn.SyncBatchNorm.convert_sync_batchnorm(module).eval()  # type: ignore[no-untyped-call]
    assert any(isinstance(part, torch.nn.SyncBatchNorm) for part in synchronised.modules())
    assert list(synchronised.state_dict()) == keys
    torch.testing.assert_close(synchronised(pictures), before)
