"""Runs: compared with a handwritten loop, stopped and resumed, and every error."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from archdsl.arguments.values import Construct, Entry
from archdsl.datasets.data import load_data
from archdsl.datasets.seeds import epoch_order
from archdsl.datasets.splits import statistics
from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.recipe import Recipe, read_recipe
from archdsl.recipe.augmentations import HFlip, RandomCrop
from archdsl.recipe.losses import Mse
from archdsl.recipe.optimizers import Adam, RmsProp, Sgd
from archdsl.recipe.schedules import Cosine
from archdsl.runs.checkpoint import checkpoints
from archdsl.runs.folder import RunFolder
from archdsl.shapes import Shape
from archdsl.text.source import Source, Span
from archdsl.train import evaluation, loop, recipe_of_run, run_evaluation, run_training, setup, writer
from archdsl.train.state import save_checkpoint
from tests.train.stub import Recorder, Stub, cnn, mlp, run

QUICK = Recipe(epochs=2, batch=128, device="cpu", optimizer=Sgd(lr=0.1, momentum=0.9))


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(RunFolder(folder).weights)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def error(action: Callable[[], object]) -> Diagnostic:
    with pytest.raises(SpecError) as caught:
        action()
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def with_entries(recipe: Recipe, **changes: Any) -> Recipe:
    return recipe.model_copy(update=changes)


# What a run learns


def test_a_small_cnn_learns_the_digits(tmp_path: Path) -> None:
    recipe = Recipe(epochs=12, batch=64, optimizer=Adam(lr=3e-3), schedule=Cosine(), device="cpu")
    result = run(Stub(cnn), recipe, tmp_path / "run")
    assert result.metrics[-1].figure("accuracy") >= 0.96
    assert result.evaluation is not None
    assert result.evaluation.accuracy == result.metrics[-1].val_accuracy
    assert result.evaluation.samples == 355
    assert not result.interrupted


def test_a_run_is_the_loop_one_would_write(tmp_path: Path) -> None:
    run(Stub(mlp), QUICK, tmp_path)
    data = load_data(QUICK, Shape((1, 8, 8)))
    (mean,), (std,) = statistics(data.train)
    everything = torch.arange(len(data.train.labels))
    images, labels = next(iter(data.train.batches([everything])))
    module = Stub(mlp).build(seed=0)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(2):
        for rows in epoch_order(len(labels), 128, seed=0, epoch=epoch, keep_lone=True):
            optimizer.zero_grad()
            inputs = (images[rows].float() / 255 - mean) / std
            functional.cross_entropy(module(inputs), labels[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    found = weights(tmp_path)
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-5)


def test_every_sample_is_seen_once_an_epoch_in_another_order_each_time() -> None:
    orders = [torch.cat(epoch_order(103, 10, seed=1, epoch=epoch, keep_lone=True)) for epoch in (0, 1)]
    for order in orders:
        assert torch.equal(order.sort().values, torch.arange(103))
    assert not torch.equal(orders[0], orders[1])
    assert torch.equal(torch.cat(epoch_order(103, 10, seed=1, epoch=0, keep_lone=True)), orders[0])
    assert not torch.equal(torch.cat(epoch_order(103, 10, seed=2, epoch=0, keep_lone=True)), orders[0])


def test_a_last_batch_of_one_is_left_out_for_batch_norm_only() -> None:
    assert [len(rows) for rows in epoch_order(21, 10, 0, 0, keep_lone=True)] == [10, 10, 1]
    assert [len(rows) for rows in epoch_order(21, 10, 0, 0, keep_lone=False)] == [10, 10]
    assert [len(rows) for rows in epoch_order(1, 10, 0, 0, keep_lone=False)] == [1]


def test_a_batch_norm_over_vectors_trains_although_one_sample_is_left_over(tmp_path: Path) -> None:
    def module() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10))

    (samples,) = {len(load_data(QUICK, Shape((1, 8, 8))).train.labels)}
    batch = next(size for size in range(100, samples) if samples % size == 1)
    result = run(Stub(module), with_entries(QUICK, batch=batch, epochs=1), tmp_path)
    assert result.metrics[0].steps == samples // batch


def test_the_seed_decides_everything(tmp_path: Path) -> None:
    recipe = with_entries(QUICK, augment=(RandomCrop(size=(8, 8), padding=(1, 1)), HFlip()), epochs=1)
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        torch.manual_seed(len(name))  # a run must not depend on what was drawn before it
        run(Stub(cnn), with_entries(recipe, seed=seed), tmp_path / name)
    assert same(weights(tmp_path / "first"), weights(tmp_path / "again"))
    assert not same(weights(tmp_path / "first"), weights(tmp_path / "other"))


def test_a_run_leaves_torchs_generator_as_it_was(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    run(Stub(cnn), with_entries(QUICK, epochs=1, max_steps=2), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


@dataclass(frozen=True)
class Head:
    output_name: str


class WithAux(nn.Module):
    """The main output does not depend on `aux`, and the auxiliary one only on it."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.aux = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Any:
        out = self.main(x.flatten(1))
        return {"out": out, "aux1": self.aux(x.flatten(1))} if self.training else out


