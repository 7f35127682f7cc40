"""The numbers in the pictures, compared with a computation by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from torch import nn

import archdsl
from archdsl.diagnostics import SpecError
from archdsl.recipe import Recipe
from archdsl.recipe.losses import Mse
from archdsl.report.figures import PICTURES, confusion_matrix, draw, save
from archdsl.report.measure import activations, mistakes, principal_components
from archdsl.train.setup import Setup, set_up

Learned = tuple[nn.Module, Setup]


def tiles(figure: Figure) -> list[np.ndarray]:
    """The pictures in a figure, in order."""
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]


def scores(learned: Learned) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All test pictures, their labels and the module's scores."""
    module, setup = learned
    labels = setup.data.test.labels
    images, _ = next(iter(setup.data.test.batches([torch.arange(len(labels))])))
    with torch.inference_mode():
        return images, labels, module.eval()(setup.preparation.evaluate(images))


def test_filters_are_the_first_kernels_of_the_first_and_last_convolution(learned: Learned) -> None:
    first, last = (learned[0].get_parameter(f"features.{i}.weight").detach().numpy() for i in (0, 3))
    figure = draw("filters", *learned)
    found = tiles(figure)
    assert len(figure.axes) == 1  # axes of their own for each tile took seconds
    expected = [*first[:8, 0], *(last[i, channel] for channel in range(8) for i in range(8))]
    assert len(found) == len(expected)
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_filters_over_three_channels_are_coloured() -> None:
    layer = nn.Sequential(nn.Conv2d(3, 4, 5))
    found = tiles(draw("filters", layer, None, ["0"]))  # type: ignore[arg-type]
    assert [tile.shape for tile in found] == [(5, 5, 3)] * 4
    weight = layer.get_parameter("0.weight").detach()[0]
    unit = (weight - weight.min()) / (weight.max() - weight.min())
    np.testing.assert_allclose(found[0], unit.permute(1, 2, 0).numpy(), rtol=1e-5)


def test_features_are_the_outputs_of_the_layers(learned: Learned) -> None:
    module, setup = learned
    images, _, _ = scores(learned)
    found = tiles(draw("features", module, setup, ["features.1"]))
    with torch.inference_mode():
        expected = module.get_submodule("features")[:2](setup.preparation.evaluate(images[:1]))[0]  # type: ignore[index]
    np.testing.assert_allclose(found[0], images[0, 0].numpy() / 255, rtol=1e-6)
    assert len(found) == 9
    np.testing.assert_allclose(np.stack(found[1:]), expected[:8].numpy(), rtol=1e-5, atol=1e-6)


def test_activations_are_means_over_everything(learned: Learned) -> None:
    module, setup = learned
    images, _, _ = scores(learned)
    found = {each.name: each for each in activations(module, setup)}
    with torch.inference_mode():
        out = module.get_submodule("features.0")(setup.preparation.evaluate(images[:256]))
    assert found["features.0"].mean == pytest.approx(out.mean().item(), abs=1e-6)
    assert found["features.0"].std == pytest.approx(out.numpy().std(), rel=1e-5)
    assert list(found)[:2] == ["features.0", "features.1"]
    assert "dense.0" in found


def test_mistakes_are_the_wrong_predictions_with_the_highest_probability(learned: Learned) -> None:
    images, labels, found = scores(learned)
    probabilities, predicted = found.softmax(1).max(1)
    wrong = (predicted != labels).nonzero()[:, 0]
    order = wrong[probabilities[wrong].argsort(descending=True)][:24]
    worst = mistakes(*learned)
    assert [mistake.probability for mistake in worst] == pytest.approx(probabilities[order].tolist(), abs=1e-6)
    assert [(m.true, m.predicted) for m in worst] == [(str(int(labels[i])), str(int(predicted[i]))) for i in order]
    assert torch.equal(worst[0].image, images[order[0]])
    assert len(tiles(draw("mistakes", *learned))) == len(worst)


