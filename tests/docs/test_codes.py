"""Codes of errors in the documentation are codes of errors that `archdsl explain` knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archdsl.diagnostics import CODES, load_all
from tests.docs.page import DOCS

load_all()


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_codes_exist(page: Path) -> None:
    assert {code for code in re.findall(r"\b[EW]\d{3}\b", page.read_text("utf-8")) if code not in CODES} == set()
