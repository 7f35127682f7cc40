"""docs/pictures.md runs as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import run_page


def test_the_page_does_what_it_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_page("pictures.md", capsys)
