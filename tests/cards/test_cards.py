"""The cards as references: the checker's counts are compared with published numbers or sums by hand."""

from __future__ import annotations

import ast
import operator
import re
from functools import cache
from pathlib import Path
from statistics import mean

import pytest
from pydantic import ValidationError
from torchvision.models import get_model_weights

from archdsl import Network, zoo
from archdsl.cards.cards import Card, ModelCard, Result, cards
from archdsl.elaborate import load_module, models_in, read

MODELS = {name: model for card in cards().values() for name, model in card.models.items()}
TWINS = sorted(name for name, model in MODELS.items() if model.torchvision)
CLASSIFIERS = [name for name in TWINS if MODELS[name].task == "classification"]
#: torchvision's names for the accuracies of a task, and ours.
METRICS = {
    "classification": ("ImageNet-1K", {"acc@1": "top1", "acc@5": "top5"}),
    "segmentation": ("COCO-val2017-VOC-labels", {"miou": "miou", "pixel_acc": "pixel_accuracy"}),
    "detection": ("COCO-val2017", {"box_map": "box_map"}),
    "video": ("Kinetics-400", {"acc@1": "top1", "acc@5": "top5"}),
}

load = cache(zoo.load)


def added_up(sum_by_hand: str) -> int:
    """The value of a sum of products of integers; anything else in it is an error."""
    operations = {ast.Add: operator.add, ast.Mult: operator.mul}

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(int(number)):
                return number
            case ast.BinOp(left, operation, right):
                return int(operations[type(operation)](value(left), value(right)))
        raise ValueError(ast.dump(node))

    return value(ast.parse(" ".join(sum_by_hand.split()), mode="eval").body)


def without_heads(model: ModelCard) -> int:
    return model.params if model.params_eval is None else model.params_eval


def test_each_spec_has_a_card_with_exactly_its_networks() -> None:
    """`zoo.names` reads the cards alone, so that the specs themselves are asked here."""
    modules = {path.stem: load_module(read(path), path) for path in zoo.specs_folder().glob("*.arch")}
    specs = {stem: names for stem, module in modules.items() if (names := set(models_in(module)))}
    assert {stem: set(card.models) for stem, card in cards().items()} == specs


def test_the_course_notes_figures() -> None:
    assert load("mlp_cat_dog").params == 1_574_402
    assert load("cifar_cnn").params == 5_852_170


@pytest.mark.parametrize("name", MODELS)
def test_the_checker_counts_what_the_card_says(name: str) -> None:
    assert load(name).params == MODELS[name].params


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.derivation])
def test_a_sum_by_hand_adds_up(name: str) -> None:
    assert added_up(MODELS[name].derivation) == MODELS[name].params


def test_a_count_is_a_librarys_or_derived() -> None:
    own = [name for name, model in MODELS.items() if not (model.torchvision or model.timm or model.derivation)]
    assert own == []


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_torchvision_says_the_same(name: str) -> None:
    """Some weights are for larger pictures, and then count more: one of them is for the spec's own input."""
    model = MODELS[name]
    published = list(get_model_weights(model.torchvision))
    figures = {(weights.meta["num_params"], weights.meta["_ops"]) for weights in published}
    assert (without_heads(model), model.gmacs) in figures


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_checker_counts_torchvisions_multiply_adds(name: str) -> None:
    """Torchvision's `_ops` are multiply-adds in thousands of millions, rounded to three decimals."""
    assert round(load(name).macs / 1e9, 3) == MODELS[name].gmacs


@pytest.mark.parametrize("name", TWINS)
def test_results_are_the_published_ones(name: str) -> None:
    weights = get_model_weights(MODELS[name].torchvision)
    dataset, names = METRICS[MODELS[name].task]
    for result in MODELS[name].results:
        published = weights[result.weights].meta["_metrics"][dataset]
        assert {key: getattr(result, ours) for key, ours in names.items()} == published


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.params_eval is not None])
def test_the_count_without_auxiliary_heads(name: str) -> None:
    assert zoo.load(name, aux_logits=False).params == MODELS[name].params_eval


def rounded(network: Network, text: str) -> bool:
    """Whether a count of the paper (`0.27M`) is the network's, at the paper's precision."""
    digits = len(text.removesuffix("M").partition(".")[2])
    return round(network.params / 1e6, digits) == float(text.removesuffix("M"))


@pytest.mark.parametrize("name", ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"])
def test_the_papers_rounded_counts(name: str) -> None:
    """Table 6 of the paper; its 0.46M and 0.85M are 464,154 and 853,018."""
    text = re.search(r"rounds it to ([\d.]+M)", MODELS[name].source)
    assert text is not None
    assert rounded(load(name), text[1])


TOO_GOOD = {"dataset": "imagenet", "top1": 101.0, "source": "over 100 %"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": "x", "models": {}, "papers": "a key that is not known"},
        {"title": "x", "models": {"a": {"params": "10", "source": "a text for a number"}}},
        {"title": "x", "models": {"a": {"params": 10}}},
        {"title": "x", "models": {"a": {"params": -1, "source": "below zero"}}},
        {"title": "x", "models": {"a": {"params": 1, "source": "s", "results": [TOO_GOOD]}}},
    ],
)
def test_a_wrong_card_is_rejected(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Card.model_validate(wrong)


def test_a_card_cannot_be_changed() -> None:
    result = Result(dataset="imagenet", source="somewhere")
    with pytest.raises(ValidationError):
        result.top1 = 99.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        cards()["new"] = next(iter(cards().values()))  # type: ignore[index]


def test_the_card_of_a_network() -> None:
    card = zoo.card("resnet50")
    assert card is not None
    assert (card.title, card.year) == ("ResNet", 2015)
    assert zoo.card("no_such_network") is None


def test_results_reached_are_those_of_the_benchmark() -> None:
    """The cards say in short what `./run bench results` wrote down, run by run."""
    text = (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text("utf-8")
    runs = re.findall(r"`(archdsl train .*?) --set seed=\d+` *\| *(\w+) \| *\d+ \| *([\d.]+) %", text)
    measured: dict[tuple[str, str], list[float]] = {}
    for command, dataset, value in runs:
        measured.setdefault((command, dataset), []).append(float(value))
    reached = {(each.command, each.dataset): each for model in MODELS.values() for each in model.reached}
    assert reached
    assert set(reached) == set(measured)
    for key, values in measured.items():
        assert len(values) == reached[key].runs > 1
        assert reached[key].value == pytest.approx(mean(values), abs=0.006)
        assert reached[key].spread == pytest.approx(max(values) - min(values), abs=0.006)
