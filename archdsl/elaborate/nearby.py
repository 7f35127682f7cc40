"""The input sizes near the spec's own with which an error about a size goes away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from archdsl.diagnostics import Help
from archdsl.shapes import IntegerShape, Shape

#: Expansions may take so many steps together.
MOST_STEPS = 100_000
#: Larger sizes are tried up to twice the spec's own, and at least so many.
ABOVE = 64

#: Whether a model has no error with these inputs; None if that is not to be found out any more.
Fits = Callable[[Mapping[str, Shape]], bool | None]


def other_sizes(inputs: Mapping[str, Shape], fits: Fits) -> tuple[Help, ...]:
    """A suggestion with the next inputs that fit, one smaller and two larger; none if there are none near.

    Spatial axes of the same size change together. Where they differ, each takes the next size that fits as a square.
    """
    sides = sorted({size for shape in inputs.values() for size in _sides(shape)})
    if not sides or any(map(_is_channels_last, inputs.values())):
        return ()
    if len(sides) == 1:
        found = _near(inputs, sides[0], fits)
    else:
        squares = {side: _above(inputs, side, fits, 1) for side in sides}
        wanted = {side: more[0] for side, more in squares.items() if more}
        each = _resized(inputs, wanted)
        found = [each] if len(wanted) == len(sides) and fits(each) else []
    if not found:
        return ()
    listed = [_text(one) for one in found]
    sizes, verb = ("size", "fits") if len(listed) == 1 else ("sizes", "fit")
    *most, last = listed
    text = f"{', '.join(most)} and {last}" if most else last
    return (Help(f"the next input {sizes} that {verb}: {text}"),)


def _sides(shape: Shape) -> Sequence[int]:
    return () if isinstance(shape, IntegerShape) else shape.spatial


def _is_channels_last(shape: Shape) -> bool:
    """Whether an image was probably meant to have its colours first; another suggestion says so."""
    return shape.rank == 2 and shape[2] in {1, 3} and shape[0] > shape[2]


def _near(inputs: Mapping[str, Shape], side: int, fits: Fits) -> list[Mapping[str, Shape]]:
    smaller = (_resized(inputs, {side: n}) for n in range(side - 1, side // 2, -1))
    larger = [_resized(inputs, {side: n}) for n in _above(inputs, side, fits, 2)]
    if not larger:
        return []
    return [*_first(smaller, fits, 1), *larger]


def _above(inputs: Mapping[str, Shape], side: int, fits: Fits, number: int) -> list[int]:
    """The next sizes above `side`, or equal to it, that all spatial axes can have."""
    every = {size for shape in inputs.values() for size in _sides(shape)}
    found: list[int] = []
    for n in range(side, max(2 * side, side + ABOVE) + 1):
        answer = fits(_resized(inputs, dict.fromkeys(every, n)))
        if answer:
            found.append(n)
        if answer is None or len(found) == number:
            break
    return found


def _first(candidates: Iterator[Mapping[str, Shape]], fits: Fits, number: int) -> list[Mapping[str, Shape]]:
    found: list[Mapping[str, Shape]] = []
    for one in candidates:
        answer = fits(one)
        if answer:
            found.append(one)
        if answer is None or len(found) == number:
            break
    return found


def _resized(inputs: Mapping[str, Shape], sizes: Mapping[int, int]) -> dict[str, Shape]:
    """The inputs with other sizes on their spatial axes, by the present ones."""
    return {
        name: shape.like((*shape[:1], *(sizes.get(n, n) for n in _sides(shape)))) if _sides(shape) else shape
        for name, shape in inputs.items()
    }


def _text(inputs: Mapping[str, Shape]) -> str:
    if "" in inputs:
        return str(inputs[""])
    changed = ", ".join(f"{name}: {shape}" for name, shape in inputs.items() if _sides(shape))
    return f"({changed})"
