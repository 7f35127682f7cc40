"""The report of a run: its facts are those of the run's files, and a browser shows it at every width."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from archdsl import Network
from archdsl.cli import main
from archdsl.recipe import Arrays, Recipe
from archdsl.report.entries import flat
from archdsl.report.facts import read_run
from archdsl.report.page import report_of_run
from archdsl.report.texts import duration, number, percent
from archdsl.train import run_training
from archdsl.train.setup import Setup
from tests.report.browser import browser, needs_browser, opened

NBSP = "\u00a0"


class Page(HTMLParser):
    """A page's elements with their attributes and whole text."""

    VOID = {"meta", "img", "br", "link", "input"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self.open: list[int] = []
        self.feed(text)
        assert self.open == []  # every element is closed

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in self.VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for index in self.open:
            self.elements[index][2].append(data)

    def texts(self, tag: str, **attributes: str) -> list[str]:
        """The text of each element with this tag and these attributes."""
        return [
            " ".join("".join(data).split())
            for name, found, data in self.elements
            if name == tag and all(found.get(key.rstrip("_")) == value for key, value in attributes.items())
        ]

    def values(self, tag: str, attribute: str) -> list[str]:
        return [found[attribute] for name, found, _ in self.elements if name == tag and attribute in found]


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def path(run: Path) -> Path:
    found = report_of_run(run)
    assert found == run / "report.html"
    return found


@pytest.fixture(scope="module")
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as running:
        yield running


# Facts


def test_its_first_lines_say_what_was_trained(page: Page, run: Path, network: Network) -> None:
    steps = sum(line["steps"] for line in lines(run))
    (session,) = json.loads((run / "sessions.json").read_text())
    (title,) = page.texts("h1")
    (lead,) = page.texts("p", class_="lead")
    accuracy = json.loads((run / "evaluation.json").read_text())["accuracy"]
    assert title == "small on digits finished"
    assert lead == (
        f"A network of {network.params:,} parameters, trained on 1,442 samples for 2 epochs ({steps} steps). "
        f"It classifies {100 * accuracy:.2f} % of 355 test samples correctly."
    )
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    started = datetime.fromisoformat(session["started"])
    assert facts["Time"].startswith(f"{started.day} {started:%B %Y, %H:%M}")
    assert facts["Data"] == "1,442 training, 355 validation and test"
    assert facts["Device"].startswith("cpu")
    assert any("Validation and test are the same 355 samples" in note for note in page.texts("p", class_="note"))


def test_steps_are_those_of_all_epochs(page: Page, run: Path) -> None:
    """Not those of the last epoch alone."""
    each = [line["steps"] for line in lines(run)]
    assert len(each) == 2
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts[f"epochs, {sum(each)} steps"] == "2"


def test_its_numbers_are_those_of_an_evaluation(page: Page, learned: tuple[nn.Module, Setup], run: Path) -> None:
    module, setup = learned
    found = setup.evaluate(module, test=True)
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    best = max(lines(run), key=lambda line: float(line["val_accuracy"]))
    assert facts["test accuracy"] == f"{100 * (found.accuracy or 0):.2f} %"
    assert facts["test loss"] == f"{found.loss:.4f}"
    assert facts[f"best validation accuracy, epoch {best['epoch']}"] == f"{100 * best['val_accuracy']:.2f} %"


def test_the_confusion_matrix_is_a_table(page: Page, learned: tuple[nn.Module, Setup]) -> None:
    module, setup = learned
    found = setup.evaluate(module, test=True).confusion
    titles = [title for title in page.values("td", "title") if title.startswith("true")]
    for i, row in enumerate(found):
        for j, count in enumerate(row):
            title = titles[10 * i + j]
            assert title.startswith(f"true {i}, predicted {j}: {count} of {sum(row)} (")
            assert title.endswith(f"({100 * count / sum(row):.1f}{NBSP}%)")


def test_charts_have_the_values_of_each_epoch(page: Page, run: Path) -> None:
    values = dict(zip(["loss/t", "loss/v", "acc/t", "acc/v", "lr"], page.values("li", "data-values"), strict=True))
    assert values["loss/v"].split() == [f"{line['val_loss']:.4f}" for line in lines(run)]
    assert values["acc/t"].split() == [f"{100 * line['train_accuracy']:.2f}" for line in lines(run)]
    assert values["lr"].split() == [f"{line['lr']:.3g}" for line in lines(run)]
    assert set(page.values("figure", "data-epochs")) == {"1 2"}


def test_only_entries_that_differ_from_the_defaults_are_open(page: Page) -> None:
    headings = page.texts("th", scope="row")
    assert headings.count("epochs") == 2  # also among all entries, which are folded
    assert headings.count("optimizer") == 1


def test_sections_are_linked(page: Page, text: str) -> None:
    headings = page.texts("h2")
    assert headings == [
        *("Results", "Curves", "Classes", "Mistakes", "Filters", "Feature maps", "Activations"),
        *("Network", "Recipe", "Environment"),
    ]
    anchors = [address[1:] for address in page.values("a", "href")]
    assert set(anchors) <= set(page.values("section", "id")) | {"content"}
    assert len(anchors) == len(headings) + 1
    guide = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    slugs = {line.lstrip("# ").strip().lower().replace(" ", "-") for line in guide.splitlines() if line.startswith("#")}
    assert {name.rpartition("#")[2] for name in re.findall(r"<cite>(.*?)</cite>", text)} <= slugs


def test_it_is_small_and_needs_nothing_else(text: str, page: Page) -> None:
    assert len(text) < 400_000
    assert all(address.startswith("data:image/") for address in page.values("img", "src"))
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    (policy,) = [one for one in page.values("meta", "content") if "default-src" in one]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")


def test_every_image_has_a_text(page: Page) -> None:
    tiles = [found for tag, found, _ in page.elements if tag == "img" and found.get("class")]
    assert tiles
    assert all(tile["alt"] for tile in tiles)


def copied(run: Path, folder: Path, /, **files: Any) -> Path:
    """A copy of a run with other facts in its files."""
    shutil.copytree(run, folder)
    for name, change in files.items():
        file = folder / f"{name}.json"
        found = json.loads(file.read_text())
        for part in found if isinstance(found, list) else [found]:
            part.update(change)
        file.write_text(json.dumps(found))
    return folder


def test_names_from_outside_are_escaped(run: Path, tmp_path: Path) -> None:
    wrong = "<script>alert(1)</script>"
    classes = [wrong, *map(str, range(1, 10))]
    change = {"environment": {"device": wrong}, "info": {"classes": classes}, "sessions": {"command": [wrong]}}
    copy = copied(run, tmp_path / wrong.replace("/", ""), **{"run": change.pop("info"), **change})
    text = report_of_run(copy).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert text.count("<script>") == 1  # its own
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize(
    ("session", "said"),
    [
        (
            {"state": "stopped", "reason": "by Ctrl-C", "epoch": 1, "step": 5},
            "stopped by Ctrl-C in epoch 2 of 2, after step 5 of 23. To resume",
        ),
        (
            {"state": "failed", "reason": "E708: cannot write", "epoch": 1},
            "epoch 2 of 2: E708: cannot write. To resume",
        ),
        ({"state": "failed", "reason": "E635: the loss became nan", "epoch": 1}, "E635: the loss became nan."),
        ({"state": "running", "ended": None, "pid": 2**22 + 1}, "it was killed, or the machine went down. To resume"),
        (
            {"state": "running", "ended": None, "host": "elsewhere"},
            "still running; this page shows the first 2 of 2 epochs.",
        ),
        ({"reason": "no better validation accuracy for 5 epochs"}, "ended early: no better validation accuracy for 5"),
    ],
)
def test_how_a_run_ended(session: dict[str, Any], said: str, run: Path, tmp_path: Path) -> None:
    notes = Page(report_of_run(copied(run, tmp_path / "run", sessions=session)).read_text()).texts("p")
    (note,) = [note for note in notes if note.startswith("It")]
    assert said in note
    assert ("archdsl train --resume" in note) == ("To resume" in said)


def test_a_run_without_epochs(run: Path, tmp_path: Path) -> None:
    copy = copied(run, tmp_path / "run", sessions={"state": "failed", "reason": "E635: wrong", "epoch": 0})
    (copy / "metrics.jsonl").unlink()
    page = Page(report_of_run(copy).read_text())
    assert page.texts("h2") == ["Results", "Network", "Recipe", "Environment"]
    assert "No epoch is complete, so there are no results." in page.texts("p")


def test_a_run_whose_data_are_gone(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Page((run / "report.html").read_text())
    copy = copied(run, tmp_path / "run", recipe={"dataset": {"kind": "arrays", "root": str(tmp_path / "gone.npz")}})
    assert main(["report", str(copy), "-o", str(tmp_path / "page.html")]) == 0
    assert "note: The data cannot be read here (" in capsys.readouterr().err
    page = Page((tmp_path / "page.html").read_text())
    assert page.texts("p", class_="lead") == whole.texts("p", class_="lead")
    assert page.values("td", "title") == whole.values("td", "title")
    assert page.texts("h2")[:5] == ["Results", "Curves", "Classes", "Filters", "Network"]
    assert any("cannot be read here" in note for note in page.texts("p", class_="note"))
    (copy / "evaluation.json").unlink()
    assert main(["report", str(copy)]) == 1  # nothing to fall back on


def test_a_run_of_an_earlier_version(run: Path, tmp_path: Path) -> None:
    copy = copied(run, tmp_path / "run")
    for name in ("sessions.json", "evaluation.json"):
        (copy / name).unlink()
    info = json.loads((copy / "run.json").read_text())
    for name in ("splits", "validation_is_test", "epoch_steps"):
        del info[name]
    (copy / "run.json").write_text(json.dumps(info))
    page = Page(report_of_run(copy).read_text())
    assert page.texts("h1") == ["small on digits finished"]  # its epochs are complete
    assert "Commit" not in page.texts("dt")


def test_validation_samples_are_not_called_test_samples(tmp_path: Path, network: Network) -> None:
    """Data without a test part: what is reported was measured on samples that were held back from training."""
    data, chance = tmp_path / "data", np.random.default_rng(0)
    data.mkdir()
    np.save(data / "x_train.npy", chance.integers(0, 256, (60, 1, 8, 8), dtype=np.uint8))
    np.save(data / "y_train.npy", np.arange(60) % 10)
    run_training(
        network, Recipe(dataset=Arrays(), root=str(data), validation=0.5, epochs=1), out=tmp_path / "run", quiet=True
    )
    page = Page(report_of_run(tmp_path / "run").read_text())
    assert "of 30 validation samples correctly" in page.texts("p", class_="lead")[0]
    assert "30 training, 30 validation" in page.texts("dd")
    assert not [words for words in page.texts("dt") + page.texts("p") if re.search(r"\btest\b", words)]


def test_a_run_that_ends_within_an_epoch(network: Network, tmp_path: Path) -> None:
    run_training(network, Recipe(epochs=5, max_steps=30, validation=0.1, ema=0.9), out=tmp_path / "run", quiet=True)
    facts = read_run(tmp_path / "run")
    assert (facts.steps, facts.epochs, facts.is_cut_short) == (30, 2, True)
    page = Page(report_of_run(tmp_path / "run", tmp_path / "page.html").read_text())
    (lead,) = page.texts("p", class_="lead")
    assert "for 1 epoch and 9 of 21 steps (30 steps)" in lead
    assert not any("same" in note for note in page.texts("p", class_="note"))
    assert "(their moving average, decay 0.9)" in page.texts("p", class_="about")[0]


def test_the_recipes_monitor_decides_on_the_best_epoch(run: Path, tmp_path: Path) -> None:
    copy = copied(run, tmp_path / "run", recipe={"monitor": "loss"})
    found = lines(copy)
    found[0]["val_loss"], found[1]["val_loss"] = 0.01, 9.0
    (copy / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found))
    page = Page(report_of_run(copy).read_text())
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["best validation loss, epoch 1"] == "0.0100"


def test_entries_become_rows() -> None:
    nested = {"lr": 0.1, "optimizer": {"kind": "sgd"}, "augment": [{"kind": "hflip"}, {"kind": "vflip"}], "none": []}
    assert flat(nested) == [
        ("lr", "0.1"),
        ("optimizer.kind", "sgd"),
        ("augment.1.kind", "hflip"),
        ("augment.2.kind", "vflip"),
        ("none", "[]"),
    ]


def test_numbers_and_times() -> None:
    assert [duration(each) for each in (0.04, 0.44, 12.4, 200, 7500, None)] == [
        *("40 ms", "0.4 s", "12 s", "3 min 20 s", "2 h 05 min", "–")
    ]
    numbers = [number(each) for each in (0.5, 1e-5, 0, float("nan"), float("inf"))]
    assert numbers == ["0.5000", "1.000e-05", "0.0000", "NaN", "∞"]
    assert [percent(each) for each in (0.87654, None, float("nan"))] == [f"87.65{NBSP}%", "–", "NaN"]


# In a browser


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it(chromium: Any, path: Path, width: int, scheme: str) -> None:
    """It is never wider than the window, its images are there, and axe finds nothing."""
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    with opened(chromium, path, width, color_scheme=scheme) as page:
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) == 0
        assert page.evaluate("[...document.images].filter(image => image.naturalWidth === 0).length") == 0
        found = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found] == []


