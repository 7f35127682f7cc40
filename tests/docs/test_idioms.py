"""Every spec of docs/idioms.md computes what the Python beside it computes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl.elaborate import check_source
from archdsl.syntax import format_text
from archdsl.text.source import Source

PAGE = (Path(__file__).parents[2] / "docs" / "idioms.md").read_text("utf-8")
IDIOMS: list[tuple[str, str, str]] = re.findall(
    r"^## ([^\n]*)\n(?:(?!^## ).)*?^```arch\n(.*?)^```\n\n```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
)


def test_every_section_has_a_spec_and_its_meaning() -> None:
    assert [title for title, _, _ in IDIOMS] == re.findall(r"^## (.*)", PAGE, re.MULTILINE)


def test_the_list_at_the_top_links_to_every_section() -> None:
    anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title, _, _ in IDIOMS]
    assert sorted(re.findall(r"\]\(#([^)]*)\)", PAGE)) == sorted(anchors)


@pytest.mark.parametrize(("title", "spec", "python"), IDIOMS, ids=[title for title, _, _ in IDIOMS])
def test_a_spec_computes_what_its_python_computes(title: str, spec: str, python: str) -> None:
    assert check_source(Source("idioms.md", spec))[0] == []
    assert format_text(spec) == spec
    network = archdsl.load(spec)
    module = network.build(seed=0).eval()
    names: dict[str, Any] = {"torch": torch, "F": torch.nn.functional}
    exec(python, names)
    x = torch.randn(2, *network.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(module(x), names["forward"](module, x), rtol=1e-5, atol=1e-6)