def test_an_auxiliary_loss_counts_with_its_weight(tmp_path: Path) -> None:
    recipe = with_entries(QUICK, max_steps=1, optimizer=Sgd(lr=1.0))
    start = Stub(WithAux).build(seed=0).state_dict()
    moved = {}
    for weight in (0.3, 0.6):
        folder = tmp_path / str(weight)
        run(Stub(WithAux, aux=(Head("aux1"),)), with_entries(recipe, aux_weight=weight), folder)
        moved[weight] = {name: tensor - start[name] for name, tensor in weights(folder).items()}
    torch.testing.assert_close(moved[0.6]["aux.weight"], 2 * moved[0.3]["aux.weight"], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(moved[0.6]["main.weight"], moved[0.3]["main.weight"])
    assert moved[0.3]["aux.weight"].abs().sum() > 0


def test_a_fully_convolutional_head_of_one_cell_will_do(tmp_path: Path) -> None:
    def module() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 10, 8))

    network = Stub(module, output_shape=Shape((10, 1, 1)))
    result = run(network, with_entries(QUICK, loss=Mse(), optimizer=RmsProp(lr=1e-3)), tmp_path)
    assert result.metrics[-1].figure("accuracy") > 0.5


def test_spare_outputs_are_mentioned(tmp_path: Path) -> None:
    recorder = Recorder()
    network = Stub(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 12)), output_shape=Shape((12,)))
    run(network, with_entries(QUICK, max_steps=1), tmp_path, progress=recorder)
    assert "digits: 10 classes; the last 2 of 12 outputs stay unused" in recorder.notes


def test_a_share_held_back_is_validated_on_and_the_test_part_kept_for_the_end(tmp_path: Path) -> None:
    result = run(Stub(mlp), with_entries(QUICK, validation=0.2), tmp_path)
    assert result.evaluation is not None
    assert result.test is not None
    assert (result.evaluation.samples, result.test.samples) == (288, 355)
    assert run(Stub(mlp), with_entries(QUICK, max_steps=1), tmp_path / "without").test is None


# The folder


