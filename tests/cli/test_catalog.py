"""`archdsl layers` and `archdsl explain`: what they list is all there is."""

from __future__ import annotations

import json

import pytest
import torch
from syrupy.assertion import SnapshotAssertion
from torch import nn

from archdsl.cli import main
from archdsl.combinators import COMBINATORS
from archdsl.diagnostics import CODES, load_all
from archdsl.elaborate.functions import FUNCTIONS
from archdsl.layers import all_kinds
from archdsl.layers.initializers import INITIALIZERS
from archdsl.layers.parametrizations import PARAMETRIZATIONS
from archdsl.recipe import FAMILIES
from archdsl.view.catalog import SECTIONS, Item, all_items, items

Capture = pytest.CaptureFixture[str]
ALL = all_items()


def test_the_sections_have_all_there_is() -> None:
    listed = {section: [item.name for item in items(section)] for section in SECTIONS}
    assert listed == {
        "layers": list(all_kinds()),
        "combinators": list(COMBINATORS),
        "functions": list(FUNCTIONS),
        "initializers": list(INITIALIZERS),
        "parametrizations": list(PARAMETRIZATIONS),
        "optimizers": list(FAMILIES["optimizer"]),
        "schedules": list(FAMILIES["schedule"]),
        "losses": list(FAMILIES["loss"]),
        "augmentations": list(FAMILIES["augment"]),
        "datasets": list(FAMILIES["dataset"]),
    }


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item.section}-{item.name}")
def test_every_item_says_what_it_is(item: Item) -> None:
    assert item.summary
    assert item.summary == item.summary.strip()
    assert all(argument.type for argument in item.arguments)


@pytest.mark.parametrize("item", items("optimizers"), ids=lambda item: item.name)
def test_arguments_of_optimizers_are_those_of_pytorch(item: Item) -> None:
    """PyTorch's optimizer of the name takes every argument by its name, with the default that is listed."""
    cls = {name.lower(): one for name, one in vars(torch.optim).items()}[item.name]
    made = cls([nn.Parameter(torch.zeros(1))])
    for argument in item.arguments:
        default = made.defaults[argument.name]
        assert argument.default == str(default).lower() or float(argument.default) == float(default)


def test_text_of_one(capsys: Capture, snapshot: SnapshotAssertion) -> None:
    for name in ("linear", "adamw", "residual", "divisible", "kaiming_normal", "hflip"):
        assert main(["layers", name]) == 0
    assert capsys.readouterr().out == snapshot


@pytest.mark.parametrize("width", [40, 80, 200])
def test_tables(width: int, capsys: Capture, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for words in (["layers", "--kind", "schedules"], ["layers", "--kind", "combinators"], ["explain", "E2"]):
        assert main(words) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= width
    assert text == snapshot


def test_one_name_of_two_things(capsys: Capture) -> None:
    assert main(["layers", "linear", "--json"]) == 0
    assert [one["section"] for one in json.loads(capsys.readouterr().out)] == ["layers", "schedules"]
    assert main(["layers", "linear", "--kind", "schedules", "--json"]) == 0
    assert [one["section"] for one in json.loads(capsys.readouterr().out)] == ["schedules"]


@pytest.mark.parametrize(("given", "meant"), [("Adam", "adam"), ("Conv2d", "conv"), ("kaiming", "kaiming_normal")])
def test_a_similar_name_is_suggested(given: str, meant: str, capsys: Capture) -> None:
    assert main(["layers", given]) == 2
    assert f"did you mean `{meant}`?" in capsys.readouterr().err


def test_explain_lists_every_code_once(capsys: Capture) -> None:
    load_all()
    assert main(["explain"]) == 0
    text = capsys.readouterr().out
    found = [line.split()[0] for line in text.splitlines() if line[:1] in {"E", "W"}]
    assert found == sorted(CODES)


@pytest.mark.parametrize(("words", "expected"), [("W", "W001"), ("e80", "E801"), ("state_dict", "E702")])
def test_explain_searches(words: str, expected: str, capsys: Capture) -> None:
    assert main(["explain", words, "--json"]) == 0
    found = [one["code"] for one in json.loads(capsys.readouterr().out)]
    assert expected in found
    assert found != sorted(CODES)


def test_explain_finds_nothing(capsys: Capture) -> None:
    assert main(["explain", "E999"]) == 2
    assert "E804" in capsys.readouterr().err


def test_types_are_written_as_in_specs() -> None:
    written = [argument.type for item in all_items() for argument in item.arguments]
    assert not [text for text in written if "<class" in text or "typing" in text]
    [of, *_] = next(item for item in items("datasets") if item.name == "pairs").arguments
    assert of.type.startswith("digits or fashion_mnist or ")