def test_confusion_counts_the_test_split(learned: Learned) -> None:
    _, labels, found = scores(learned)
    expected = torch.zeros(10, 10, dtype=torch.int64)
    for true, predicted in zip(labels.tolist(), found.argmax(1).tolist(), strict=True):
        expected[true, predicted] += 1
    texts = [text.get_text() for text in draw("confusion", *learned).axes[0].texts]
    assert texts == [str(number or "·") for number in expected.flatten().tolist()]


def test_two_principal_components_are_scikit_learns() -> None:
    features = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 8)
    points, shares = principal_components(features)
    reference = PCA(2).fit(features.numpy())
    assert shares == pytest.approx(reference.explained_variance_ratio_.tolist(), rel=1e-4)
    expected = reference.transform(features.numpy())
    for axis in (0, 1):
        sign = np.sign((points[:, axis].numpy() * expected[:, axis]).sum())
        np.testing.assert_allclose(points[:, axis].numpy() * sign, expected[:, axis], atol=1e-3)


def test_one_feature_lies_on_a_line() -> None:
    points, shares = principal_components(torch.tensor([[1.0], [2.0], [4.0]]))
    assert not points[:, 1].any()
    assert shares == pytest.approx((1.0, 0.0))


def test_many_classes_have_no_numbers() -> None:
    assert not confusion_matrix([[1] * 30] * 30, [str(i) for i in range(30)]).axes[0].texts


@pytest.mark.parametrize("picture", sorted(set(PICTURES) - {"outputs"}))
@pytest.mark.parametrize("form", [".png", ".svg", ".pdf"])
def test_every_picture_is_written(picture: str, form: str, learned: Learned, tmp_path: Path) -> None:
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    path = tmp_path / f"picture{form}"
    save(draw(picture, *learned), path)
    assert path.read_bytes().startswith(starts[form])


def test_outputs_stand_between_inputs_and_targets() -> None:
    network = archdsl.load("model m { input(1x8x8); conv: conv(1, 1, bias=false) }")
    setup = set_up(network, Recipe(target="next_class", loss=Mse()))
    module = network.build()
    torch.nn.init.ones_(module.get_parameter("conv.weight"))
    found = tiles(draw("outputs", module, setup))
    ((images, targets),) = setup.data.test.batches([torch.arange(8)])
    np.testing.assert_allclose(np.stack(found[:8]), images[:, 0].numpy() / 255, rtol=1e-5)
    shown = setup.preparation.evaluate(images)[:, 0].clamp(0, 1).numpy()
    np.testing.assert_allclose(np.stack(found[8:16]), shown, atol=1e-5)
    np.testing.assert_allclose(np.stack(found[16:]), targets[:, 0].numpy(), atol=1e-5)
    for picture in ("mistakes", "confusion"):
        with pytest.raises(SpecError, match="does not predict classes"):
            draw(picture, module, setup)


@pytest.mark.parametrize(
    ("picture", "layers", "code"),
    [
        ("outputs", [], "E742"),
        ("filters", ["features.9"], "E741"),
        ("filters", ["features.1"], "E742"),
        ("features", ["dense"], "E742"),
        ("activations", ["nowhere"], "E741"),
    ],
)
def test_what_cannot_be_drawn_is_said(picture: str, layers: list[str], code: str, learned: Learned) -> None:
    with pytest.raises(SpecError) as error:
        draw(picture, *learned, layers)
    assert [each.problem.code for each in error.value.diagnostics] == [code]


def test_a_network_without_convolutions_has_no_filters() -> None:
    with pytest.raises(SpecError, match="no convolution"):
        draw("filters", nn.Linear(2, 2), None)  # type: ignore[arg-type]


def test_a_near_name_is_offered(learned: Learned) -> None:
    with pytest.raises(SpecError, match=r"features\.0"):
        draw("filters", *learned, ["feature.0"])