def test_the_folder_holds_all_that_a_run_is(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "one"
    result = run(Stub(cnn), QUICK, out)
    assert result.folder == out
    names = {path.name for path in out.iterdir()}
    assert names == {
        "spec.arch",
        "recipe.json",
        "run.json",
        "environment.json",
        "metrics.jsonl",
        "weights.safetensors",
        "best.safetensors",
        "checkpoints",
        "evaluation.json",
        "sessions.json",
    }
    assert len(checkpoints(out / "checkpoints")) == 2
    assert (out / "spec.arch").read_text() == "model stub { input(1x8x8) }\n"
    assert recipe_of_run(out) == QUICK
    facts = json.loads((out / "run.json").read_text())
    assert (facts["model"], facts["settings"], facts["input"]) == ("stub", {"classes": 10}, [1, 8, 8])
    assert json.loads((out / "environment.json").read_text())["packages"]["torch"] == torch.__version__.split("+")[0]
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["val_accuracy"] == result.metrics[1].val_accuracy
    assert (out / "weights.safetensors").stat().st_mode == (out / "run.json").stat().st_mode
    module = cnn()
    module.load_state_dict(weights(out))


def test_best_and_last_weights_are_those_of_their_epochs(tmp_path: Path) -> None:
    # A rate that destroys the network in the last epoch: the best epoch cannot be the last.
    recipe = with_entries(QUICK, epochs=2, seed=3)
    result = run(Stub(mlp), recipe, tmp_path / "good")
    best = load_file(RunFolder(tmp_path / "good").best)
    accuracies = [line.figure("accuracy") for line in result.metrics]
    assert accuracies[1] > accuracies[0]
    assert same(best, weights(tmp_path / "good"))
    folder = RunFolder(tmp_path / "good")
    before = folder.best.read_bytes()
    wild = with_entries(recipe, epochs=3)
    folder.recipe.write_text(with_entries(wild, optimizer=Sgd(lr=30.0)).to_json())
    worse = run(Stub(mlp), None, None, resume=folder.path)
    assert worse.metrics[2].figure("accuracy") < accuracies[1]
    assert folder.best.read_bytes() == before
    assert not same(best, weights(folder.path))


def test_without_a_name_the_folder_is_the_models_and_the_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = {run(Stub(mlp), with_entries(QUICK, max_steps=1), None).folder for _ in range(2)}
    assert len(folders) == 2
    for folder in folders:
        assert folder.parent == Path("runs")
        assert folder.name.startswith("stub-20")


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    found = error(lambda: run(Stub(mlp), QUICK, tmp_path))
    assert (found.code, found.message) == ("E631", f"{tmp_path} is not empty")
    assert [one.message for one in found.helps] == [f"write to another folder: `--out {tmp_path}-2`"]
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_with_a_run_can_be_resumed(tmp_path: Path) -> None:
    run(Stub(mlp), with_entries(QUICK, max_steps=1), tmp_path)
    found = error(lambda: run(Stub(mlp), QUICK, tmp_path))
    assert found.helps[-1].message == f"or resume the run in it: `archdsl train --resume {tmp_path}`"


def test_a_folder_that_cannot_be_made_is_rejected_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert error(lambda: run(Stub(mlp), QUICK, tmp_path / "file" / "run")).code == "E708"


# Evaluation of a folder


def test_a_folder_or_file_is_evaluated_on_the_test_part_as_the_run_saw_it(tmp_path: Path) -> None:
    result = run(Stub(cnn), with_entries(QUICK, validation=0.2), tmp_path / "run")
    found = run_evaluation(Stub(cnn), None, tmp_path / "run")
    assert found == result.test
    assert run_evaluation(Stub(cnn), QUICK, str(RunFolder(tmp_path / "run").weights)) == found
    # Away from its run the weights' normalisation is the training set's, here without a share held back.
    moved = tmp_path / "moved.safetensors"
    RunFolder(tmp_path / "run").weights.rename(moved)
    assert run_evaluation(Stub(cnn), QUICK, moved).loss != found.loss


def test_the_runs_normalisation_is_used_again(tmp_path: Path) -> None:
    recipe = with_entries(QUICK, epochs=1)
    run(Stub(mlp), recipe, tmp_path)
    info = RunFolder(tmp_path).info
    before = run_evaluation(Stub(mlp), None, tmp_path)
    facts = json.loads(info.read_text()) | {"mean": [0.9]}
    info.write_text(json.dumps(facts))
    assert run_evaluation(Stub(mlp), None, tmp_path).loss != before.loss


def test_weights_of_another_network_are_rejected(tmp_path: Path) -> None:
    run(Stub(mlp), with_entries(QUICK, max_steps=1), tmp_path)
    with pytest.raises(SpecError) as caught:
        run_evaluation(Stub(cnn), None, tmp_path)
    assert {found.code for found in caught.value.diagnostics} <= {"E702", "E703", "E704"}


# Stopping and going on

EXACT = Recipe(
    epochs=3,
    batch=200,
    device="cpu",
    validation=0.1,
    optimizer=Adam(lr=1e-2),
    schedule=Cosine(warmup=1),
    augment=(RandomCrop(size=(8, 8), padding=(1, 1)), HFlip()),
)


def interrupt_at(epoch: int, step: int, times: int = 1) -> Recorder:
    def at_step(e: int, s: int) -> None:
        if (e, s) == (epoch, step):
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    return Recorder(at_step)


def without_times(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in RunFolder(folder).metrics.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in {"seconds", "images_per_second"}} for line in lines]


