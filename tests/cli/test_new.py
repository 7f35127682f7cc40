"""archdsl new: the file checks on its own, is formatted, and is the network it was started from."""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

import archdsl
from archdsl import zoo
from archdsl.cards.cards import cards
from archdsl.cli import main
from archdsl.cli.network import Asked
from tests.cli.runs import write_run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def is_sound(path: str) -> bool:
    return main(["check", path]) == 0 and main(["fmt", "--check", path]) == 0


def same(one: archdsl.Network, other: archdsl.Network) -> bool:
    """The same state_dict in the same order, and the same layers."""
    layers = ([(row.kind, row.input, row.output) for row in network.layers] for network in (one, other))
    return list(one.state.items()) == list(other.state.items()) and len(set(map(tuple, layers))) == 1


def test_a_starter_can_be_trained(capsys: Capture) -> None:
    assert main(["new", "mine"]) == 0
    assert capsys.readouterr().out == "wrote mine.arch: see `archdsl summary mine.arch`\n"
    assert is_sound("mine.arch")
    network = archdsl.load("mine.arch")
    assert (network.name, network.output_shape) == ("mine", (10,))
    assert main(["train", "mine.arch", "--epochs", "1", "--quiet", "--out", "run"]) == 0


def test_from_the_zoo(snapshot: SnapshotAssertion) -> None:
    assert main(["new", "mynet", "--from", "lenet_relu"]) == 0
    assert Path("mynet.arch").read_text("utf-8") == snapshot
    assert is_sound("mynet.arch")


FAMILIES = [next(iter(card.models)) for card in cards().values()]
OTHERS = [name for name in zoo.names() if name not in FAMILIES]


