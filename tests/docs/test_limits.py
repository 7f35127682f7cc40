"""docs/limits.md has the numbers of the code, and what it lists as missing is missing."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path

from torch import nn

from archdsl import zoo
from archdsl.backends.onnx import DATA_LIMIT, OPSETS
from archdsl.datasets.sources.imagefolder import MEMORY_BYTES
from archdsl.layers import all_kinds, arguments
from archdsl.text import limits

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_bound_is_listed_with_its_number() -> None:
    rows = dict(re.findall(r"^\| `(MAX_\w+)` \| ([\d,]+) \|", PAGE, re.MULTILINE))
    bounds = {name: value for name, value in vars(limits).items() if name.startswith("MAX_")}
    assert {name: int(number.replace(",", "")) for name, number in rows.items()} == bounds
    assert f"`STEPS_OF_LAYER` ({limits.STEPS_OF_LAYER})" in PAGE


def test_the_deepest_network() -> None:
    assert f"`preresnet1001`, has {len(zoo.load('preresnet1001').layers):,} layers" in PAGE


def test_modules_that_are_listed_as_missing_belong_to_no_layer_type() -> None:
    missing = re.findall(r"`([A-Z]\w+)`", section("PyTorch").partition("Input sizes")[0])
    documented = " ".join(kind.__doc__ or "" for kind in all_kinds().values())
    assert len(missing) > 25
    assert [name for name in missing if not hasattr(nn, name) or re.search(rf"torch\.nn\.{name}\b", documented)] == []


def test_arguments_that_are_listed_as_missing_are() -> None:
    kinds = all_kinds()
    for kind, module, names in [
        ("maxpool", nn.MaxPool2d, {"return_indices"}),
        ("groupnorm", nn.GroupNorm, {"device", "dtype"}),
        ("multihead_attention", nn.MultiheadAttention, {"add_bias_kv", "add_zero_attn", "kdim", "vdim", "batch_first"}),
    ]:
        taken = {argument.name for argument in arguments(kinds[kind])}
        assert names <= set(signature(module).parameters) - taken
        assert all(f"`{name}`" in section("PyTorch") for name in names)


def test_the_numbers_of_the_back_ends() -> None:
    assert f"Opsets {OPSETS[0]} to {OPSETS[1]}" in PAGE
    assert DATA_LIMIT == 2_000_000_000
    assert MEMORY_BYTES == 2 * 1024**3
