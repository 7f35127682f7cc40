"""The spec stored in a run folder needs no other file and describes the same network."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl import Network

LIBRARY = """
let c = 4
let rate = 0.25
block loop { for i in 1..2 { let c = c + i; conv(c, 1) }; conv(c, 1) }
block inner { conv(c, 1); { let c = 9; conv(c, 1) }; conv(c, 1) }
block tap { conv(c, 1) -> c; conv(4, 1); add(c) }
block list { let d = [c for c in [c, c + 1]]; conv(d[1], 1); conv(c, 1) }
block again { c: conv(c, 1); reuse(c); conv(c, 1) }
block given(n = c, c = 2) { conv(n, 1); conv(c, 1) }
block rebound { let n = c; if n == 4 { let n = c + 1; conv(c, 1) }; let c = n; conv(c, 1) }
block all { loop; inner; tap; list; again; given; rebound }
"""


def channels(network: Network) -> list[int]:
    return [layer.output.channels for layer in network.layers]


def alone(tmp_path: Path, main: str) -> tuple[Network, Network]:
    """A network of a file that imports the library, and the one made from its own spec."""
    (tmp_path / "lib.arch").write_text(LIBRARY)
    path = tmp_path / "main.arch"
    path.write_text(main)
    network = archdsl.load(path)
    (tmp_path / "lib.arch").unlink()
    return network, archdsl.load(network.spec, model=network.name)


@pytest.mark.parametrize("block", ["loop", "inner", "tap", "list", "again", "given", "rebound", "all"])
def test_a_renamed_value_is_meant_where_it_was_meant(tmp_path: Path, block: str) -> None:
    main = f'from "lib.arch" import {block}\nlet c = 100\nmodel main {{ input(4x2x2); {block}; conv(c, 1) }}'
    network, again = alone(tmp_path, main)
    assert channels(again) == channels(network)
    assert list(again.state) == list(network.state)
    assert "lib_c" in network.spec


def test_the_values_of_a_recipe_are_kept(tmp_path: Path) -> None:
    main = (
        'from "lib.arch" import inner, rate\nlet steps = 3\nlet lib_c = 1\nlet c = lib_c\n'
        "model other(n = c) { input(4x2x2) }\nmodel main { input(4x2x2); inner; conv(c, 1) }\n"
        "train main, other { epochs = steps; optimizer = sgd(lr=rate) }"
    )
    network, again = alone(tmp_path, main)
    assert channels(again) == channels(network) == [4, 9, 4, 1]
    assert again.recipe == network.recipe
    assert network.recipe["epochs"].value == 3
    assert "model other" not in network.spec


def test_a_recipe_sees_the_values_of_its_own_file(tmp_path: Path) -> None:
    """Also where the model's body is another file's, which has a value of the same name."""
    (tmp_path / "base.arch").write_text("let e = 5\nmodel base(n = e) { input(4x2x2); conv(n, 1) }")
    path = tmp_path / "main.arch"
    path.write_text('from "base.arch" import base\nlet e = 3\nmodel main = base()\ntrain { epochs = e; batch = n }')
    network = archdsl.load(path)
    for one in (network, archdsl.load(network.spec, model="main")):
        assert channels(one) == [5]
        assert {name: entry.value for name, entry in one.recipe.items()} == {"epochs": 3, "batch": 5}
