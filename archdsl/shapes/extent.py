"""Sizes that are known only when an ONNX file runs: expressions over the sizes of its tensors."""

from __future__ import annotations

from typing import Any, NoReturn


class Unanswered(Exception):
    """A question about a size that only the running file knows."""


class Extent:
    """A size as an expression.

    op    `size` of the tensor `args[0]` on the axis `args[1]`, batch axis included, an operator with its operands, or
          `unknown` for a size that nobody needs
    """

    __slots__ = ("args", "op")

    def __init__(self, op: str, *args: Any) -> None:
        self.op, self.args = op, args

    def __add__(self, other: Any) -> Any:
        return self if isinstance(other, int) and other == 0 else Extent("Add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self + other

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, int):
            return self + -other
        return 0 if self == other else Extent("Sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return Extent("Sub", other, self)

    def __neg__(self) -> Any:
        return Extent("Sub", 0, self)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, float):
            if not other.is_integer():
                raise Unanswered
            other = int(other)
        return self if isinstance(other, int) and other == 1 else Extent("Mul", self, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return self if isinstance(other, int) and other == 1 else Extent("Div", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return Extent("Div", other, self)

    def __mod__(self, other: Any) -> Any:
        return 0 if isinstance(other, int) and other == 1 else Extent("Mod", self, other)

    def __floor__(self) -> Any:
        return self

    def at_least(self, other: Any) -> Extent:
        """The larger of two sizes."""
        return Extent("Max", self, other)

    def at_most(self, other: Any) -> Extent:
        """The smaller of two sizes."""
        return Extent("Min", self, other)

    def __eq__(self, other: object) -> bool:
        """Whether two sizes are the same expression; others may still be equal in a running file."""
        return isinstance(other, Extent) and self.op == other.op != "unknown" and self.args == other.args

    def __hash__(self) -> int:
        return hash((self.op, self.args))

    def _unanswered(self, *_: Any) -> NoReturn:
        raise Unanswered

    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __int__ = __index__ = __float__ = __truediv__ = __rtruediv__ = (
        _unanswered
    )


def is_known(size: object) -> bool:
    """Whether a size is a plain integer."""
    return isinstance(size, int)
