"""Figures of a network on samples, compared with a computation by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

import archdsl
from archdsl.figures import samples as data
from archdsl.figures.layers import label, leaves, maps, run
from archdsl.figures.maps import feature_maps, verdict
from archdsl.figures.samples import Samples, first_samples
from archdsl.figures.statistics import activations, mistakes, principal_components, probabilities
from archdsl.train.setup import Setup

Learned = tuple[nn.Module, Setup]


def scores(learned: Learned) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All test images, their labels and the module's scores."""
    module, setup = learned
    labels = setup.data.test.labels
    images, _ = next(iter(setup.data.test.batches([torch.arange(len(labels))])))
    with torch.inference_mode():
        return images, labels, module.eval()(setup.preparation.evaluate(images))


def test_activations_are_those_before_the_next_layer_writes_over_them() -> None:
    """The relu runs in place: what the convolution computed is gone after it."""
    module = archdsl.load("model m { input(1x8x8); c: conv(4, 3); r: relu; flatten; l: linear(3) }").build(seed=0)
    assert module.get_submodule("r").inplace
    x = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = module.get_submodule("c")(x)
    conv, relu = activations(module, Samples((x,)))[:2]
    assert conv.mean == pytest.approx(expected.mean().item(), abs=1e-6)
    assert conv.std == pytest.approx(expected.numpy().std(), rel=1e-5)
    assert conv.quantiles[0] < 0 <= relu.quantiles[0]
    assert conv.zeros == 0
    assert relu.zeros == pytest.approx((expected <= 0).float().mean().item())
    assert relu.mean == pytest.approx(expected.relu().mean().item(), abs=1e-6)
    np.testing.assert_allclose(conv.quantiles, np.quantile(expected.numpy(), [0.01, 0.25, 0.5, 0.75, 0.99]), atol=0.02)
    _, outputs = run(module, (x,), ["c"])
    torch.testing.assert_close(outputs["c"], expected)


def test_activations_are_labelled_and_in_the_order_they_run() -> None:
    module = archdsl.load(
        "model m { input(1x8x8); a: conv(4, 3x5); residual { b: conv(4, 1) }; reuse(b); d: linear(7) }"
    ).build(seed=0)
    found = activations(module, Samples((torch.randn(2, 1, 8, 8),)))
    assert [one.label for one in found] == ["a: conv 3x5, 4", "b: conv 1x1, 4", "b: conv 1x1, 4", "d: linear, 7"]


def test_labels_of_other_modules_and_scopes() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Sequential(nn.ReLU()))
    assert [label(module, name) for name in ("0", "1", "2", "2.0")] == [
        "0: conv2d 3x3, 2",
        "1: maxpool2d 2x2",
        "2",
        "2.0: relu",
    ]
    assert leaves(module) == ["0", "1", "2.0"]