@pytest.mark.parametrize("name", [*FAMILIES, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_it_is_the_network_it_was_started_from(name: str) -> None:
    assert main(["new", "started", "--from", name]) == 0
    network, original = archdsl.load("started.arch"), zoo.load(name)
    assert network.name == "started"
    assert same(network, original)
    assert network.recipe == original.recipe
    assert is_sound("started.arch")
    header = original.spec.partition("\n")[0] if original.spec.startswith("#") else "#"
    assert header in Path("started.arch").read_text("utf-8")


def test_only_what_is_needed_is_there() -> None:
    main(["new", "mine", "--from", "resnet18"])
    text = Path("mine.arch").read_text("utf-8")
    assert "model mine = resnet(basic, [2, 2, 2, 2])" in text
    assert "He, Zhang, Ren, Sun" in text
    for word in ("block bottleneck", "resnet_cifar", "resnet50", "train", "Section 4.2: three stages"):
        assert word not in text


def test_the_recipe_comes_along() -> None:
    main(["new", "mine", "--from", "resnet20"])
    text = Path("mine.arch").read_text("utf-8")
    assert "\ntrain {\n" in text
    assert "# Section 4.2" in text


LIBRARY = """# A library.

let wide = 8

# Twice the same.
block twice(width) { unit(width); unit(width) }
block unit(width) { conv(width, 3, padding=1); relu } # short

model unused { input(3x8x8); relu }
train { epochs = 99 }
"""

SPEC = """# Mine, 2024.
# A second line.
from "lib/blocks.arch" import twice, wide
import "lib/more.arch"

# The base.
model base(width, classes = 3) {
  input(3x8x8)  # small
  twice(width)
  end(classes)
}
model a = base(wide); model b = base(4)
train b { epochs = 2 }
train { epochs = 3 }
"""

MORE = """from "blocks.arch" import unit
inline block end(classes) { unit(2); flatten; head: linear(classes) }
"""


@pytest.fixture
def imports(tmp_path: Path) -> str:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "blocks.arch").write_text(LIBRARY, encoding="utf-8")
    (tmp_path / "lib" / "more.arch").write_text(MORE, encoding="utf-8")
    (tmp_path / "spec.arch").write_text(SPEC, encoding="utf-8")
    return "spec.arch"


def test_imports_are_copied(imports: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    assert main(["new", "mine", "--from", imports]) == 0
    (tmp_path / "alone").mkdir()
    moved = Path("mine.arch").rename(tmp_path / "alone" / "mine.arch")
    assert moved.read_text("utf-8") == snapshot
    assert is_sound(str(moved))
    assert same(archdsl.load(moved), archdsl.load(imports, model="a"))


def test_an_existing_file_is_never_replaced(capsys: Capture) -> None:
    Path("mine.arch").write_text("mine", encoding="utf-8")
    for arguments in (["mine"], ["mine.arch"], ["mine", "--from", "resnet18"]):
        assert main(["new", *arguments]) == 1
        assert "error[E708]: cannot write mine.arch: the file exists" in capsys.readouterr().err
    assert Path("mine.arch").read_text("utf-8") == "mine"


def test_a_path_is_a_name_too() -> None:
    Path("nets").mkdir()
    assert main(["new", "nets/mine.arch", "--from", "lenet"]) == 0
    assert archdsl.load("nets/mine.arch").name == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["mine", "--from", "no_such_network"], 1, "error[E001]"),
        (["mine", "--from", "rsnet18"], 1, "did you mean `resnet18`?"),
        (["nowhere/mine"], 1, "error[E708]"),
        (["my-net"], 2, "is not a valid model name"),
        (["9nets"], 2, "is not a valid model name"),
        ([""], 2, "is not a valid model name"),
        (["a { input(1) } model b"], 2, "is not a valid model name"),
        (["resnet", "--from", "resnet18"], 2, "already defines `resnet`"),
        (["basic", "--from", "resnet18"], 2, "already defines `basic`"),
    ],
)
def test_what_cannot_be(arguments: list[str], code: int, said: str, capsys: Capture) -> None:
    assert main(["new", *arguments]) == code
    assert said in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_names_that_files_share_are_kept_apart() -> None:
    """Three things called `act`: a block of each library, and a parameter."""
    library = (
        "block act(n) {{ conv(n, 1); {kind} }}\n"
        "block {name}(act = 4) {{ conv(act, 1) }}\n"
        "block use_{name} {{ act(2) }}\n"
    )
    Path("a.arch").write_text(library.format(kind="relu", name="one"), encoding="utf-8")
    Path("b.arch").write_text(library.format(kind="tanh", name="two"), encoding="utf-8")
    Path("both.arch").write_text(
        'from "a.arch" import one, use_one\nfrom "b.arch" import two, use_two\n'
        "model both(act = 5) { input(3x8x8); act: one(act); use_one; two; use_two }\n",
        encoding="utf-8",
    )
    assert main(["new", "mine", "--from", "both.arch"]) == 0
    network, text = archdsl.load("mine.arch"), Path("mine.arch").read_text("utf-8")
    assert same(network, archdsl.load("both.arch"))
    assert [row.kind for row in network.layers] == ["conv", "conv", "relu", "conv", "conv", "tanh"]
    assert "block act(" in text
    assert "block b_act(" in text
    assert is_sound("mine.arch")


@pytest.mark.parametrize(
    ("model", "settings", "expected"),
    [
        ("base", {"width": 5, "unit": {"name": "plain"}, "classes": 10}, ["width = 5", "unit = plain"]),
        ("wide", {"width": 8, "unit": {"name": "twice"}, "classes": 3}, ["base(width=8, classes=3)"]),
        ("bare", {"width": 4, "unit": {"name": "twice"}, "classes": 3}, ["base(classes=3)"]),
    ],
)
def test_from_a_run_with_its_settings(model: str, settings: dict[str, object], expected: list[str]) -> None:
    run = write_run(Path("runs/one"), settings=settings, model=model)
    (run / "spec.arch").write_text(
        "block plain(n) { linear(n) }\nblock twice(n) { linear(n); linear(n) }\n"
        "model base(width = 4, unit = twice, classes = 10) { input(1x8x8); flatten; unit(width); linear(classes) }\n"
        "model wide = base(width=8)\nmodel bare = base()\n"
    )
    trained = Asked(str(run)).network()
    assert main(["new", "mine", "--from", str(run)]) == 0
    text = Path("mine.arch").read_text()
    assert all(words in text for words in expected)
    assert "It was trained with" not in text
    assert same(archdsl.load("mine.arch"), trained)
    assert is_sound("mine.arch")


def test_from_a_run_of_another_size() -> None:
    """The size is written in the spec; the copy says how it was trained."""
    run = write_run(Path("runs/one"), input=[1, 8, 16])
    assert main(["new", "mine", "--from", str(run)]) == 0
    assert "# It was trained with --set width=4 --input 1x8x16\n" in Path("mine.arch").read_text()
