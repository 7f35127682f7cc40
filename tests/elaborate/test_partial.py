"""Partial networks: specs with errors keep what is known; places have nodes, names have references."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

import archdsl
from archdsl.elaborate import load_module, read
from archdsl.elaborate.definitions import check_definitions
from archdsl.elaborate.expressions import FIGURES
from archdsl.elaborate.forms import STATEMENTS
from archdsl.elaborate.functions import FUNCTIONS
from archdsl.elaborate.inputs import INTEGERS
from archdsl.elaborate.parametrization import NAMES
from archdsl.graph import layer_nodes, same_graph, walk
from archdsl.layers import all_kinds
from archdsl.syntax import tree
from archdsl.zoo import specs_folder
from tests.test_golden import REJECT, errors_of

SPECS = sorted(specs_folder().glob("*.arch"))

BROKEN = """
block unit(n) {
  conv(n, 3, padding=1)
  relu
}

model m(width = 8) {
  input(3x8x8)
  stem: unit(width) -> skip
  inception {
    conv(4, 1)
    conv(4, 9)
    { conv(4, 1); unit(4) }
  }
  unit(16)
  use(skip)
  head: conv(2, 1)
  flatten
  conv(3, 1)
}
"""


def names(network: archdsl.Network) -> list[str]:
    return [f"{node.name} {node.kind}" for node in layer_nodes(network.root)]


#: Codes of specs that take seconds to be rejected.
SLOW = {"E503", "E507", "E509"}


def rejected() -> list[object]:
    """The specs of `reject/`, of which some are checked only where slow tests are."""
    marks = {code: [pytest.mark.slow] for code in SLOW}
    return [
        pytest.param(path, id=f"{path.parent.name}-{path.stem}", marks=marks.get(path.parent.name, ()))
        for path in REJECT
    ]


@pytest.mark.parametrize("path", rejected())
def test_a_rejected_spec_is_a_partial_network_with_its_errors(path: Path) -> None:
    network = archdsl.load(path, partial=True)
    expected = [(one.code, one.message) for one in errors_of(read(path), path)]
    assert [(one.code, one.message) for one in network.diagnostics] == expected
    assert all(layer.output for layer in network.layers)
    for node in islice(walk(network.root), 20):
        found = network.at(offset=node.span.start, path=node.span.source.path)
        assert any(one is node for one in found) or not node.span.text


def test_what_is_known_of_a_network_with_mistakes() -> None:
    network = archdsl.load(BROKEN, partial=True)
    assert [one.code for one in network.diagnostics] == ["E402", "E401"]
    assert names(network) == [
        "stem.0 conv",
        "stem.1 relu",
        "1 conv",
        "3 conv",
        "4.0 conv",
        "4.1 relu",
        "head conv",
        "7 flatten",
    ]
    assert str(network.input_shape) == "3x8x8"
    assert network.output_shape == ()
    assert network.settings == {"width": 8}
    with pytest.raises(archdsl.SpecError):
        network.build()


def test_the_nodes_are_those_of_the_network_without_the_mistakes() -> None:
    fixed = archdsl.load(BROKEN.replace("conv(4, 9)", "conv(4, 3, padding=1)").replace("  conv(3, 1)\n", ""))
    known = {layer.name: layer for layer in archdsl.load(BROKEN, partial=True).layers}
    whole = {layer.name: layer for layer in fixed.layers}
    for name, layer in known.items():
        same = whole[name]
        assert (layer.kind, layer.output, layer.params) == (same.kind, same.output, same.params)


def test_a_spec_with_syntax_errors_is_known_around_them() -> None:
    broken = BROKEN.replace("conv(4, 9)", "conv(4, 9 9)").replace("  conv(3, 1)\n", "")
    network = archdsl.load(broken, partial=True)
    assert [one.code for one in network.diagnostics] == ["E101"]
    fixed = archdsl.load(broken.replace("9 9", "3, padding=1"))
    missing = ["2 conv", "5.0 conv", "5.1 relu"]
    assert names(network) == [name for name in names(fixed) if name not in missing]


def test_a_mistake_in_an_auxiliary_head_leaves_the_rest() -> None:
    text = "model m {\n input(3x8x8)\n aux { conv(2, 99) }\n conv(4, 1)\n}"
    network = archdsl.load(text, partial=True)
    assert [one.code for one in network.diagnostics] == ["E402"]
    assert str(network.output_shape) == "4x8x8"


def test_a_spec_without_errors_is_its_network() -> None:
    network = archdsl.load("resnet18", partial=True, classes=10)
    assert network.diagnostics == ()
    whole = archdsl.load("resnet18", classes=10)
    assert same_graph(network.root, whole.root)
    assert (network.params, network.macs) == (whole.params, whole.macs)


def test_a_spec_that_cannot_be_read_has_nothing_but_errors() -> None:
    for spec in ("no such file.arch", "rezznet18"):
        network = archdsl.load(spec, partial=True)
        assert [one.code for one in network.diagnostics] == ["E001"]
        assert network.layers == ()


def test_wrong_settings_are_errors_of_the_network() -> None:
    network = archdsl.load("resnet18", partial=True, klasses=10)
    assert [one.code for one in network.diagnostics] == ["E203"]
    assert archdsl.load("resnet18", model="resnet19", partial=True).diagnostics[0].code == "E009"


@pytest.mark.parametrize("name", ["googlenet", "densenet121", "shufflenet_v2_x1_0", "unet"])
def test_each_node_has_its_place_and_each_place_its_nodes(name: str) -> None:
    network = archdsl.load(name, partial=True)
    assert network.diagnostics == ()
    for node in list(walk(network.root))[::7]:
        path = node.span.source.path
        assert any(one is node for one in network.at(offset=node.span.start, path=path))
        assert any(one is node for one in network.at(line=node.span.line, path=path))


def test_a_block_that_is_called_several_times_has_a_node_for_each() -> None:
    network = archdsl.load("resnet18", partial=True)
    text = network.root.span.source.text
    convolution = text.index("conv", text.index("{", text.index("block basic")))
    assert len(network.at(offset=convolution)) == 8
    assert network.at(line=10_000) == ()


def test_a_recipe_is_not_checked_on_half_a_network() -> None:
    """The recipe needs the output's shape, which a syntax error leaves unknown."""
    text = "model m { input(3x8x8); conv(8 3); flatten; linear(10) }\ntrain { dataset = digits }"
    assert [one.code for one in archdsl.load(text, partial=True).diagnostics] == ["E101"]


