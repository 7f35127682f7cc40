"""NASNet-A mobile, which no installed library has: outputs are those of timm's cells, connected by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archdsl import zoo
from tests.test_specs_twins import agree

cells = pytest.importorskip("timm.models.nasnet")

#: Odd and even maps, as at 224x224: 111, 56, 28, 14 and 7.
SIZE = (3, 96, 120)


class Mobile(nn.Module):
    """NASNet-A (4 @ 1056): appendix A.7 of the paper, and the authors' code where it differs from the large network.

    There, the normal cell after a reduction cell takes the output of the cell before that one, not of two before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Sequential()
        self.conv0.add_module("conv", nn.Conv2d(3, 32, 3, 2, bias=False))
        self.conv0.add_module("bn", nn.BatchNorm2d(32, eps=0.001))
        self.cell_stem_0 = cells.CellStem0(32, num_channels=11, pad_type="same")
        self.cell_stem_1 = cells.CellStem1(32, num_channels=22, pad_type="same")
        # Channels of the last output and of the one before it.
        last, before = 88, 44
        for stage, width in enumerate((44, 88, 176)):
            if stage > 0:
                reduction = cells.ReductionCell0(before, width, last, width, pad_type="same")
                self.add_module(f"reduction_cell_{stage - 1}", reduction)
                before, last = last, 4 * width
            first = cells.FirstCell(before, width // 2, last, width, pad_type="same")
            self.add_module(f"cell_{4 * stage}", first)
            before, last = last, 6 * width
            for i in range(4 * stage + 1, 4 * stage + 4):
                self.add_module(f"cell_{i}", cells.NormalCell(before, width, last, width, pad_type="same"))
                before = last
        self.last_linear = nn.Linear(1056, 1000)

    def forward(self, x: Tensor) -> Tensor:
        image = self.conv0(x)
        outputs = [self.cell_stem_0(image)]
        outputs.append(self.cell_stem_1(image, outputs[0]))
        for name, cell in list(self.named_children())[3:-1]:
            outputs.append(cell(outputs[-1], outputs[-2]))
            assert name.startswith(("cell_", "reduction_cell_"))
        found: Tensor = self.last_linear(outputs[-1].relu().mean((2, 3)))
        return found


def test_nasnet_a_mobile(tmp_path: Path) -> None:
    torch.manual_seed(0)
    agree("nasnet_a_mobile", Mobile(), SIZE, tmp_path)


def test_maps_of_nasnet_a_mobile() -> None:
    """Section A.4: the size is halved by each reduction cell, from 28x28 to 7x7, where the filters double."""
    network = zoo.load("nasnet_a_mobile")
    pooled = next(layer for layer in network.layers if layer.kind == "adaptive_avgpool")
    assert str(pooled.input) == "1056x7x7"
