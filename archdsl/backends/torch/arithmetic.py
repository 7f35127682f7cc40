"""Arithmetic and reductions as modules; in printed source they are expressions wherever they can be.

As in `archdsl.backends.torch.modules`, a printed network has the code of those it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn


class Described(nn.Module):
    """A module that prints its attributes."""

    def extra_repr(self) -> str:
        given = {name: value for name, value in vars(self).items() if name != "training" and name[0] != "_"}
        return ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)


class Add(Described):
    """The input plus each operand, or plus a number."""

    def __init__(self, other: float | None = None) -> None:
        super().__init__()
        self.other = other

    def forward(self, x: Tensor, operands: list[Tensor] | None = None) -> Tensor:
        if operands is not None:
            for operand in operands:
                x = x + operand
        return x if self.other is None else x + self.other


class Sub(Described):
    """The input minus each operand, or minus a number."""

    def __init__(self, other: float | None = None) -> None:
        super().__init__()
        self.other = other

    def forward(self, x: Tensor, operands: list[Tensor] | None = None) -> Tensor:
        if operands is not None:
            for operand in operands:
                x = x - operand
        return x if self.other is None else x - self.other


class Mul(Described):
    """The input times each operand, or times a number."""

    def __init__(self, other: float | None = None) -> None:
        super().__init__()
        self.other = other

    def forward(self, x: Tensor, operands: list[Tensor] | None = None) -> Tensor:
        if operands is not None:
            for operand in operands:
                x = x * operand
        return x if self.other is None else x * self.other


class Div(Described):
    """The input divided by each operand, or by a number."""

    def __init__(self, other: float | None = None) -> None:
        super().__init__()
        self.other = other

    def forward(self, x: Tensor, operands: list[Tensor] | None = None) -> Tensor:
        if operands is not None:
            for operand in operands:
                x = x / operand
        return x if self.other is None else x / self.other


class Pow(Described):
    """The input to the power of each operand, or of a number."""

    def __init__(self, exponent: float | None = None) -> None:
        super().__init__()
        self.exponent = exponent

    def forward(self, x: Tensor, operands: list[Tensor] | None = None) -> Tensor:
        if operands is not None:
            for operand in operands:
                x = x.pow(operand)
        return x if self.exponent is None else x.pow(self.exponent)


class MatMul(nn.Module):
    """The matrix product of the input and another tensor over their last two axes."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return x.matmul(other)


class Neg(nn.Module):
    """The negative of each number."""

    def forward(self, x: Tensor) -> Tensor:
        return x.neg()


class Abs(nn.Module):
    """The absolute value of each number."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


class Exp(nn.Module):
    """The exponential of each number."""

    def forward(self, x: Tensor) -> Tensor:
        return x.exp()


class Log(nn.Module):
    """The natural logarithm of each number."""

    def forward(self, x: Tensor) -> Tensor:
        return x.log()


class Sqrt(nn.Module):
    """The square root of each number."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sqrt()


class Sin(nn.Module):
    """The sine of each number."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sin()


class Cos(nn.Module):
    """The cosine of each number."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cos()


class Clamp(Described):
    """Each number between two bounds."""

    def __init__(self, min: float | None = None, max: float | None = None) -> None:
        super().__init__()
        self.min, self.max = min, max

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(self.min, self.max)


class Mean(Described):
    """The mean along the axes `dim`. The batch axis is 0."""

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        super().__init__()
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.dim, self.keepdim)


class Sum(Described):
    """The sum along the axes `dim`. The batch axis is 0."""

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        super().__init__()
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(self.dim, self.keepdim)


class Max(Described):
    """The maximum along the axes `dim`. The batch axis is 0."""

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        super().__init__()
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(self.dim, self.keepdim)


class Norm(Described):
    """The p-norm along the axes `dim`. The batch axis is 0."""

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False, p: float = 2.0) -> None:
        super().__init__()
        self.dim, self.keepdim, self.p = dim, keepdim, p

    def forward(self, x: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(x, self.p, self.dim, self.keepdim)
        return norm


class Argmax(Described):
    """The position of the maximum along the axis `dim`. The batch axis is 0."""

    def __init__(self, dim: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dim, self.keepdim = dim, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.argmax(self.dim, self.keepdim)


class Float(nn.Module):
    """Integers as floating-point numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float()


class Constant(nn.Module):
    """Fixed numbers in place of the input, the same for each sample."""

    def __init__(self, value: Sequence[Any]) -> None:
        super().__init__()
        self.value: Tensor
        self._numbers = value
        self.register_buffer("value", torch.tensor(value), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            self._fill_if_empty(x)
        return self.value.expand([x.shape[0]] + list(self.value.shape))  # noqa: RUF005  torch.jit takes no star here

    @torch.jit.unused
    def _fill_if_empty(self, x: Tensor) -> None:
        if self.value.is_meta and isinstance(x, Tensor) and not x.is_meta:
            self._fill(x.device)

    @torch.jit.unused
    def _fill(self, device: torch.device) -> None:
        self.value = torch.tensor(self._numbers, dtype=self.value.dtype, device=device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # A state_dict does not bring the numbers of a module that was made on the meta device.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._fill(self.value.device)
        return self

    def extra_repr(self) -> str:
        return "x".join(map(str, self.value.shape))
