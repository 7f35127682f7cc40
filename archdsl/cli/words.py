"""The words of a command line: their places, and the parameters of the command they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import unwrap
from shlex import quote
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from archdsl.text.source import Source, Span

#: A command and a parameter of Click, which Typer brings in a copy of its own or not, depending on its version.
Command = Any
Parameter = Any

#: The name of the program in messages and examples.
PROGRAM = "archdsl"


class Value(NamedTuple):
    """A value on the command line: the number of its word, where it starts there, and its parameter.

    The parameter is None for an unknown option and for an argument too many.
    """

    word: int
    start: int
    parameter: Parameter | None


class Line:
    """A command line as a source, so that an error can underline a word."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        shown = [quote(word) for word in words]
        self.source = Source("", " ".join([PROGRAM, *shown]))
        self._starts = []
        at = len(PROGRAM) + 1
        for word in shown:
            self._starts.append(at)
            at += len(word) + 1

    def span(self, word: int, start: int = 0, end: int | None = None) -> Span:
        """The characters `start` to `end` of a word; all of a word that is quoted."""
        text = self.words[word]
        at = self._starts[word]
        if quote(text) != text:
            return Span(self.source, at, at + len(quote(text)))
        return Span(self.source, at + start, at + (len(text) if end is None else end))

    @property
    def end(self) -> Span:
        """The place after the last word."""
        return Span(self.source, len(self.source.text), len(self.source.text))


def options_of(command: Command) -> dict[str, Parameter]:
    """The options of a command by each of their names."""
    options = [one for one in command.params if one.param_type_name == "option"]
    return {name: option for option in options for name in (*option.opts, *option.secondary_opts)}


def values_of(command: Command, words: Sequence[str], first: int = 0) -> Iterator[Value]:
    """The values in `words` from the word `first` on, assigned to parameters as Click does."""
    options = options_of(command)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    numbers = iter(range(first, len(words)))
    only_arguments = False
    for number in numbers:
        word = words[number]
        if word == "--" and not only_arguments:
            only_arguments = True
        elif word.startswith("-") and word != "-" and not only_arguments:
            name, start = _option_in(word, options)
            option = options.get(name)
            if option is None or start:
                yield Value(number, start, option)
            elif not option.is_flag and (after := next(numbers, None)) is not None:
                yield Value(after, 0, option)
        else:
            yield Value(number, 0, arguments[0] if arguments else None)
            if arguments and arguments[0].nargs == 1:
                arguments.pop(0)


def _option_in(word: str, options: dict[str, Parameter]) -> tuple[str, int]:
    """The name of the option in a word, and where its value starts: 0 where it is the next word."""
    name, sign, _ = word.partition("=")
    if word.startswith("--"):
        return name, len(name) + 1 if sign else 0
    short = word[:2]
    has_value = len(word) > len(short) and short in options and not options[short].is_flag
    return (short, 2) if has_value else (word if word in options else short, 0)


def type_of(command: Command, parameter: Parameter) -> Any:
    """The type of a parameter in the command's function, without None and list: `Literal["table", "json"]`, `int`."""
    found = get_type_hints(unwrap(command.callback)).get(parameter.name, str)
    if get_origin(found) in (Union, UnionType):
        found = next(one for one in get_args(found) if one is not type(None))
    return get_args(found)[0] if get_origin(found) is list else found


def choices_of(command: Command, parameter: Parameter) -> tuple[str, ...]:
    """The values that a parameter can have, where it has a few."""
    found = type_of(command, parameter)
    return get_args(found) if get_origin(found) is Literal else ()


def title_of(parameter: Parameter) -> str:
    """A parameter in a message: `--model NAME`, `NETWORK`."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper()).strip("[].")
    name = max(parameter.opts, key=len)
    return f"{name} {parameter.metavar}" if parameter.metavar else name
