"""The report of a run: its contents, and that a browser shows it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from torch import nn

from archdsl import Network
from archdsl.report.entries import flat
from archdsl.report.page import report_of_run
from archdsl.train.setup import Setup

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in BROWSERS if (path := shutil.which(name))), "")

#: Asks the page what it looks like; the answer becomes its title.
PROBE = """
<script>
window.addEventListener("load", () => {
  const images = [...document.images];
  document.title = JSON.stringify({
    images: images.length,
    broken: images.filter(image => !image.complete || image.naturalWidth === 0).length,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    headings: [...document.querySelectorAll("h2")].map(heading => heading.textContent),
    links: [...document.querySelectorAll("nav a")].filter(a => !document.querySelector(a.getAttribute("href"))).length,
    drawing: document.querySelector(".drawing svg").getBoundingClientRect().height,
    boxes: document.querySelectorAll(".drawing svg rect.box").length,
    rows: document.querySelectorAll("#network .scroll tbody tr").length,
  });
});
</script>
"""


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    path = report_of_run(run)
    assert path == run / "report.html"
    return path.read_text(encoding="utf-8")


def test_it_needs_no_network(page: str) -> None:
    addresses = set(re.findall(r'(?:src|href)="([^"]*)"', page))
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert "@import" not in page
    assert "<script" not in page


def test_it_says_what_the_run_came_to(page: str, learned: tuple[nn.Module, Setup], network: Network) -> None:
    module, setup = learned
    assert f"{setup.evaluate(module, test=True).accuracy:.2%}" in page
    assert f"{network.params:,} parameters" in page
    for heading in ("Curves", "Confusion matrix", "Worst mistakes", "Filters", "Feature maps", "Recipe", "Environment"):
        assert f"<h2>{heading}</h2>" in page
    assert "optimizer.kind" in page
    assert "features: { conv(12" in page


def test_names_from_outside_are_escaped(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    info = json.loads((copy / "run.json").read_text())
    environment = {"device": "<script>alert(1)</script>"}
    (copy / "environment.json").write_text(json.dumps(environment))
    (copy / "run.json").write_text(json.dumps(info))
    text = report_of_run(copy).read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1200, 480])
def test_a_browser_shows_it(page: str, tmp_path: Path, width: int) -> None:
    path = tmp_path / "report.html"
    path.write_text(page.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    flags += [f"--window-size={width},900", "--virtual-time-budget=5000", "--dump-dom"]
    command = [CHROMIUM, *flags, path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    title = re.search(r"<title>(\{.*?\})</title>", dom)
    assert title is not None
    seen = json.loads(title[1])
    assert seen["images"] >= 6
    assert (seen["broken"], seen["links"], seen["wide"]) == (0, 0, 0)
    assert seen["headings"][0] == "Results"
    assert seen["drawing"] > 300
    assert seen["boxes"] >= 10
    assert seen["rows"] == 11


def test_entries_become_rows() -> None:
    nested = {"lr": 0.1, "optimizer": {"kind": "sgd"}, "augment": [{"kind": "hflip"}, {"kind": "vflip"}], "none": []}
    assert flat(nested) == [
        ("lr", "0.1"),
        ("optimizer.kind", "sgd"),
        ("augment.1.kind", "hflip"),
        ("augment.2.kind", "vflip"),
        ("none", "[]"),
    ]
