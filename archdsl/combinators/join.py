"""Joins: how the results of several branches become one tensor, with their shape rule and each back end's form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archdsl.shapes import Shape, broadcast
from archdsl.text.record import Record


class Join(Record):
    """One operation on several tensors.

    name     what the lowered graph calls it
    done     what a message says of tensors that fit, "these cannot be added"
    shape    the output shape of two tensors; None where they do not fit
    torch    the expression for its operands: infix, or a template for the operands with commas between them
    onnx     the ONNX operator for two operands
    several  the operator for more than two; None where they are joined two by two, from the left
    sign     what a drawing shows where the lines meet
    """

    name: str
    done: str
    shape: Callable[[Shape, Shape], Shape | None]
    torch: str
    onnx: str
    several: str | None
    sign: str

    def expression(self, operands: Sequence[str]) -> str:
        """The Python expression that joins variables."""
        return self.torch.format(", ".join(operands)) if "{}" in self.torch else f" {self.torch} ".join(operands)


def _concatenated(x: Shape, y: Shape) -> Shape | None:
    alike = x and y and x[1:] == y[1:] and x.dtype == y.dtype
    return x.with_channels(x.channels + y.channels) if alike else None


CONCAT = Join("concat", "concatenated on channels", _concatenated, "torch.cat([{}], 1)", "Concat", "Concat", "concat")
ADD = Join("add", "added", broadcast, "+", "Add", "Sum", "+")
SUB = Join("sub", "subtracted", broadcast, "-", "Sub", None, "−")
MUL = Join("mul", "multiplied", broadcast, "*", "Mul", None, "×")
