"""Integers that grow with a whole number t: what the rules for shapes compute with to answer for all sizes at once.

A family of input sizes n = r + p*t is one integer here, and every size computed from it is a polynomial in t. A rule
that divides needs the remainder: where it depends on t, `Refine` says into how many families to divide this one.
Comparisons answer for all large t; `Decisions` keeps the t from which on they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import gcd
from typing import Any, NamedTuple, NoReturn

from archdsl.shapes.symbolic import Symbolic

#: No comparison with a number of at least this size is decided by growth: tensors are bounded (MAX_NUMEL).
BEYOND = 2**38
#: The t whose value a Growing has for code that does not know it.
SAMPLE = 1000
#: Largest t at which the roots of a polynomial of degree 2 or more are looked for.
MOST = 100_000


class Refine(Exception):
    """The answer is not the same for all t; it is for each of `parts` families with t = parts*t' + j."""

    def __init__(self, parts: int) -> None:
        super().__init__(f"{parts} parts")
        self.parts = parts


class Opaque(Exception):
    """A computation that polynomials cannot follow."""


class Decisions(NamedTuple):
    """What answers hold for: all t from `start` on, but those in `except_at`."""

    start: int = 0
    except_at: frozenset[int] = frozenset()

    def and_(self, other: Decisions) -> Decisions:
        """What both hold for."""
        if other is NONE or other == self:
            return self
        return Decisions(max(self.start, other.start), self.except_at | other.except_at)


#: The decisions of an answer that holds for all t.
NONE = Decisions()


class Collected:
    """The decisions that are being made."""

    def __init__(self) -> None:
        self.decisions = NONE

    def add(self, decisions: Decisions) -> None:
        self.decisions = self.decisions.and_(decisions)


#: The innermost one collects.
_collecting = [Collected()]


@contextmanager
def deciding() -> Iterator[Collected]:
    """Collect the decisions that are made inside, apart from those outside."""
    _collecting.append(Collected())
    try:
        yield _collecting[-1]
    finally:
        _collecting.pop()


def decided(decisions: Decisions) -> None:
    """Count decisions that were made earlier among the current ones."""
    _collecting[-1].add(decisions)


