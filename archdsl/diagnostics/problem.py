"""The base of all problems: facts as fields, the message as a template, one class per stable code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from archdsl.text.record import Record

#: Whether a problem makes the spec wrong, or is something that was hardly meant.
Severity = Literal["error", "warning"]

CODES: dict[str, type[Problem]] = {}
#: The problems that now stand for codes of earlier versions.
RETIRED: dict[str, type[Problem]] = {}


class Problem(Record):
    """Something that is wrong, without its place.

    A subclass with a `code` defines one type of problem: its annotated fields are the facts, and `text` is the
    message, a format template with these fields. `archdsl explain` prints its docstring and the examples `wrong` and
    `right`, which are whole specs. Problems with the same facts are equal.
    """

    code: ClassVar[str]
    severity: ClassVar[Severity] = "error"
    #: The codes of earlier versions that are this one now.
    formerly: ClassVar[tuple[str, ...]] = ()
    text: ClassVar[str]
    wrong: ClassVar[str] = ""
    right: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" in cls.__dict__:
            if cls.code in CODES:
                raise TypeError(f"{cls.__name__} and {CODES[cls.code].__name__} both have the code {cls.code}")
            CODES[cls.code] = cls
            RETIRED.update(dict.fromkeys(cls.formerly, cls))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        facts = dict(zip(self._fields, args, strict=False)) | kwargs
        if len(args) > len(self._fields) or (set(facts) ^ set(self._fields)):
            raise TypeError(f"{type(self).__name__} takes {self._fields}, not {args} {kwargs}")
        super().__init__(**facts)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *map(str, vars(self).values())))

    def __str__(self) -> str:
        return self.text.format(**vars(self))


class Rejected(Exception):
    """A problem without a place; whoever catches it knows the place.

    `argument` is the name of the wrong argument, if there is one; `help` is a suggestion, `helps` are several; `notes`
    are further facts.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        argument: str | None = None,
        help: str | None = None,
        helps: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.argument = argument
        self.help = help
        self.helps = (help, *helps) if help else tuple(helps)
        self.notes = tuple(notes)
