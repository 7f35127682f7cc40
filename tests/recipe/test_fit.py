"""Errors of a recipe that does not fit its network, in `check` and in training."""

from __future__ import annotations

import pytest

from archdsl import zoo
from archdsl.elaborate import check_source
from archdsl.text.source import Source

MODEL = "model m {{ input({input}); features: {{ flatten; linear(32); relu }}; head: linear({outputs}) }}\n"


def found(recipe: str, input: str = "1x8x8", outputs: int = 10) -> list[tuple[str, str]]:
    """The codes of the errors, each with the entry it stands at."""
    text = MODEL.format(input=input, outputs=outputs) + f"train {{ {recipe} }}"
    return [(one.code, one.span.text if one.span else "") for one in check_source(Source("t.arch", text)).errors]


WRONG = {
    "freeze = [featuers]": "E640",
    'rates = {"features.7": 0.1}': "E640",
    "loss = cross_entropy(weight=[1, 2])": "E641",
    "loss = bce(pos_weight=[1, 2])": "E641",
    "loss = nll(weight=[1])": "E641",
    "target = picture": "E641",
    "loss = pairwise_distance; target = next_class": "E641",
    "loss = pairwise_distance; metrics = [accuracy]": "E642",
    "loss = pairwise_distance; monitor = f1": "E642",
    "loss = pairwise_distance; augment = [mixup]": "E621",
    "augment = [cutmix]; loss = cross_entropy(ignore_index=3)": "E621",
    "augment = [random_crop(6)]": "E621",
    "augment = [random_crop(32)]": "E621",
    "augment = [random_resized_crop(16)]": "E621",
    "augment = [normalize([0.1, 0.2], 1)]": "E621",
    "dataset = cifar10": "E618",
    "freeze = [features, head]": "E637",
    "dataset = cifar100": "E619",
    "classes = [a, b, a]": "E207",
}


@pytest.mark.parametrize("recipe", WRONG)
def test_a_recipe_that_does_not_suit_the_network(recipe: str) -> None:
    codes = [code for code, _ in found(recipe)]
    assert codes[:1] == [WRONG[recipe]]
    assert found(recipe)[0][1] in recipe


@pytest.mark.parametrize(
    ("recipe", "input", "outputs", "code"),
    [
        ("dataset = mnist", "1x28x28", 9, "E619"),
        ("dataset = cifar100", "3x32x32", 10, "E619"),
        ("dataset = digits", "1x8x8", 3, "E619"),
        ("dataset = mnist", "2x28x28", 10, "E618"),
        ("dataset = digits", "99", 10, "E618"),
        ("dataset = digits; metrics = [top5]; classes = [a, b]", "1x8x8", 10, "E642"),
    ],
)
def test_a_data_set_that_is_known_by_its_name(recipe: str, input: str, outputs: int, code: str) -> None:
    assert [code for code, _ in found(recipe, input, outputs)] == [code]


@pytest.mark.parametrize(
    ("recipe", "input", "outputs"),
    [
        ("epochs = 1", "2x30x30", 3),  # another data set may come from an option
        ("dataset = digits; classes = [a, b, c]", "1x8x8", 3),
        ("dataset = digits; classes = [a, b]; loss = bce", "1x8x8", 1),
        ('dataset = mnist("my/files")', "1x28x28", 3),  # files of one's own may hold anything
        ("dataset = imagefolder(root=\"x\"); augment = [random_resized_crop(20)]", "3x20x20", 3),
        ("dataset = cifar10; augment = [random_crop(32, padding=4), normalize((0, 0, 0), 1)]", "3x32x32", 10),
        ("dataset = digits; augment = [random_crop(8, padding=1)]", "64", 10),
        ("freeze = [features, \"features.1.weight\"]; rates = {head: 0.1}", "1x8x8", 10),
        ("loss = cross_entropy(weight=[1, 1, 2]); metrics = [accuracy, f1]; monitor = loss", "1x8x8", 3),
        ("loss = mse; target = picture", "64", 64),
    ],
)  # fmt: skip
def test_what_suits(recipe: str, input: str, outputs: int) -> None:
    assert found(recipe, input, outputs) == []


def test_the_model_is_named_where_others_share_the_recipe() -> None:
    other = "model other { input(8); a: linear(3); linear(3) }"
    text = MODEL.format(input="1x8x8", outputs=10) + other + "\ntrain { freeze = [a] }"
    (error,) = check_source(Source("t.arch", text)).errors
    assert [note.message for note in error.notes] == ["for model `m`"]


def test_known_data_sets_are_what_is_loaded() -> None:
    from archdsl.datasets.data import load_data
    from archdsl.recipe import Recipe
    from archdsl.recipe.datasets import Digits

    data = load_data(Recipe(), zoo.load("lenet").input_shape)
    assert (tuple(data.sample), len(data.classes)) == (Digits.sample, Digits.number)


@pytest.mark.parametrize("name", ["lenet", "squeezenet1_1", "resnet18", "unet", "swin_t"])
def test_labels_are_the_names_in_the_module(name: str) -> None:
    network = zoo.load(name)
    module = network.build()
    names = {name for name, _ in (*module.named_modules(), *module.named_parameters()) if name}
    assert network.labels <= names
    # Further modules have no weights, and are no parts of the spec.
    assert not {name for name in names - network.labels if any(module.get_submodule(name).parameters())}