@pytest.fixture
def every_step_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PROGRESS_INTERVAL", 0.0)


@pytest.mark.usefixtures("every_step_shown")
@pytest.mark.parametrize("optimizer", [Adam(lr=1e-2), Sgd(lr=0.1, momentum=0.9), RmsProp()], ids=lambda o: o.kind)
def test_a_run_stopped_in_the_middle_of_an_epoch_goes_on_bit_for_bit(tmp_path: Path, optimizer: Any) -> None:
    recipe = with_entries(EXACT, optimizer=optimizer)
    run(Stub(cnn), recipe, tmp_path / "whole")
    handler = signal.getsignal(signal.SIGINT)
    recorder = interrupt_at(2, 3)
    stopped = run(Stub(cnn), recipe, tmp_path / "cut", progress=recorder)
    assert stopped.interrupted
    assert len(stopped.metrics) == 1
    assert signal.getsignal(signal.SIGINT) is handler
    command = f"archdsl train --resume {tmp_path / 'cut'}"
    assert recorder.notes[-1] == f"stopped in epoch 2, step 3; resume with: {command}"
    assert not same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    resumed = run(Stub(cnn), None, None, resume=tmp_path / "cut")
    assert not resumed.interrupted
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert without_times(tmp_path / "cut") == without_times(tmp_path / "whole")
    best = [load_file(RunFolder(tmp_path / where).best) for where in ("cut", "whole")]
    newest = [load_file(checkpoints(RunFolder(tmp_path / where).checkpoints)[0]) for where in ("cut", "whole")]
    assert same(*best)
    assert same(*newest)


