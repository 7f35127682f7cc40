"""Data sets with several arrays for each sample: pairs of images, and arrays by the names of the inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import archdsl
from archdsl import SpecError
from archdsl.cli.network import Asked
from archdsl.datasets.data import load_data
from archdsl.datasets.splits import Several
from archdsl.recipe import Recipe
from archdsl.recipe.datasets import Arrays, Digits, Pairs
from archdsl.recipe.losses import Mse
from archdsl.shapes import Shape
from archdsl.train.run import run_training
from archdsl.train.setup import set_up
from archdsl.train.trained import run_evaluation

IMAGE = Shape((1, 8, 8))
PAIR = {"one": IMAGE, "other": IMAGE}
COMPARE = """
model compare {
  input(one: 1x8x8, other: 1x8x8)
  tower: { conv(8, 3, padding=1); relu; maxpool(2); flatten; linear(16) } -> first
  use(other)
  reuse(tower)
  mul(first)
  linear(2)
}
train { dataset = pairs(digits); epochs = 2; batch = 128 }
"""


def pairs(**arguments: Any) -> Any:
    return load_data(Recipe(dataset=Pairs(of=Digits(), **arguments)), IMAGE, PAIR)


def whole(split: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    (((one, other), labels),) = split.batches([torch.arange(len(split.labels))])
    return one, other, labels


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_pairs_are_labelled_by_the_classes_of_their_images(share: float) -> None:
    plain = load_data(Recipe(dataset=Digits()), IMAGE)
    data = pairs(same=share)
    assert data.classes == ("different", "same")
    for split, single in ((data.train, plain.train), (data.test, plain.test)):
        one, other, same = whole(split)
        [(images, labels)] = single.batches([torch.arange(len(single.labels))])
        assert torch.equal(one, images)
        number = {image.tobytes(): label for image, label in zip(images.numpy(), labels.tolist(), strict=True)}
        found = [number[image.numpy().tobytes()] for image in other]
        assert torch.equal(torch.tensor(found) == labels, same.bool())
        assert abs(same.float().mean() - share) < 0.05
        assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_pairs_stay_the_same_and_another_seed_draws_others() -> None:
    one, again, other = (whole(pairs(seed=seed).train) for seed in (0, 0, 1))
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[1], other[1])


def test_a_network_with_two_inputs_is_trained_resumed_and_evaluated(tmp_path: Path) -> None:
    network = archdsl.load(COMPARE)
    recipe = Recipe.model_validate({"dataset": Pairs(of=Digits()), "epochs": 2, "batch": 128, "report": False})
    whole_run = run_training(network, recipe, out=tmp_path / "whole", quiet=True)
    run_training(network, recipe.model_copy(update={"max_steps": 9}), out=tmp_path / "parts", quiet=True)
    resumed = run_training(network, recipe, resume=tmp_path / "parts", quiet=True)
    assert resumed.metrics[-1].val_loss == whole_run.metrics[-1].val_loss
    assert whole_run.metrics[-1].train_loss < whole_run.metrics[0].train_loss
    found = run_evaluation(network, None, tmp_path / "whole")
    assert found.loss == pytest.approx(whole_run.metrics[-1].val_loss, rel=1e-5)
    assert found.classes == ("different", "same")


def test_parts_of_a_batch_have_the_gradient_of_the_whole(tmp_path: Path) -> None:
    """Both inputs are cut at the same places."""
    network = archdsl.load(COMPARE)
    losses = []
    for parts in (1, 4):
        recipe = Recipe(dataset=Pairs(of=Digits()), epochs=None, steps=5, accumulate=parts, report=False)
        losses.append(run_training(network, recipe, out=tmp_path / str(parts), quiet=True).metrics[-1].train_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def write_arrays(folder: Path, **arrays: Any) -> Recipe:
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name.replace('__', '.')}.npy", array)
    return Recipe(dataset=Arrays(root=str(folder)), loss=Mse(), batch=8, epochs=1, report=False)


RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8)
TIMES = RNG.standard_normal((40, 4)).astype(np.float32)
VALUES = RNG.standard_normal((40, 3)).astype(np.float32)
TIMED = "model m { input(image: 1x8x8, time: 4); flatten; linear(3) -> a; use(time); linear(3); add(a) }"


def test_arrays_by_the_names_of_the_inputs_with_values_as_targets(tmp_path: Path) -> None:
    recipe = write_arrays(tmp_path / "set", x_train__image=IMAGES, x_train__time=TIMES, y_train=VALUES)
    network = archdsl.load(TIMED)
    setup = set_up(network, recipe)
    assert isinstance(setup.data.train, Several)
    assert setup.data.target == (3,)
    [((images, times), targets)] = setup.data.validation.batches([torch.arange(3)])
    batch: Any = (images, times)
    prepared = setup.preparation.evaluate(batch)
    assert prepared[0].dtype == torch.float32
    assert torch.equal(prepared[1], times)
    rows = [int((torch.from_numpy(TIMES) == time).all(1).nonzero()) for time in times]
    np.testing.assert_array_equal(images[:, 0].numpy(), IMAGES[rows])
    np.testing.assert_array_equal(targets.numpy(), VALUES[rows])
    result = run_training(network, recipe, out=tmp_path / "run", quiet=True)
    assert np.isfinite(result.metrics[-1].val_loss)
    assert run_evaluation(network, None, tmp_path / "run").loss == pytest.approx(result.metrics[-1].val_loss, rel=1e-5)


def test_values_as_targets_of_one_input(tmp_path: Path) -> None:
    recipe = write_arrays(tmp_path / "set", x_train=IMAGES, y_train=VALUES[:, 0])
    network = archdsl.load("model m { input(1x8x8); flatten; linear(1) }")
    assert set_up(network, recipe).data.target == (1,)
    result = run_training(network, recipe, out=tmp_path / "run", quiet=True)
    assert result.metrics[-1].val_accuracy is None


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x_train": IMAGES}, "x_train.image and x_train.time and y_train"),
        ({"x_train__image": IMAGES, "x_train__time": TIMES[:, :3]}, "samples of 3, but the input takes 4"),
        ({"x_train__image": IMAGES, "x_train__time": TIMES[:30]}, "30 samples and 40 labels"),
        ({"x_train__image": IMAGES, "x_train__time": TIMES * np.nan}, "expected finite numbers"),
    ],
)
def test_arrays_that_do_not_fit_the_inputs_are_reported(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    recipe = write_arrays(tmp_path / "set", y_train=VALUES, **arrays)
    with pytest.raises(SpecError, match=r"E61[13]") as raised:
        set_up(archdsl.load(TIMED), recipe)
    assert words in str(raised.value)


def test_integers_that_no_row_of_the_embedding_has_are_reported(tmp_path: Path) -> None:
    network = archdsl.load("model m { input(a: 4, label: int64); linear(3) -> x; use(label); embedding(5, 3); add(x) }")
    labels = np.arange(40) % 6
    recipe = write_arrays(tmp_path / "set", x_train__a=TIMES, x_train__label=labels, y_train=VALUES)
    with pytest.raises(SpecError, match="integers from 0 to 5, but the network takes 0 to 4"):
        set_up(network, recipe)
    np.save(tmp_path / "set" / "x_train.label.npy", labels % 5)
    assert np.isfinite(run_training(network, recipe, out=tmp_path / "run", quiet=True).metrics[-1].val_loss)


@pytest.mark.parametrize(
    ("spec", "recipe"),
    [
        (COMPARE, Recipe(dataset=Digits())),
        ("model m { input(1x8x8); flatten; linear(2) }", Recipe(dataset=Pairs(of=Digits()))),
    ],
)
def test_a_data_set_with_another_number_of_arrays_is_reported(spec: str, recipe: Recipe) -> None:
    with pytest.raises(SpecError, match="E625"):
        set_up(archdsl.load(spec), recipe)


def test_the_recipe_of_a_run_reads_back(tmp_path: Path) -> None:
    recipe = Recipe(dataset=Pairs(of=Arrays(root="here"), same=0.25, seed=3))
    assert Recipe.model_validate_json(recipe.to_json()) == recipe
    assert str(recipe.dataset) == 'pairs(of=arrays(root="here"), same=0.25, seed=3)'


def test_inputs_that_are_not_given_have_the_sizes_of_the_run(tmp_path: Path) -> None:
    spec = tmp_path / "m.arch"
    spec.write_text("model m { input(a: 1x8x8, b: 1x8x8); concat(b); conv(2, 1); adaptive_avgpool(1); flatten }\n")
    network = archdsl.load(spec, input={"a": (1, 10, 10), "b": (1, 10, 10)})
    recipe = Recipe(dataset=Pairs(of=Digits()), epochs=None, steps=1, report=False)
    run_training(network, recipe, out=tmp_path / "run", quiet=True)
    loaded = Asked(str(spec)).weighted(str(tmp_path / "run")).network
    assert loaded.inputs == network.inputs
    with pytest.raises(SpecError, match="the tap is 1x10x10"):
        Asked(str(spec), input=["a=1x12x12"]).weighted(str(tmp_path / "run"))