@needs_browser
def test_charts_show_values_by_pointer_and_keys(chromium: Any, path: Path, run: Path) -> None:
    first, last = lines(run)
    with opened(chromium, path) as page:
        chart = page.locator(".chart svg").first
        shown = page.locator(".chart").first.locator("output")
        assert shown.all_inner_texts() == [f"{last['train_loss']:.4f}", f"{last['val_loss']:.4f}"]
        chart.hover(position={"x": 40, "y": 60})
        assert shown.all_inner_texts() == [f"{first['train_loss']:.4f}", f"{first['val_loss']:.4f}"]
        others = page.locator(".chart").nth(1)
        assert others.locator(".at").inner_text() == "epoch 1"  # all charts follow
        assert others.locator("output").all_inner_texts()[1] == percent(first["val_accuracy"])
        page.mouse.move(0, 0)
        assert others.locator(".at").inner_text() == "epoch 2"
        chart.focus()
        page.keyboard.press("ArrowLeft")
        assert shown.all_inner_texts()[0] == f"{first['train_loss']:.4f}"
        page.keyboard.press("End")
        assert shown.all_inner_texts()[0] == f"{last['train_loss']:.4f}"


@needs_browser
def test_scopes_fold(chromium: Any, path: Path) -> None:
    with opened(chromium, path) as page:
        rows = page.locator(".layers tbody tr:visible")
        whole = rows.count()
        page.get_by_role("button", name="Layers of features").click()
        assert rows.count() == whole - 5
        page.get_by_role("button", name="Layers of features").click()
        assert rows.count() == whole


@needs_browser
def test_it_shows_all_but_hovering_without_scripts(chromium: Any, path: Path) -> None:
    with opened(chromium, path, java_script_enabled=False) as page:
        assert page.locator(".chart path.curve").count() == 5
        assert page.locator(".fold:visible").count() == 0


@needs_browser
def test_paper_has_what_is_folded(chromium: Any, path: Path) -> None:
    with opened(chromium, path) as page:
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.get_by_text("features: { conv(12").is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF")
