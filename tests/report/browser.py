"""Pages in Chromium, where one is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in BROWSERS if (path := shutil.which(name))), "")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)

needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()


@contextmanager
def opened(running: Any, path: Path, width: int = 1200, **options: Any) -> Iterator[Any]:
    """A page in a window of its own. Errors of scripts, and requests for anything but the file, fail the test."""
    context = running.new_context(viewport={"width": width, "height": 800}, **options)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: problems.append(request.url) if is_foreign(request.url, path) else None)
    page.goto(path.as_uri())
    try:
        yield page
    finally:
        context.close()
    assert problems == []


def is_foreign(url: str, path: Path) -> bool:
    return not url.startswith("data:") and url.partition("#")[0] != path.as_uri()
