"""Names: scopes that give every part its state_dict key, and suggestions for misspelt ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from archdsl.diagnostics import Note
from archdsl.diagnostics.names import BadLabel, DuplicateName
from archdsl.elaborate.errors import Located
from archdsl.source import Span

LABEL = re.compile(r"[A-Za-z0-9_-]+")

#: What torch.nn.Module and torch.nn.Sequential call their own, so that no submodule can have the name.
#: The front end has no torch to ask; a test compares the two.
RESERVED_LABELS: frozenset[str] = frozenset()


@dataclass(slots=True)
class Scope:
    """A scope of names: `path` is its state_dict prefix, `taken` the names in it with their places."""

    path: str = ""
    taken: dict[str, Span] = field(default_factory=dict)
    positions: int = 0

    def full(self, name: str) -> str:
        """The state_dict prefix of a part of this scope."""
        return f"{self.path}.{name}" if self.path else name

    def take(self, label: str | None, span: Span) -> str:
        """The name of the next part: its label, or its position among all parts of the scope."""
        name = str(self.positions) if label is None else label
        self.positions += 1
        if name in self.taken:
            note = Note("the first is here", self.taken[name])
            raise Located(DuplicateName("the name", name), span, notes=(note,))
        self.taken[name] = span
        return name


def check_label(name: str, span: Span) -> None:
    """Refuse a label that cannot be a submodule's name."""
    if not LABEL.fullmatch(name):
        raise Located(BadLabel(name, "it has letters, digits, `_` and `-` only"), span)
    if name in RESERVED_LABELS:
        raise Located(BadLabel(name, "torch.nn.Module has an attribute of that name"), span)


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return close[0] if close else None
