"""Shell completion: what can be at the end of a command line. The shells ask `archdsl __complete SHELL WORDS`."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from archdsl.cli.candidates import COMPLETERS, Candidate, Line
from archdsl.cli.words import Command, Parameter, Value, choices_of, options_of, values_of


def answer(words: Sequence[str]) -> None:
    """Print the candidates for the shell `words[0]`, one a line, with a description after a tab."""
    shell, *line = words
    for one in candidates(_bash_words(*line) if shell == "bash" else line[1:]):
        if shell == "bash":
            print(_for_bash(one.value, line[0]))
        else:
            print(f"{one.value}\t{' '.join(one.help.split())}" if one.help else one.value)


def _bash_words(line: str) -> list[str]:
    """The words after the program's name of a line up to the cursor, the last of which is being written."""
    for quote in ("", '"', "'"):
        try:
            words = shlex.split(line + quote)
        except ValueError:
            continue
        return [*words, ""][1:] if not quote and line[-1:].isspace() else words[1:]
    return [""]


def _for_bash(value: str, line: str) -> str:
    """A candidate as bash inserts it: quoted, and without what is before the last = or : that bash splits words at."""
    last = re.split(r"\s", line)[-1]
    split = max(last.rfind(sign) for sign in "=:" if sign in os.environ.get("COMP_WORDBREAKS", "=:")) + 1
    return shlex.quote(value[split:]) if re.search(r"[\s'\"\\$&;|<>()*?]", value) else value[split:]


def candidates(words: Sequence[str]) -> list[Candidate]:
    """The candidates for the last of the words, the rest of which is complete."""
    from archdsl.cli.app import application, command_names

    *before, last = [*words] or [""]
    if not before:
        return [one for one in _first_words(last) if one.value.startswith(last)]
    if before[0] not in command_names():
        return []
    command = application(before).commands[before[0]]
    values = list(values_of(command, words, first=1))
    mine = next((one for one in values if one.word == len(before)), None)
    if _is_option(last, before, mine):
        return [one for one in _options(command, before, last) if one.value.startswith(last)]
    if mine is None or mine.parameter is None:
        return []
    head, text = last[: mine.start], last[mine.start :]
    line = Line(before[0], _given(values, words[:-1]), text)
    found = _values(command, mine.parameter, line)
    return [Candidate(head + one.value, one.help) for one in found if one.value.startswith(text)]


def _is_option(last: str, before: Sequence[str], value: Value | None) -> bool:
    """Whether the last word is, or will be, the name of an option."""
    if not last.startswith("-") or "--" in before:
        return False
    return (
        value is None or value.parameter is None or (value.start == 0 and value.parameter.param_type_name != "option")
    )


def _first_words(text: str) -> Iterator[Candidate]:
    """The commands, or the options of the program."""
    from archdsl.cli.app import application

    group = application([])
    if text.startswith("-"):
        yield from _options(group, [], text)
    for name, command in group.commands.items():
        yield Candidate(name, command.get_short_help_str(100))


def _options(command: Command, before: Sequence[str], text: str) -> Iterator[Candidate]:
    """The options that may follow: each by its long name, and by its short one where only `-` is written."""
    given = {word.partition("=")[0] for word in before}
    unique: dict[int, Parameter] = {id(option): option for option in options_of(command).values()}
    for option in unique.values():
        if not option.hidden and (option.multiple or not given.intersection(option.opts)):
            names = sorted(option.opts, key=len)
            for name in names if text == "-" else names[-1:]:
                yield Candidate(name, option.help or "")
    yield Candidate("--help", "Show the help.")


def _given(values: Iterable[Value], words: Sequence[str]) -> dict[str, list[str]]:
    """The values of the complete words by parameter."""
    found: dict[str, list[str]] = {}
    for value in values:
        if value.parameter is not None and value.word < len(words):
            found.setdefault(value.parameter.name, []).append(words[value.word][value.start :])
    return found


def _values(command: Command, parameter: Any, line: Line) -> Iterable[Candidate]:
    if choices := choices_of(command, parameter):
        return map(Candidate, choices)
    complete = COMPLETERS.get((line.command, parameter.name)) or COMPLETERS.get(parameter.name)
    return complete(line) if complete is not None else ()
