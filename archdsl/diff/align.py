"""Aligns the parts of two scopes: which part of the one is which of the other, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from archdsl.diff.parts import Part

#: A part of each side that belong together; None where one has no counterpart.
Pair = tuple[Part | None, Part | None]

#: What a pair is worth: the same part under the same name, the same one renamed, a changed one under its name (a little
#: more for the same kind), a changed one of the same kind, and something else under the same name.
SAME, RENAMED, CHANGED, SAME_KIND, LIKE, OTHER = 10.0, 7.5, 6.0, 1.0, 3.0, 2.0
#: Longer stretches are first cut where their parts agree: the exact alignment takes time by the product of the lengths.
MOST = 40_000


def align(old: Sequence[Part], new: Sequence[Part]) -> list[Pair]:
    """The pairs of an alignment with the highest worth."""
    start = _equal(zip(old, new, strict=False))
    end = _equal(zip(reversed(old[start:]), reversed(new[start:]), strict=False))
    middle = _between(old[start : len(old) - end], new[start : len(new) - end])
    return [
        *zip(old[:start], new[:start], strict=True),
        *middle,
        *zip(old[len(old) - end :], new[len(new) - end :], strict=True),
    ]


def _equal(pairs: Iterator[tuple[Part, Part]]) -> int:
    """How many pairs from the start are the same parts under the same names."""
    count = 0
    for old, new in pairs:
        if worth(old, new) != SAME:
            break
        count += 1
    return count


def worth(old: Part, new: Part) -> float:
    """What it is worth to take one part for the other; 0 where they cannot be the same."""
    same_label = old.label == new.label
    if old.key == new.key:
        return SAME if same_label else RENAMED
    if type(old.node) is type(new.node) and (old.kind == new.kind or not old.is_layer):
        return (CHANGED if same_label else LIKE) + SAME_KIND * (old.kind == new.kind)
    return OTHER if same_label and old.label is not None and old.is_layer == new.is_layer else 0.0


def _between(old: Sequence[Part], new: Sequence[Part]) -> list[Pair]:
    if len(old) * len(new) <= MOST:
        return _best(old, new)
    matcher = SequenceMatcher(None, [part.key for part in old], [part.key for part in new])
    found: list[Pair] = []
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        one, other = old[i:i_end], new[j:j_end]
        if tag == "equal":
            found += zip(one, other, strict=True)
        elif len(one) * len(other) <= MOST:
            found += _best(one, other)
        else:
            found += [*((part, None) for part in one), *((None, part) for part in other)]
    return found


def _best(old: Sequence[Part], new: Sequence[Part]) -> list[Pair]:
    """The alignment with the highest worth (Needleman, Wunsch 1970; a part without a counterpart is worth 0)."""
    rows, columns = len(old), len(new)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            value = worth(old[i], new[j])
            paired = best[i + 1][j + 1] + value if value else 0.0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], paired)
    found: list[Pair] = []
    i = j = 0
    while i < rows and j < columns:
        value = worth(old[i], new[j])
        if value and best[i][j] == best[i + 1][j + 1] + value:
            found.append((old[i], new[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            found.append((old[i], None))
            i += 1
        else:
            found.append((None, new[j]))
            j += 1
    return [*found, *((part, None) for part in old[i:]), *((None, part) for part in new[j:])]
