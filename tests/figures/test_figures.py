"""Figures: what they show, compared with a computation by hand, and the files they are written to."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import archdsl
from archdsl import figures
from archdsl.diagnostics import SpecError
from archdsl.drawing.themes import ROLES, contrast
from archdsl.figures import samples as data
from archdsl.figures.samples import Samples, first_samples
from archdsl.figures.statistics import mistakes
from archdsl.figures.style import SERIES, svg
from archdsl.recipe import Recipe
from archdsl.recipe.losses import Mse
from archdsl.runs.folder import EpochMetrics
from archdsl.train.setup import Setup, set_up

Learned = tuple[nn.Module, Setup]

PICTURES: dict[str, Callable[[nn.Module, Setup], Figure]] = {
    "filters": lambda module, setup: figures.filters(module),
    "features": lambda module, setup: figures.features(module, first_samples(setup, 1)),
    "activations": lambda module, setup: figures.activations(module, first_samples(setup, 64)),
    "embedding": lambda module, setup: figures.embedding(module, first_samples(setup, 50)),
    "mistakes": lambda module, setup: figures.mistakes(module, data.test_batches(setup)),
    "gradcam": lambda module, setup: figures.gradcam(module, first_samples(setup, 1), ["features.0", "features"]),
    "occlusion": lambda module, setup: figures.occlusion(module, first_samples(setup, 1)),
    "field": lambda module, setup: figures.field(module, first_samples(setup, 2)),
}


def words(figure: Figure) -> list[str]:
    """All texts of a figure."""
    texts = [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title, *axes.get_yticklabels()]]
    return [text for text in [*texts, *(text.get_text() for text in figure.texts)] if text]


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_is_drawn_with_its_network_and_data(picture: str, learned: Learned) -> None:
    figure = PICTURES[picture](*learned)
    text = " ".join(words(figure))
    assert "small" in text
    assert picture in {"filters", "field"} or "digits" in text
    assert picture in {"embedding", "mistakes", "occlusion"} or "features.0: conv 3x3, 12" in text or picture == "field"


@pytest.mark.parametrize(("form", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_figures_are_written_in_three_forms(form: str, start: bytes, learned: Learned, tmp_path: Path) -> None:
    for picture in ("filters", "embedding"):
        path = tmp_path / f"{picture}{form}"
        figures.save(PICTURES[picture](*learned), path)
        assert path.read_bytes().startswith(start)


def test_an_svg_is_the_same_each_time_and_follows_its_reader(learned: Learned) -> None:
    one, other = (svg(figures.filters(learned[0]), "auto") for _ in range(2))
    assert one == other
    assert "prefers-color-scheme: dark" in one
    # Every colour of the light theme that the figure uses has a rule.
    ruled = set(re.findall(r"fill: (#[0-9a-f]{6})\"\]", one))
    assert ROLES["light"]["ink"] in ruled
    assert ROLES["light"]["surface"] in ruled
    used = set(re.findall(r'style="fill: (#[0-9a-f]{6})', one))
    assert used <= ruled
    assert "prefers-color-scheme" not in svg(figures.filters(learned[0]), "light")


def test_themes_change_page_and_text(learned: Learned) -> None:
    for theme in ("light", "dark"):
        figure = figures.embedding(learned[0], first_samples(learned[1], 20), theme=theme)
        assert figure.get_facecolor()[:3] == pytest.approx(
            [int(ROLES[theme]["surface"][i : i + 2], 16) / 255 for i in (1, 3, 5)]
        )


def test_lines_and_points_are_seen_on_light_and_dark_pages() -> None:
    for colour in SERIES:
        assert contrast(colour, ROLES["light"]["surface"]) >= 2.9
        assert contrast(colour, ROLES["dark"]["surface"]) >= 2.9


def test_mistakes_are_told_as_predicted_and_true(learned: Learned) -> None:
    worst = mistakes(learned[0], data.test_batches(learned[1]))
    figure = figures.mistakes(learned[0], data.test_batches(learned[1]))
    first = worst[0]
    assert f"predicted {first.predicted} ({first.probability:.0%})".replace(
        "%", " %"
    ) + f"\ntrue {first.true}" in words(figure)
    assert sum(len(axes.images) for axes in figure.axes) == len(worst)


def test_confusion_counts_are_printed() -> None:
    figure = figures.confusion([[3, 1], [0, 4]], ["cat", "dog"], data="test split of pets")
    texts = words(figure)
    assert [text for text in texts if text in {"3", "1", "·", "4"}] == ["3", "1", "·", "4"]
    assert any("7 of 8 right (87.5 %)" in text for text in texts)


def test_a_hundred_classes_have_names_and_their_most_frequent_errors() -> None:
    counts = [[9 if i == j else 0 for j in range(100)] for i in range(100)]
    counts[7][8], counts[20][3] = 5, 6
    figure = figures.confusion(counts, [f"class{i}" for i in range(100)])
    axes = figure.axes[0]
    assert len(axes.get_xticklabels()) == len(axes.get_yticklabels()) == 100
    [listed] = [text for text in words(figure) if "most frequent" in text]
    assert listed.splitlines()[2:] == ["6 x class20 as class3", "5 x class7 as class8"]


def history(epochs: int, accuracy: float | None = 0.5) -> list[EpochMetrics]:
    return [
        EpochMetrics(i, 10 * i, 1 / i, accuracy, 2 / i, accuracy, 0.1 / i, 100.0, 1.0) for i in range(1, epochs + 1)
    ]


@pytest.mark.parametrize("epochs", [1, 3, 40])
def test_curves_are_the_metrics_over_whole_epochs(epochs: int) -> None:
    figure = figures.curves({"run": history(epochs)})
    loss, accuracy, rate = figure.axes
    train, validation = loss.lines
    assert np.asarray(train.get_xdata()).tolist() == list(range(1, epochs + 1))
    assert np.asarray(validation.get_ydata()).tolist() == [2 / i for i in range(1, epochs + 1)]
    assert np.asarray(accuracy.lines[1].get_ydata()).tolist() == [50.0] * epochs
    assert np.asarray(rate.lines[0].get_ydata()).tolist() == [0.1 / i for i in range(1, epochs + 1)]
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_curves_of_several_runs_without_accuracy() -> None:
    figure = figures.curves({"a": history(3, None), "b": history(5, None)})
    assert [axes.get_title() for axes in figure.axes] == ["loss", "learning rate at the end of the epoch"]
    assert [line.get_label() for line in figure.axes[0].lines] == [
        "a, training",
        "a, validation",
        "b, training",
        "b, validation",
    ]
    with pytest.raises(SpecError, match="no epoch has been finished"):
        figures.curves({"a": []})


def test_an_embedding_of_two_outputs_is_drawn_as_it_is() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    inputs = torch.randn(30, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    for targets, classes in ((torch.arange(30) % 3, ("a", "b", "c")), (torch.rand(30, 1), ()), (None, ())):
        figure = figures.embedding(module, Samples((inputs,), targets=targets, classes=classes))
        drawn = np.concatenate([np.asarray(each.get_offsets()) for each in figure.axes[0].collections])
        expected = module(inputs).detach().numpy()
        np.testing.assert_allclose(np.sort(drawn, 0), np.sort(expected, 0), rtol=1e-6)
        assert figure.axes[0].get_xlabel() == "first output"


def test_outputs_stand_between_inputs_and_targets() -> None:
    network = archdsl.load("model m { input(1x8x8); conv: conv(1, 1, bias=false) }")
    setup = set_up(network, Recipe(target="next_class", loss=Mse()))
    module = network.build()
    torch.nn.init.ones_(module.get_parameter("conv.weight"))
    figure = figures.outputs(module, first_samples(setup, 8))
    found = [np.asarray(image.get_array())[..., 0] for axes in figure.axes for image in axes.images]
    ((images, targets),) = setup.data.test.batches([torch.arange(8)])
    np.testing.assert_allclose(np.stack(found[:8]), images[:, 0].numpy() / 255, atol=1e-5)
    shown = setup.preparation.evaluate(images)[:, 0].clamp(0, 1).numpy()
    np.testing.assert_allclose(np.stack(found[8:16]), shown, atol=1e-5)
    np.testing.assert_allclose(np.stack(found[16:]), targets[:, 0].numpy(), atol=1e-5)
    with pytest.raises(SpecError, match="classes of the samples are not known"):
        figures.mistakes(module, first_samples(setup, 8))


def test_a_sample_that_is_not_there_is_an_error(learned: Learned) -> None:
    number = len(learned[1].data.test.labels)
    assert len(data.test_samples(learned[1], [number - 1])) == 1
    with pytest.raises(SpecError, match=rf"E744.*\n?.*no sample {number}: the test split has {number}"):
        data.test_samples(learned[1], [number])


def test_samples_show_what_the_network_sees(learned: Learned) -> None:
    samples = first_samples(learned[1], 3)
    ((images, labels),) = learned[1].data.test.batches([torch.arange(3)])
    assert samples.shown is not None
    torch.testing.assert_close(samples.shown, images.float() / 255, atol=1e-6, rtol=0)
    assert [samples.true(i) for i in range(3)] == [str(int(label)) for label in labels]


@pytest.mark.parametrize(
    ("draw", "code"),
    [
        (lambda m, s: figures.filters(m, ["features.9"]), "E741"),
        (lambda m, s: figures.filters(m, ["features.1"]), "E742"),
        (lambda m, s: figures.activations(m, s, ["nowhere"]), "E741"),
        (lambda m, s: figures.gradcam(m, s, ["dense"]), "E742"),
        (lambda m, s: figures.gradcam(m, s, target="elephant"), "E743"),
        (lambda m, s: figures.gradcam(m, s, target=10), "E743"),
        (lambda m, s: figures.occlusion(m, s, ["dense"]), "E742"),
        (lambda m, s: figures.field(m, s, "features.0", position=(8, 0)), "E742"),
        (figures.embedding, "E742"),
        (figures.outputs, "E742"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    draw: Callable[[nn.Module, Samples], Figure], code: str, learned: Learned
) -> None:
    with pytest.raises(SpecError) as error:
        draw(learned[0], first_samples(learned[1], 1))
    assert [each.problem.code for each in error.value.diagnostics] == [code]


def test_a_near_name_is_offered(learned: Learned) -> None:
    with pytest.raises(SpecError, match=r"features\.0"):
        figures.filters(learned[0], ["feature.0"])


def test_long_titles_end_within_the_page() -> None:
    from archdsl.figures.sheet import sheet
    from archdsl.figures.style import figure

    long = "the receptive field of a unit of a network with a name that is long " * 2
    for made in (figure(4, 3, long, long, "#666666"), sheet(long, long, [], {"soft": "#666666"})):
        texts = [*made.texts, *(text for axes in made.axes for text in axes.texts)]
        assert len(texts) == 2
        assert max(text.get_window_extent().x1 for text in texts) <= made.bbox.x1
    [title, _] = figure(8, 3, "short", "short", "#666666").texts
    assert title.get_fontsize() == 11


def test_pairs_of_images_are_drawn_level_with_their_heat() -> None:
    from archdsl import zoo

    module = zoo.build("siamese_resnet", seed=0)
    pair = torch.rand(1, 1, 28, 28), torch.rand(1, 1, 28, 28)
    made = figures.gradcam(module, Samples(pair, shown=torch.cat(pair, 3), pictured=(0, 1)))
    made.draw_without_rendering()
    image, heat, _ = made.axes
    assert image.get_window_extent().y1 == pytest.approx(heat.get_window_extent().y1, abs=1)


def test_a_constant_learning_rate_is_drawn_from_0() -> None:
    history = [EpochMetrics(i, i, 1.0, 0.5, 1.0, 0.5, 0.001, 1.0, 1.0) for i in (1, 2)]
    rate = figures.curves({"one": history}).axes[-1]
    assert rate.get_ylim()[0] == 0
