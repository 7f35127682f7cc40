"""A small network trained on digits once for all tests of pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

import archdsl
from archdsl import Network
from archdsl.recipe import Recipe
from archdsl.train import run_training, trained
from archdsl.train.setup import Setup

SPEC = """
model small {
  input(1x8x8)
  features: { conv(12, 3, padding=1); relu; maxpool(2); conv(16, 3); relu }
  flatten
  dense: dense_part(24)
  linear(10)
}
block dense_part(n) { linear(n); relu }
"""


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    path = tmp_path_factory.mktemp("spec") / "small.arch"
    path.write_text(SPEC)
    return archdsl.load(path)


@pytest.fixture(scope="session")
def run(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    run_training(network, Recipe(epochs=2), out=folder, quiet=True)
    return folder


@pytest.fixture(scope="session")
def learned(network: Network, run: Path) -> tuple[nn.Module, Setup]:
    return trained(network, None, run)