@pytest.mark.parametrize("number", [1, 3, 4], ids=["of the first epoch", "of the last epoch", "of the test split"])
def test_an_evaluation_is_cut_short_and_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Validation has 4 batches; the signal comes in the second, and no further one is computed."""
    monkeypatch.setattr(setup, "EVALUATION_NUMEL", 1)
    recipe = with_entries(EXACT, batch=40)
    run(Stub(cnn), recipe, tmp_path / "whole")
    done, real, last = 0, evaluation._Tally.add, 4 * (number - 1) + 2

    def add(self: evaluation._Tally, output: Tensor, targets: Tensor) -> None:
        nonlocal done
        done += 1
        real(self, output, targets)
        if done == last:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(evaluation._Tally, "add", add)
        stopped = run(Stub(cnn), recipe, tmp_path / "cut")
    assert (stopped.interrupted, stopped.signal, done) == (True, signal.SIGINT, last)
    assert len(stopped.metrics) == min(number - 1, 3)
    assert not run(Stub(cnn), None, None, resume=tmp_path / "cut").interrupted
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert without_times(tmp_path / "cut") == without_times(tmp_path / "whole")


@pytest.mark.parametrize("validation", [None, 0.2])
def test_a_report_gets_the_results_on_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validation: float | None
) -> None:
    """They are those of the run: the split is not evaluated again."""
    calls, reported = [], []
    real = evaluation.evaluate

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(setup, "evaluate", counted)
    recipe = with_entries(QUICK, epochs=1, validation=validation, report=True)
    found = run(Stub(mlp), recipe, tmp_path / "run", at_end=lambda *given: reported.append(given[-1]))
    assert reported == [found.test if validation else found.evaluation]
    assert len(calls) == (2 if validation else 1)


def test_a_report_is_interrupted_at_once(tmp_path: Path) -> None:
    def report(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the report goes on")

    recorder = Recorder()
    found = run(Stub(mlp), QUICK, tmp_path / "run", progress=recorder, at_end=report)
    assert (found.interrupted, len(found.metrics)) == (True, 2)
    assert recorder.notes[-1].startswith("stopped after the last epoch; resume with: ")


@pytest.mark.usefixtures("every_step_shown")
def test_a_second_interrupt_stops_at_once_and_the_last_epochs_checkpoint_counts(tmp_path: Path) -> None:
    run(Stub(cnn), EXACT, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(Stub(cnn), EXACT, tmp_path / "cut", progress=interrupt_at(3, 2, times=2))
    assert len(without_times(tmp_path / "cut")) == 2
    run(Stub(cnn), EXACT, None, resume=tmp_path / "cut")
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert without_times(tmp_path / "cut") == without_times(tmp_path / "whole")


def test_a_run_killed_between_two_files_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(Stub(cnn), EXACT, tmp_path / "whole")
    real, calls = save_checkpoint, []

    def killed(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 3:  # the start's, the first epoch's, and here the second's
            raise SystemExit("killed")
        real(*arguments)

    monkeypatch.setattr(writer, "save_checkpoint", killed)
    with pytest.raises(SystemExit):
        run(Stub(cnn), EXACT, tmp_path / "cut")
    assert len(without_times(tmp_path / "cut")) == 2
    monkeypatch.undo()
    run(Stub(cnn), None, None, resume=tmp_path / "cut")
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert without_times(tmp_path / "cut") == without_times(tmp_path / "whole")


@pytest.mark.parametrize("steps", [3, 7, 9])
def test_a_run_cut_by_max_steps_goes_on_bit_for_bit(tmp_path: Path, steps: int) -> None:
    run(Stub(cnn), EXACT, tmp_path / "whole")
    assert without_times(tmp_path / "whole")[0]["steps"] == 7
    cut = run(Stub(cnn), with_entries(EXACT, max_steps=steps), tmp_path / "cut")
    assert sum(line.steps for line in cut.metrics) == steps
    assert not cut.interrupted
    again = run(Stub(cnn), with_entries(EXACT, max_steps=steps), None, resume=tmp_path / "cut")
    assert [line.val_accuracy for line in again.metrics] == [line.val_accuracy for line in cut.metrics]
    run(Stub(cnn), EXACT, None, resume=tmp_path / "cut")
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert without_times(tmp_path / "cut") == without_times(tmp_path / "whole")


def test_a_finished_run_has_nothing_left_to_do_and_more_epochs_go_on(tmp_path: Path) -> None:
    recipe = with_entries(QUICK, epochs=3)
    run(Stub(cnn), recipe, tmp_path / "whole")
    run(Stub(cnn), with_entries(recipe, epochs=2), tmp_path / "two")
    before = weights(tmp_path / "two")
    assert len(run(Stub(cnn), None, None, resume=tmp_path / "two").metrics) == 2
    assert same(weights(tmp_path / "two"), before)
    run(Stub(cnn), recipe, None, resume=tmp_path / "two")
    assert same(weights(tmp_path / "two"), weights(tmp_path / "whole"))
    assert recipe_of_run(tmp_path / "two").epochs == 3


def test_a_run_cannot_go_on_as_another(tmp_path: Path) -> None:
    run(Stub(mlp), with_entries(QUICK, max_steps=1), tmp_path)
    found = error(lambda: run(Stub(mlp), with_entries(QUICK, batch=32), None, resume=tmp_path))
    assert found.code == "E634"
    assert found.message.endswith("with batch = 32: it was started with 128")
    found = error(lambda: run(Stub(cnn), None, None, resume=tmp_path))
    assert found.code == "E633"
    assert "another network" in found.message


def test_what_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        found = error(lambda folder=folder: run(Stub(mlp), None, None, resume=folder))  # type: ignore[misc]
        assert (found.code, found.message) == ("E632", f"{folder} is not a run: checkpoints is missing")
    with pytest.raises(ValueError, match="either out or resume"):
        run_training(Stub(mlp), out=tmp_path, resume=tmp_path)


@pytest.mark.parametrize("name", ["recipe.json", "run.json", "metrics.jsonl"])
def test_a_damaged_run_is_named(tmp_path: Path, name: str) -> None:
    run(Stub(mlp), with_entries(QUICK, epochs=1), tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = error(lambda: run(Stub(mlp), None, None, resume=tmp_path))
    assert found.code == "E633"
    assert found.message.startswith(f"cannot use {name}")


# Errors before the first step, and in it


def placed(fragment: str, text: str, **entries: object) -> Recipe:
    source = Source("net.arch", text)
    start = text.index(fragment)
    span = Span(source, start, start + len(fragment))
    return read_recipe({name: Entry(value, span) for name, value in entries.items()})


def test_what_is_wrong_with_the_data_is_shown_in_the_recipe(tmp_path: Path) -> None:
    text = 'train { dataset = mnist("nowhere") }'
    recipe = placed('dataset = mnist("nowhere")', text, dataset=Construct("mnist", ("nowhere",)))
    found = error(lambda: run(Stub(mlp), recipe, tmp_path / "run"))
    assert found.code == "E611"
    assert found.span is not None
    assert found.span.text == 'dataset = mnist("nowhere")'
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("output", "code"), [((9,), "E619"), ((10, 2, 2), "E620"), ((10, 1), None), ((10,), None)], ids=str
)
def test_the_output_must_be_one_score_for_each_class(tmp_path: Path, output: tuple[int, ...], code: str | None) -> None:
    network = Stub(mlp, output_shape=Shape(output))
    recipe = with_entries(QUICK, max_steps=1)
    if code is None:
        run(network, recipe, tmp_path / "run")
    else:
        assert error(lambda: run(network, recipe, tmp_path / "run")).code == code
        assert not (tmp_path / "run").exists()


def test_an_augmentation_that_does_not_fit_is_rejected(tmp_path: Path) -> None:
    recipe = placed("augment", "augment", augment=[Construct("random_crop", (32,))])
    found = error(lambda: run(Stub(mlp), recipe, tmp_path / "run"))
    assert found.code == "E621"
    assert found.span is not None


def test_a_network_without_weights_is_rejected(tmp_path: Path) -> None:
    def frozen() -> nn.Module:
        return mlp().requires_grad_(requires_grad=False)

    assert error(lambda: run(Stub(frozen), QUICK, tmp_path / "run")).code == "E637"


def test_a_device_that_is_not_there_is_rejected(tmp_path: Path) -> None:
    device = f"cuda:{torch.cuda.device_count()}"
    assert error(lambda: run(Stub(mlp), with_entries(QUICK, device=device), tmp_path / "run")).code == "E636"


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_epoch(tmp_path: Path) -> None:
    class Breaks(nn.Module):
        """Gives NaN from the second epoch's second step on."""

        def __init__(self) -> None:
            super().__init__()
            self.body, self.calls = mlp(), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += self.training
            scores: Tensor = self.body(x)
            return scores * (torch.nan if self.calls > 13 else 1)

    found = error(lambda: run(Stub(Breaks), QUICK, tmp_path))
    rows = epoch_order(1442, 128, seed=0, epoch=1, keep_lone=True)[1].tolist()
    named = f"{', '.join(map(str, rows[:8]))} and 120 more"
    text = f"the loss became nan at step 2 of epoch 2, on the training samples {named}"
    assert (found.code, found.message) == ("E635", text)
    assert str(tmp_path) in found.helps[0].message
    facts = json.loads((tmp_path / "failed_batch.json").read_text())
    assert facts == {"epoch": 2, "step": 2, "loss": "nan", "samples": rows}
    for tensor in weights(tmp_path).values():
        assert tensor.isfinite().all()
    assert len(without_times(tmp_path)) == 1
    losses = [line["val_loss"] for line in without_times(tmp_path)]
    assert all(a >= b for a, b in pairwise(losses))
