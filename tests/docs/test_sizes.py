"""docs/sizes.md does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import run_page


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    run_page("sizes.md", capsys)
