"""docs/interop.md: modules in other people's code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import run_page


@pytest.mark.slow
def test_the_page_does_what_it_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_page("interop.md", capsys)