class Growing(Symbolic):
    """The integer c0 + c1*t + c2*t^2 + ...; as a plain integer its value at t = SAMPLE."""

    terms: tuple[int, ...]

    def __add__(self, other: Any) -> int:
        return _made(_sum(self.terms, _terms(other)))

    def __neg__(self) -> int:
        return _made(tuple([-c for c in self.terms]))

    def __sub__(self, other: Any) -> int:
        return _made(_sum(self.terms, tuple([-c for c in _terms(other)])))

    def __rsub__(self, other: Any) -> int:
        return _made(_sum(_terms(other), tuple([-c for c in self.terms])))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, float):
            return _Share.of(self, other)
        right = _terms(other)
        product = [0] * (len(self.terms) + len(right) - 1)
        for i, a in enumerate(self.terms):
            for j, b in enumerate(right):
                product[i + j] += a * b
        return _made(tuple(product))

    __radd__ = __add__
    __rmul__ = __mul__

    def __pow__(self, power: Any, modulus: Any = None) -> Any:
        if type(power) is not int or not 0 <= power <= 4:
            raise Opaque
        product: Any = 1
        for _ in range(power):
            product = self * product
        return product

    def __floordiv__(self, other: Any) -> int:
        if isinstance(other, Growing):
            return _ratio(self, other)
        if type(other) is not int:
            raise Opaque
        _require_whole(self.terms, other)
        return _made((self.terms[0] // other, *(c // other for c in self.terms[1:])))

    def __rfloordiv__(self, other: Any) -> int:
        if type(other) is not int:
            raise Opaque
        if self < 0:
            return -other // -self
        # A constant divided by something that grows.
        if 0 <= other < self:
            return 0
        if -self <= other < 0:
            return -1
        raise Opaque

    def __mod__(self, other: Any) -> int:
        if isinstance(other, Growing):
            rest: int = self - _ratio(self, other) * other
            return rest
        if type(other) is not int:
            raise Opaque
        _require_whole(self.terms, other)
        return self.terms[0] % other

    def __rmod__(self, other: Any) -> int:
        if type(other) is not int:
            raise Opaque
        rest: int = other - other // self * self
        return rest

    def __lt__(self, other: Any) -> bool:
        return _is_less(self, other)

    def __gt__(self, other: Any) -> bool:
        return _is_less(other, self)

    def __le__(self, other: Any) -> bool:
        return not _is_less(other, self)

    def __ge__(self, other: Any) -> bool:
        return not _is_less(self, other)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Growing) and self.terms == other.terms:
            return True
        return isinstance(other, int) and _is_zero(self - other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.terms)

    def __bool__(self) -> bool:
        return not _is_zero(self)

    def __abs__(self) -> int:
        return -self if self < 0 else self

    def __floor__(self) -> int:
        return self

    def __pos__(self) -> int:
        return self

    __ceil__ = __trunc__ = __floor__

    def __round__(self, digits: Any = None) -> int:
        return self

    def __reduce__(self) -> NoReturn:
        raise Opaque


def _opaque(*_: Any) -> NoReturn:
    raise Opaque


# Where plain Python would take the value at SAMPLE for the integer.
for _name in ("and", "or", "xor", "lshift", "rshift", "truediv", "divmod"):
    setattr(Growing, f"__{_name}__", _opaque)
    setattr(Growing, f"__r{_name}__", _opaque)
for _name in ("__int__", "__float__", "__index__", "__invert__", "__rpow__", "bit_length"):
    setattr(Growing, _name, _opaque)


def settle(value: object) -> None:
    """Decide whether the Growings in a value are positive, where others have looked at them as plain integers.

    Raises:
        Opaque: they have seen another sign.
    """
    if isinstance(value, Growing):
        if (value > 0) != (int.__gt__(value, 0)):
            raise Opaque
    elif isinstance(value, tuple | list):
        for item in value:
            settle(item)


class _Share:
    """A Growing times a float, before it is rounded down."""

    def __init__(self, numerator: int, denominator: int) -> None:
        self.numerator, self.denominator = numerator, denominator

    @classmethod
    def of(cls, size: int, factor: float) -> _Share:
        share = Fraction(factor)
        if share.denominator > 64:
            raise Opaque
        return cls(size * share.numerator, share.denominator)

    def __floor__(self) -> int:
        return self.numerator // self.denominator


for _name in ("add", "sub", "mul", "truediv", "floordiv", "lt", "le", "gt", "ge"):
    setattr(_Share, f"__{_name}__", _opaque)
for _name in ("__radd__", "__rsub__", "__rmul__", "__round__", "__float__"):
    setattr(_Share, _name, _opaque)


def growing(start: int, step: int) -> int:
    """The family of sizes start + step*t."""
    return _made((start, step))


def _made(terms: tuple[int, ...]) -> int:
    """The integer with these terms; a plain one where it does not grow."""
    while terms[-1] == 0 and len(terms) > 1:
        terms = terms[:-1]
    if len(terms) == 1:
        return terms[0]
    made = int.__new__(Growing, sum(c * SAMPLE**i for i, c in enumerate(terms)))
    made.terms = terms
    return made


def _terms(value: Any) -> tuple[int, ...]:
    if isinstance(value, Growing):
        return value.terms
    if not isinstance(value, int):
        raise Opaque
    return (int(value),)


def _sum(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    if len(a) == 2 and len(b) <= 2:  # nearly all sums
        return (a[0] + b[0], a[1] + b[1] if len(b) == 2 else a[1])
    if len(a) < len(b):
        a, b = b, a
    return (*(x + y for x, y in zip(a, b, strict=False)), *a[len(b) :])


def _require_whole(terms: tuple[int, ...], divisor: int) -> None:
    """Raise Refine unless the remainder is the same for all t."""
    common = gcd(*terms[1:], divisor)
    if abs(common) != abs(divisor):
        raise Refine(abs(divisor) // common)


def _ratio(a: Growing, b: Growing) -> int:
    """A // b where the quotient does not depend on t."""
    if len(a.terms) > len(b.terms):
        raise Opaque
    quotient = a.terms[-1] // b.terms[-1] if len(a.terms) == len(b.terms) else 0
    rest = a - quotient * b
    if b > 0 and 0 <= rest < b:
        return quotient
    if b > 0 and -b <= rest < 0:
        return quotient - 1
    raise Opaque


def _from(start: int) -> None:
    if start:
        decided(Decisions(start))


def _is_less(a: Any, b: Any) -> bool:
    """Whether a < b for all large t."""
    if isinstance(a, float) or isinstance(b, float):
        raise Opaque
    if not isinstance(b, Growing) and abs(b) >= BEYOND:
        return bool(b > 0)
    if not isinstance(a, Growing) and abs(a) >= BEYOND:
        return bool(a < 0)
    difference = a - b
    if not isinstance(difference, Growing):
        return bool(difference < 0)
    negative = difference.terms[-1] < 0
    _from(_settled(difference.terms, lambda value: (value < 0) == negative))
    return negative


def _is_zero(value: int) -> bool:
    """Whether a value is 0 for all t; those at which it is 0 although it grows are noted."""
    if not isinstance(value, Growing):
        return value == 0
    terms = value.terms
    if len(terms) == 2:
        root, rest = divmod(-terms[0], terms[1])
        if rest == 0 and root >= 0:
            decided(Decisions(0, frozenset({root})))
    else:
        _from(_settled(terms, lambda value: value != 0))
    return False


def _settled(terms: tuple[int, ...], holds: Callable[[int], bool]) -> int:
    """The first t from which on a statement about the polynomial's sign holds."""
    if len(terms) == 2:
        root = max(0, -terms[0] // terms[1] - 1)
        while not holds(terms[0] + terms[1] * root):
            root += 1
        return root
    # All roots are below Cauchy's bound.
    t = 2 + max(map(abs, terms[:-1])) // abs(terms[-1])
    if t > MOST:
        raise Opaque
    while t > 0 and holds(sum(c * (t - 1) ** i for i, c in enumerate(terms))):
        t -= 1
    return t
