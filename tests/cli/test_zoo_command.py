"""archdsl zoo: the list with its filters, the card of one network, its spec, and the time it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from archdsl import zoo
from archdsl.cards.cards import cards
from archdsl.cli import card as cards_shown
from archdsl.cli import main
from archdsl.cli.commands.zoo import _number, _years

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def listed(arguments: list[str], capsys: Capture) -> list[dict[str, Any]]:
    assert main(["zoo", *arguments, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def names(arguments: list[str], capsys: Capture) -> set[str]:
    return {one["name"] for one in listed(arguments, capsys)}


def test_the_table(capsys: Capture, snapshot: SnapshotAssertion) -> None:
    assert main(["zoo", "vgg1"]) == 0
    assert capsys.readouterr().out == snapshot


@pytest.mark.parametrize("width", ["40", "80", "100", "200"])
def test_the_whole_table_fits(width: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert main(["zoo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= int(width)
    assert len([line for line in lines if not line.startswith(" ")]) == 2 + len(zoo.names())


def test_everything_is_listed_with_the_cards_figures(capsys: Capture) -> None:
    found = listed([], capsys)
    assert [one["name"] for one in found] == list(zoo.names())
    by_name = {one["name"]: one for one in found}
    assert by_name["resnet18"] == {
        "name": "resnet18",
        "family": "resnet",
        "title": "ResNet",
        "params": 11_689_512,
        "gmacs": 1.814,
        "task": "classification",
        "paper": "Deep Residual Learning for Image Recognition",
        "year": 2015,
        "url": "https://arxiv.org/abs/1512.03385",
        "torchvision": "resnet18",
        "timm": None,
    }


def test_filters(capsys: Capture) -> None:
    assert names(["densenet1"], capsys) == {"densenet121", "densenet161", "densenet169"}
    assert names(["imagenet classification WITH deep"], capsys) == {"alexnet_2012"}  # its paper
    assert names(["vgg1", "--max-params", "133_000_000"], capsys) == {"vgg11", "vgg11_bn"}
    assert names(["lenet", "--year", "-2000"], capsys) >= {"lenet"}
    assert "vgg11" not in names(["--year", "2015-"], capsys)
    assert names(["vgg", "--year", "2014"], capsys) == {name for name in zoo.names() if name.startswith("vgg")}
    assert {one["task"] for one in listed(["--task", "classification"], capsys)} == {"classification"}
    assert names(["lenet", "--max-params", "61706", "--task", "classification", "--year", "1998"], capsys) >= {"lenet"}


def test_a_paper_of_its_own_goes_before_the_familys(capsys: Capture) -> None:
    models = {name: (model, card) for card in cards().values() for name, model in card.models.items()}
    own = {name: model for name, (model, _) in models.items() if model.paper}
    by_name = {one["name"]: one for one in listed([], capsys)}
    assert own
    for name, model in own.items():
        assert (by_name[name]["paper"], by_name[name]["year"]) == (model.paper, model.year)


@pytest.mark.parametrize(
    ("text", "years"), [("2015", {2015}), ("2015-2017", {2015, 2016, 2017}), ("-2001", {1998, 2001}), ("2020-", {2024})]
)
def test_years(text: str, years: set[int]) -> None:
    found = _years(text)
    assert found is not None
    assert all(year in found for year in years)
    assert not any(year in found for year in (1997, 2002, 2014, 2019) if text in {"2015", "2015-2017", "2020-"})


@pytest.mark.parametrize(
    ("text", "number"), [("500000", 500_000), ("5M", 5_000_000), ("2.5k", 2500), ("1_000", 1000), ("1,000", 1000)]
)
def test_numbers(text: str, number: int) -> None:
    assert _number(text) == number


@pytest.mark.parametrize(
    "arguments",
    [
        ["--task", "cooking"],
        ["--year", "15"],
        ["--year", "-"],
        ["--year", "2015-16"],
        ["--max-params", "many"],
        ["--max-params", "-1"],
        ["no such network"],
        ["resnet18x", "--show"],
        ["--show"],
        ["vgg", "--max-params", "1K"],
    ],
)
def test_a_wrong_command_line_is_2(arguments: list[str], capsys: Capture) -> None:
    assert main(["zoo", *arguments]) == 2
    streams = capsys.readouterr()
    assert streams.err.startswith("error[E80")
    assert streams.out == ""


def test_a_near_miss_is_answered(capsys: Capture) -> None:
    main(["zoo", "resnet81"])
    assert "resnet18" in capsys.readouterr().err


def test_the_card_of_one(capsys: Capture, snapshot: SnapshotAssertion) -> None:
    assert main(["zoo", "vgg11"]) == 0
    assert capsys.readouterr().out == snapshot


def test_what_was_reached_is_on_the_card_with_its_command(capsys: Capture) -> None:
    (reached,) = cards()["resnet9"].models["resnet9_fashion"].reached
    assert main(["zoo", "resnet9_fashion"]) == 0
    out = capsys.readouterr().out
    assert f"{reached.value:g} %" in out
    assert reached.command in out
    assert main(["zoo", "resnet9_fashion", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reached"] == [reached.model_dump()]


def test_the_card_as_json(capsys: Capture) -> None:
    assert main(["zoo", "googlenet", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["input"] == [3, 224, 224]
    assert found["parameters"]["classes"] == 1000
    assert (found["params"], found["params_eval"]) == (13_004_888, 6_624_904)
    assert found["results"][0]["weights"] == "IMAGENET1K_V1"


def test_every_card_can_be_drawn(capsys: Capture) -> None:
    """One network of each family; their counts are compared elsewhere."""
    for card in cards().values():
        entry = cards_shown.find(next(iter(card.models)))
        assert entry is not None
        text = cards_shown.card_text(entry)
        assert f"{entry.model.params:,}" in text
        lines = [line for line in text.splitlines() if not line.startswith("archdsl ") and "http" not in line]
        assert max(map(len, lines)) <= 80


def test_a_filter_beside_a_name_lists(capsys: Capture) -> None:
    assert names(["vgg11", "--max-params", "1G"], capsys) == {"vgg11", "vgg11_bn"}


def test_show_prints_the_spec(capsys: Capture) -> None:
    assert main(["zoo", "resnet18", "--show"]) == 0
    assert capsys.readouterr().out == (zoo.specs_folder() / "resnet.arch").read_text("utf-8")


def test_the_list_reads_no_spec() -> None:
    """The cards alone: expanding every network takes half a minute, parsing the specs a second."""
    code = (
        "import sys; from archdsl.cli import main; main(['zoo']); "
        "print(*sorted(m for m in sys.modules if m.startswith('archdsl.')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stderr.split())
    assert "archdsl.cards.cards" in loaded
    assert not loaded & {"archdsl.elaborate", "archdsl.syntax", "archdsl.layers", "archdsl.api"}
