"""What Python and notebooks show of the public values, and what is said where a package is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

import archdsl
from archdsl import zoo
from archdsl.diff import Difference
from archdsl.train import Evaluation

TWO = 'model two(name = "<b>&") { input(image: 1x8x8, time: 4); flatten; concat(time); linear(3) }'


def test_a_network_in_one_line() -> None:
    assert repr(zoo.load("resnet18")) == "<Network resnet18: 3x224x224 -> 1000, 11,689,512 parameters, 1.81 GMACs>"
    small = archdsl.load("model m { input(3); linear(2) }")
    assert repr(small) == "<Network m: 3 -> 2, 8 parameters, 6 MACs>"
    assert repr(archdsl.load(TWO)) == "<Network two: image 1x8x8, time 4 -> 3, 207 parameters, 204 MACs>"


def test_a_network_with_errors() -> None:
    known = archdsl.load("model m { input(3x8x8); conv(8, 3); conv(8, 99) }", partial=True)
    assert repr(known) == "<Network m: 1 error>"
    assert "8x6x6" in str(known)
    assert "The spec has errors" in str(known)
    assert known._repr_html_() is None
    assert str(archdsl.load("model m {", partial=True)).endswith("error>")


def test_a_printed_network_is_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.cli import main

    for width in ("40", "80", "200"):
        monkeypatch.setenv("COLUMNS", width)
        print(zoo.load("lenet"))
        printed = capsys.readouterr().out
        assert main(["summary", "lenet"]) == 0
        table, _, others = capsys.readouterr().out.partition("\nOther models")
        assert printed.split() == table.split()
        assert others


class Tags(HTMLParser):
    """The text, and the tags that are not closed where they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_notebook_shows_the_table_and_the_picture() -> None:
    page = Tags()
    page.feed(zoo.load("resnet18")._repr_html_() or "")
    assert page.open == []
    assert {"layer1", "2,359,296", "11,689,512 (all trainable)"} <= set(map(str.strip, page.text))
    [image] = page.images
    root = ElementTree.fromstring(b64decode(image.removeprefix("data:image/svg+xml;base64,")))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_a_notebook_shows_strings_as_they_are() -> None:
    network = archdsl.load(TWO)
    html = network._repr_html_() or ""
    assert "<b>" not in html
    page = Tags()
    page.feed(html)
    assert any('name="<b>&"' in text for text in page.text)


def test_other_values() -> None:
    network = zoo.load("lenet")
    layer = "<LayerInfo features.0: conv 1x28x28 -> 6x28x28, 156 parameters, 117,600 MACs, line 14>"
    assert re.sub(r"line \d+", "line 14", repr(network.layers[0])) == layer
    height, *_ = archdsl.input_sizes(zoo.load("resnet18"))
    assert repr(height) == "<AxisSizes height: every size from 1>"
    found = Difference(network, zoo.load("lenet", classes=5))
    assert repr(found) == "<Difference lenet -> lenet: 1 changed; a checkpoint does not load>"
    assert repr(Difference(network, network)) == "<Difference lenet -> lenet: no changes; a checkpoint loads>"
    evaluation = Evaluation(0.25, 0.75, ("a", "b"), ((2, 1), (0, 1)))
    assert repr(evaluation) == "<Evaluation: accuracy 75.00%, loss 0.25 of 4 samples>"
    assert repr(Evaluation(0.25, None, (), (), count=7)) == "<Evaluation: loss 0.25 of 7 samples>"


def test_a_module_names_its_network() -> None:
    network = archdsl.load(TWO)
    module = network.build()
    assert repr(module).startswith("Two(")
    assert archdsl.network_of(module) is network


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import archdsl
from archdsl import zoo
network = zoo.load("lenet")
repr(network), str(network), network._repr_html_()
def attempt(action):
    try:
        action()
    except archdsl.SpecError as error:
        print(str(error).splitlines()[0])
def training():
    from archdsl.train import run_training
attempt(network.build)
attempt(lambda: zoo.build("lenet"))
attempt(lambda: zoo.build("resnet18", weights="DEFAULT"))
attempt(lambda: archdsl.predict)
attempt(lambda: archdsl.export_onnx)
attempt(training)
"""


def test_without_torch_the_error_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=True)
    purposes = ["building a module", "building a module", "a network with published weights"]
    purposes += ["archdsl.predict", "archdsl.export_onnx", "archdsl.train"]
    install = 'needs the package torch: pip install "archdsl[torch]"'
    assert done.stdout.splitlines() == [f"error[E701]: {purpose} {install}" for purpose in purposes]
