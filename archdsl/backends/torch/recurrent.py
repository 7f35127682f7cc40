"""PyTorch's recurrent layers with one tensor in and out: N x S x D -> N x S x features, from a state of zeros.

Their `forward` is that of PyTorch without what it decides from its input, which torch.fx cannot trace.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LSTM(nn.LSTM):
    """nn.LSTM that returns the hidden states of all steps."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, True, dropout, bidirectional, proj_size)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        states = self.num_layers * (2 if self.bidirectional else 1)
        hidden = x.new_zeros((states, x.shape[0], self.proj_size if self.proj_size > 0 else self.hidden_size))
        cells = x.new_zeros((states, x.shape[0], self.hidden_size))
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            weights = [getattr(self, name) for name in self._flat_weights_names]
        else:
            weights = self._flat_weights
        return torch.lstm(
            x,
            [hidden, cells],
            weights,
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            True,
        )[0]


class GRU(nn.GRU):
    """nn.GRU that returns the hidden states of all steps."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, True, dropout, bidirectional)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        hidden = x.new_zeros((self.num_layers * (2 if self.bidirectional else 1), x.shape[0], self.hidden_size))
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            weights = [getattr(self, name) for name in self._flat_weights_names]
        else:
            weights = self._flat_weights
        return torch.gru(
            x,
            hidden,
            weights,
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            True,
        )[0]


class RNN(nn.RNN):
    """nn.RNN that returns the hidden states of all steps."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, nonlinearity, bias, True, dropout, bidirectional)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        hidden = x.new_zeros((self.num_layers * (2 if self.bidirectional else 1), x.shape[0], self.hidden_size))
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            weights = [getattr(self, name) for name in self._flat_weights_names]
        else:
            weights = self._flat_weights
        run = torch.rnn_tanh if self.mode == "RNN_TANH" else torch.rnn_relu
        return run(
            x,
            hidden,
            weights,
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            True,
        )[0]
