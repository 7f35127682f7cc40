"""The maps of a network in columns: each with one label, and with as much detail as fits a slide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archdsl.diagnostics import SpecError
from archdsl.diagrams.volumes.errors import too_many
from archdsl.diagrams.volumes.levels import levels_of
from archdsl.diagrams.volumes.maps import Column, Map, Maps, Skip, maps_of
from archdsl.diagrams.volumes.parts import Chain, chain_of, deepest
from archdsl.graph import Group
from archdsl.graph.network import Network
from archdsl.text.record import Record

#: Columns up to which nothing is drawn as one, and that fit a slide in a row and as a U; those that say little; those
#: that are chosen where no others fit, and those that are drawn where they are asked for.
FEW, FIT, FIT_U, SKETCHY, MOST, ASKED = 12, 14, 28, 4, 24, 40


class Columns(Record):
    """The columns of a drawing from left to right, and the arcs between their maps."""

    columns: Sequence[Column]
    skips: Sequence[Skip]

    @property
    def levels(self) -> list[int]:
        """The row of each column in a U; empty if it is none."""
        return levels_of(self.columns, self.skips)


def columns_of(network: Network, depth: int | None) -> Columns:
    """The columns with scopes open down to `depth`, by default as deep as fits a slide.

    Raises SpecError: (E856) the network is no chain of maps, (E857) it has too many.
    """
    if depth is None:
        return _chosen(network)
    maps = maps_of(network, chain_of(network, depth))
    columns = next((found for found in _ways(maps) if len(found) <= FIT), None) or _columns(maps.maps, True, True)
    if len(columns) > ASKED:
        raise too_many(network, len(columns), ASKED, depth)
    return Columns(columns, maps.skips)


def _chosen(network: Network) -> Columns:
    """The columns at the greatest depth at which they fit; if they fit nowhere, at the smallest."""
    drawable = list(_drawable(network))
    for maps in drawable:
        columns = Columns(next(_ways(maps)), maps.skips)
        if len(columns.columns) <= FIT_U and columns.levels:
            return columns
    tries = [(len(found), squeezed, found, maps) for maps in drawable for squeezed, found in enumerate(_ways(maps))]
    for squeezes, most in ((range(2), FIT), (range(3), FIT), (range(3), MOST)):
        for count, squeezed, found, maps in tries:
            if SKETCHY < count <= most and squeezed in squeezes:
                return Columns(found, maps.skips)
    return columns_of(network, 1)


def _drawable(network: Network) -> Iterator[Maps]:
    """The maps at each depth at which there are some, the greatest first; those with nameless scopes last."""
    found = []
    for depth in range(deepest(network), 0, -1):
        try:
            chain = chain_of(network, depth)
            found.append((_nameless(chain), maps_of(network, chain)))
        except SpecError:
            if depth == 1 and not found:
                raise
    yield from (maps for is_nameless in (False, True) for nameless, maps in found if nameless is is_nameless)


def _nameless(chain: Chain) -> bool:
    """Whether there is a folded scope that no block names."""
    return any(isinstance(part.node, Group) and part.node.block is None for part in chain.parts)


def _ways(maps: Maps) -> Iterator[list[Column]]:
    """The columns in ways that need less and less room."""
    yield _columns(maps.maps, len(maps.maps) > FEW, False)
    yield _columns(maps.maps, True, False)
    yield _columns(maps.maps, True, True)


def _columns(maps: Sequence[Map], merge: bool, compact: bool) -> list[Column]:
    """The columns: with `merge` equal maps in a row are one, with `compact` pools belong to the column before them."""
    columns: list[Column] = []
    for i, one in enumerate(maps):
        last = columns[-1] if columns else None
        if last and compact and one.is_pool and last.tail is None and i > 1:
            columns[-1] = Column(last.first, last.maps, one)
        elif last and merge and last.tail is None and last.maps[-1].looks_like(one):
            columns[-1] = Column(last.first, (*last.maps, one))
        else:
            columns.append(Column(i, (one,)))
    return columns