def test_the_module_is_left_in_its_modes() -> None:
    module = archdsl.load("model m { input(1x8x8); conv(4, 3); batchnorm; relu }").build(seed=0)
    module.train()
    module.get_submodule("1").eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    activations(module, Samples((torch.randn(2, 1, 8, 8),)))
    assert [each.training for each in module.children()] == [True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(each._forward_hooks for each in module.modules())


def test_mistakes_are_the_wrong_predictions_with_the_highest_probability(learned: Learned) -> None:
    images, labels, found = scores(learned)
    chances, predicted = found.softmax(1).max(1)
    wrong = (predicted != labels).nonzero()[:, 0]
    order = wrong[chances[wrong].argsort(descending=True)][:24]
    worst = mistakes(learned[0], data.test_batches(learned[1]))
    assert [mistake.probability for mistake in worst] == pytest.approx(chances[order].tolist(), abs=1e-6)
    assert [(m.true, m.predicted) for m in worst] == [(str(int(labels[i])), str(int(predicted[i]))) for i in order]
    assert [mistake.row for mistake in worst] == order.tolist()
    torch.testing.assert_close(worst[0].image, images[order[0]] / 255, atol=1e-6, rtol=0)


def test_features_are_the_outputs_of_the_layers_with_the_prediction(learned: Learned) -> None:
    module, setup = learned
    images, labels, found = scores(learned)
    output, [first] = feature_maps(module, first_samples(setup, 3), ["features.0"])
    with torch.inference_mode():
        expected = module.get_submodule("features.0")(setup.preparation.evaluate(images[:1]))[0]
    torch.testing.assert_close(torch.stack([tile for row in first.tiles for tile in row]), expected)
    assert first.signed
    assert first.high == pytest.approx(expected.abs().max().item())
    told = verdict(module, first_samples(setup, 3), 0, output, classes=True)
    assert (told.true, told.predicted) == (str(int(labels[0])), str(int(found[0].argmax())))
    assert told.probability == pytest.approx(found[0].softmax(0).max().item(), abs=1e-5)
    assert str(told) == f"true {told.true}, predicted {told.predicted} ({100 * told.probability:.0f} %)"


def test_probabilities_of_networks_that_end_in_a_softmax_are_not_changed() -> None:
    for end in ("softmax", "log_softmax(1)"):
        module = archdsl.load(f"model m {{ input(4); linear(3); {end} }}").build(seed=0)
        x = torch.randn(5, 4)
        with torch.inference_mode():
            expected = module[0](x).softmax(1)  # type: ignore[index]
            torch.testing.assert_close(probabilities(module, module(x)), expected)
    one = archdsl.load("model m { input(4); linear(1) }").build(seed=0)
    score = torch.tensor([[0.0], [2.0]])
    torch.testing.assert_close(probabilities(one, score, 2)[:, 1], score[:, 0].sigmoid())


@pytest.mark.parametrize(
    ("spec", "name", "shape"),
    [
        ("input(3x8x12); c: conv(5, 3, padding=1)", "c", (5, 8, 12)),
        ("input(3x8x12); permute((0, 2, 3, 1)); l: linear(7)", "l", (7, 8, 12)),
        ("input(3x8x12); conv(6, 4, stride=4); flatten(2); transpose(1, 2); t: layernorm(6)", "t", (6, 2, 3)),
        ("input(3x20); c: conv(4, 5)", "c", (4, 16)),
    ],
)
def test_outputs_are_put_back_on_the_grid_of_the_image(spec: str, name: str, shape: tuple[int, ...]) -> None:
    network = archdsl.load(f"model m {{ {spec} }}")
    module = network.build(seed=0)
    x = torch.randn(1, *network.input_shape)
    output = run(module, (x,), [name])[1][name]
    found = maps(module, name, output)
    assert found is not None
    assert tuple(found.shape[1:]) == shape
    if name == "t":
        torch.testing.assert_close(found[0, :, 1, 2], output[0, 5])


def test_tokens_lose_the_one_of_the_class() -> None:
    module = archdsl.load("vit_b_32").build(seed=0)
    name = "encoder.layers.encoder_layer_0.ln_1"
    output = torch.arange(50.0)[None, :, None].expand(1, 50, 768)
    found = maps(module, name, output)
    assert found is not None
    assert torch.equal(found[0, 0], torch.arange(1.0, 50).view(7, 7))


def test_tokens_that_a_layer_has_mixed_stay_in_their_places() -> None:
    """As in MLP-Mixer: the receptive field of a mixed token is the whole image, and its place is still its own."""
    spec = "input(3x8x12); conv(5, 4, stride=4); flatten(2); mixed: linear(6); transpose(1, 2); t: layernorm(5)"
    module = archdsl.load(f"model m {{ {spec} }}").build(seed=0)
    for name, output in (
        ("mixed", torch.arange(6.0).expand(1, 5, 6)),
        ("t", torch.arange(6.0)[:, None].expand(1, 6, 5)),
    ):
        found = maps(module, name, output)
        assert found is not None
        assert torch.equal(found[0, 0], torch.arange(6.0).view(2, 3))


def test_vectors_have_no_positions() -> None:
    module = archdsl.load("model m { input(3x8x8); conv(2, 3); flatten; l: linear(7) }").build(seed=0)
    assert maps(module, "l", torch.randn(1, 7)) is None
    assert maps(module, "1", torch.randn(1, 72)) is None


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