# Names


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_name_of_a_spec_resolves(path: Path) -> None:
    """Each name in an expression and each call is among the definitions, unless the language defines it."""
    module = load_module(read(path), path)
    _, definitions = check_definitions(module.with_imports())
    places = set[tuple[int, int]]()
    for one in definitions:
        spans = [one.span, *one.references]
        assert one.kind == "label" or {span.text for span in spans} == {one.name}
        places |= {(span.start, span.end) for span in spans if span.source is module.source}
    known = {*all_kinds(), *FUNCTIONS, *FIGURES, *NAMES, INTEGERS, "shape", *STATEMENTS}
    items = [item for item in module.file.items if not isinstance(item, tree.TrainDef)]
    skipped = {id(inner) for node in tree.nodes(items) if is_init(node) for inner in tree.nodes(node)}
    for node in tree.nodes(items):
        if isinstance(node, tree.Name | tree.LayerCall | tree.Call) and id(node) not in skipped:
            span = node.span if isinstance(node, tree.Name) else node.name_span
            assert (span.start, span.end) in places or node.name in known, str(span)


def is_init(node: object) -> bool:
    """Whether initializers may be named in a node."""
    return isinstance(node, tree.Setting | tree.Argument | tree.Param) and node.name == "init"


def test_names_are_found_from_their_uses() -> None:
    text = """
let base = 4
block unit(n, act = relu) { conv(n, 1); act }
model m(width = base) {
  input(3x8x8)
  let n = width
  for i in 1..2 {
    part{i}: unit(n=n * i) -> kept[i]
    if i == 1 { let n = n + 1 }
  }
  last: relu
  reuse(last)
  concat(kept[1], kept[2])
  sum { conv(1, 1); for n in [1, 2] { conv(n - n + 1, 1) } }
  flatten
  linear(10)
}
model narrow = m(width=2)
train narrow { optimizer = sgd(lr=0.1) }
"""
    network = archdsl.load(text, partial=True)
    assert network.diagnostics == ()
    found = {(one.name, one.kind): len(one.references) for one in network.definitions}
    assert found == {
        ("base", "value"): 1,
        ("unit", "block"): 1,
        ("m", "model"): 1,
        ("narrow", "model"): 1,
        ("n", "parameter"): 2,
        ("act", "parameter"): 1,
        ("width", "parameter"): 2,
        ("n", "value"): 3,
        ("i", "loop variable"): 4,
        ("part{i}", "label"): 0,
        ("kept", "tap"): 2,
        ("last", "label"): 1,
        ("n", "loop variable"): 2,
    }
    use = text.index("n * i")
    defined = network.definition_at(use)
    assert defined is not None
    assert (defined.kind, defined.span.line) == ("value", 6)


def test_names_are_found_across_imports(tmp_path: Path) -> None:
    (tmp_path / "lib.arch").write_text("let w = 4\nblock unit(n) { conv(n, 1) }\n")
    main = tmp_path / "main.arch"
    main.write_text('from "lib.arch" import unit, w\nmodel m { input(3x8x8); unit(n=w) }\n')
    network = archdsl.load(main, partial=True)
    found = {one.name: one for one in network.definitions}
    assert Path(found["unit"].span.source.path).name == "lib.arch"
    assert [span.line for span in found["unit"].references] == [1, 2]
    assert [span.line for span in found["w"].references] == [1, 2]
    assert [Path(span.source.path).name for span in found["n"].references] == ["main.arch", "lib.arch"]
