"""Fixtures for comparisons with torchvision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torchvision.models.regnet import BlockParams


@pytest.fixture(autouse=True, scope="session")
def _regnets_widths_off_the_meta_device() -> Iterator[None]:
    """torchvision works the widths of a RegNet out with tensors and reads them, which the meta device cannot."""
    theirs = BlockParams.from_init_params

    def with_values(**figures: Any) -> BlockParams:
        with torch.device("cpu"):
            return theirs(**figures)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlockParams, "from_init_params", with_values)
        yield
