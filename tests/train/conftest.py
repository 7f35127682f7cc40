"""One thread: these networks are too small for more, and results must not depend on the load of the machine."""

from collections.abc import Iterator

import pytest
import torch

from archdsl.train import writer


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def with_curves() -> None:
    """For tests that look at curves.png."""


@pytest.fixture(autouse=True)
def without_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing them takes three times as long as all else in these short runs."""
    if "with_curves" not in request.fixturenames:
        monkeypatch.setattr(writer, "draw_curves", lambda *_: None)
