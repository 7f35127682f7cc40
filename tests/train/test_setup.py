"""Network, data, loss and metrics have to fit each other; runs whose targets are not classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archdsl.datasets.data import Data, load_data
from archdsl.datasets.splits import InMemory
from archdsl.diagnostics import Rejected, SpecError
from archdsl.recipe import Recipe
from archdsl.recipe.augmentations import MixUp
from archdsl.recipe.fit import check_output
from archdsl.recipe.losses import Bce, CrossEntropy, Huber, Mse, Nll, PairwiseDistance
from archdsl.recipe.optimizers import Sgd
from archdsl.runs.folder import RunFolder
from archdsl.shapes import Shape
from archdsl.train import setup
from archdsl.train.setup import set_up
from tests.train.stub import INPUT, Recorder, Stub, mlp, run

PLAIN = Recipe(device="cpu", epochs=2, batch=128, optimizer=Sgd(lr=0.1))
DIGITS = load_data(PLAIN, INPUT)


def changed(**changes: Any) -> Recipe:
    return PLAIN.model_copy(update=changes)


def two_classes(data: Data) -> Data:
    from dataclasses import replace

    return replace(data, classes=("no", "yes"))


def with_target(*sizes: int) -> Data:
    from dataclasses import replace

    return replace(DIGITS, target=Shape(sizes))


FITS: dict[str, tuple[Recipe, tuple[int, ...], Data]] = {
    "distances of any output": (changed(loss=PairwiseDistance()), (2,), DIGITS),
    "a picture for a picture": (changed(loss=Mse()), (1, 8, 8), with_target(1, 8, 8)),
    "logits of pixels": (changed(loss=Bce()), (1, 8, 8), with_target(1, 8, 8)),
    "one logit for two classes": (changed(loss=Bce()), (1,), two_classes(DIGITS)),
    "weights of all classes": (changed(loss=Nll(weight=(1.0,) * 10)), (10,), DIGITS),
}
WRONG: dict[str, tuple[Recipe, tuple[int, ...], Data, str]] = {
    "one score for two classes": (PLAIN, (1,), two_classes(DIGITS), "E619 digits has 2 classes, but the network has 1"),
    "classes from pictures": (PLAIN, (1, 8, 8), with_target(1, 8, 8), "E641 cross_entropy: digits has targets of"),
    "another size": (changed(loss=Mse()), (1, 4, 4), with_target(1, 8, 8), "E641 mse: the network's output is 1x4x4"),
    "distances of pictures": (
        changed(loss=PairwiseDistance()), (2,), with_target(1, 8, 8), "E641 pairwise_distance: digits has targets of"
    ),
    "too few weights": (
        changed(loss=CrossEntropy(weight=(1.0, 2.0))), (10,), DIGITS, "E641 cross_entropy: weight has 2 numbers, but"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("recipe", "output", "data"), FITS.values(), ids=FITS)
def test_what_fits(recipe: Recipe, output: tuple[int, ...], data: Data) -> None:
    assert check_output(recipe, Shape(output), data) == []


@pytest.mark.parametrize(("recipe", "output", "data", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit(recipe: Recipe, output: tuple[int, ...], data: Data, message: str) -> None:
    with pytest.raises(Rejected) as caught:
        check_output(recipe, Shape(output), data)
    assert f"{caught.value.problem.code} {caught.value.problem}".startswith(message)


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        (changed(loss=PairwiseDistance(), metrics=("accuracy",)), "E642"),
        (changed(loss=PairwiseDistance(), monitor="f1"), "E642"),
        (changed(loss=PairwiseDistance(), augment=(MixUp(),)), "E621"),
        (changed(loss=CrossEntropy(ignore_index=3), augment=(MixUp(),)), "E621"),
    ],
)
def test_figures_and_mixed_labels_need_classes(recipe: Recipe, code: str) -> None:
    with pytest.raises(SpecError) as caught:
        set_up(Stub(mlp), recipe)
    assert [one.code for one in caught.value.diagnostics] == [code]


def test_the_monitor_is_the_accuracy_or_the_loss() -> None:
    assert set_up(Stub(mlp), PLAIN).monitor == "accuracy"
    assert set_up(Stub(mlp), changed(loss=PairwiseDistance())).monitor == "loss"
    found = set_up(Stub(mlp), changed(monitor="f1", metrics=("top5",)))
    assert found.figures == ("top5", "f1")
    assert found.is_better(0.5, None)
    assert found.is_better(0.5, 0.4)
    assert not set_up(Stub(mlp), changed(monitor="loss")).is_better(0.5, 0.4)


def test_distances_between_digits_are_learned(tmp_path: Path) -> None:
    recorder = Recorder()
    recipe = changed(loss=PairwiseDistance(), epochs=6, optimizer=Sgd(lr=0.01, momentum=0.9), accumulate=2)
    network = Stub(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2)), INPUT, Shape((2,))
    )
    result = run(network, recipe, tmp_path, progress=recorder)
    first, last = result.metrics[0], result.metrics[-1]
    # Two digits drawn at random differ by 3.3 on average; the squares' mean is 16.5.
    assert last.val_loss < 4
    assert last.val_loss < first.val_loss
    assert (last.val_accuracy, last.train_accuracy) == (None, None)
    assert recorder.outcome is not None
    assert recorder.outcome.best is not None
    assert recorder.outcome.best.val_loss == min(line.val_loss for line in result.metrics)
    again = run(network, recipe.model_copy(update={"epochs": 7}), None, resume=tmp_path)
    assert len(again.metrics) == 7


def test_targets_may_be_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture itself turned upside down: one linear layer can do it."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (300, 1, 8, 8), dtype=torch.uint8, generator=generator)

    def load(recipe: Recipe, *_: object) -> Data:
        from dataclasses import replace

        split = InMemory(images, images.flip(2).float() / 255)
        return replace(DIGITS, train=split, validation=split, test=split, classes=(), target=Shape((1, 8, 8)))

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(64, 64)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.body(x.flatten(1))
            return found.view_as(x)

    monkeypatch.setattr(setup, "load_data", load)
    recipe = changed(loss=Huber(), epochs=60, batch=50, optimizer=Sgd(lr=1.0, momentum=0.9), accumulate=2)
    result = run(Stub(Linear, output_shape=Shape((1, 8, 8))), recipe, tmp_path)
    assert result.metrics[-1].val_loss < 0.01 * result.metrics[0].val_loss + 1e-4
    assert result.metrics[-1].val_accuracy is None
    assert RunFolder(tmp_path).best.is_file()
