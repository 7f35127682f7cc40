"""Errors of the command line (E80x): what Typer and the commands reject, with the word underlined that is wrong."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote
from typing import Any, cast

import typer

from archdsl.cli import words as line_words
from archdsl.cli.words import PROGRAM, Command, Line, Parameter, Value
from archdsl.diagnostics import Diagnostic, Help, Problem, did_you_mean
from archdsl.diagnostics.codes import usage as codes
from archdsl.text.source import Span

#: What Typer raises for a wrong command line. The package it is from depends on the version of Typer.
UsageError = cast(type[Exception], typer.BadParameter.__base__)


class UnknownValue(typer.BadParameter):
    """A value that is not among the known ones; the report suggests the one that was probably meant."""

    def __init__(self, message: str, value: str, known: Iterable[str], *, param_hint: str, otherwise: str = "") -> None:
        super().__init__(message, param_hint=param_hint)
        self.where = param_hint
        self.value = value
        self.known = tuple(known)
        self.otherwise = otherwise


class Ineffective(typer.BadParameter):
    """An option without an effect `where` it is given."""

    def __init__(self, option: str, where: str) -> None:
        super().__init__(f"the option {option} has no effect on {where}", param_hint=option)
        self.problem = codes.NoEffect(option, where)


class WrongUse(typer.BadParameter):
    """An argument or option that does not suit the network, which is a problem with a code of its own."""

    def __init__(self, problem: Problem, where: str, *helps: Help) -> None:
        super().__init__(str(problem), param_hint=where)
        self.problem = problem
        self.where = where
        self.helps = helps


def print_usage_error(error: Exception, words: Sequence[str], group: Command) -> None:
    """Print the report of an error of the command line with these words; the help where there are none."""
    from archdsl.diagnostics.render import render_one
    from archdsl.view.tables import terminal_width, wants_color

    if not words:
        print(error, file=sys.stderr)
        return
    if words[0] in group.commands or (words[0].startswith("-") and words[0] != "-"):
        found = _Report(error, words, group).diagnostic()
    else:
        found = unknown_command(words)
    print(render_one(found, color=wants_color(sys.stderr), width=terminal_width()), file=sys.stderr)


def unknown_command(words: Sequence[str]) -> Diagnostic:
    """The diagnostic of a first word that is no command; it may be a network."""
    from archdsl.cli.app import command_names

    name, span = words[0], Line(words).span(0)
    if name and (Path(name).suffix == ".arch" or Path(name).is_dir() or _is_in_zoo(name)):
        helps: tuple[Help, ...] = (Help("a command comes first", span, f"summary {span.text}"),)
    else:
        helps = did_you_mean(name, command_names(), span, "`archdsl --help` lists the commands")
    return Diagnostic(codes.UnknownCommand(name), span, helps=helps)


def _is_in_zoo(name: str) -> bool:
    from archdsl.cards.index import find

    return find(name) is not None


class _Report:
    """What is said of an error by Typer, or of one that a command raised in Typer's form."""

    def __init__(self, error: Any, words: Sequence[str], group: Command) -> None:
        self.error = error
        self.line = Line(words)
        self.is_root = words[0] not in group.commands
        self.command: Command = group if self.is_root else group.commands[words[0]]
        self.name = PROGRAM if self.is_root else f"{PROGRAM} {words[0]}"
        self.values = [] if self.is_root else list(line_words.values_of(self.command, words, first=1))

    def diagnostic(self) -> Diagnostic:
        match self.error:
            case UnknownValue():
                return self._unknown_value(self.error)
            case Ineffective():
                return self._ineffective(self.error)
            case WrongUse():
                return self._at(self.error.problem, self._place(self.error.where), *self.error.helps)
        match type(self.error).__name__:
            case "NoSuchOption":
                return self._unknown_option(self.error.option_name)
            case "BadOptionUsage":
                return self._wrong_form(self.error.option_name)
            case "MissingParameter":
                return self._missing(self.error.param)
            case "BadParameter" if self.error.param is not None:
                return self._wrong_type(self.error.param)
            case "BadParameter":
                quoted = re.search(r"`([^`]+)`", self.error.message)
                place = self._place(self.error.param_hint, quoted[1] if quoted else "")
                return self._at(codes.WrongValue(self.error.message), place)
        surplus = next((value for value in self.values if value.parameter is None), None)
        if surplus is None:
            return self._at(codes.WrongValue(self.error.message), None)
        name = self.line.words[surplus.word]
        return self._at(codes.SurplusArguments(self.name, name), self.line.span(surplus.word), self._usage())

    def _at(self, problem: Problem, span: Span | None, *helps: Help, label: str = "") -> Diagnostic:
        span = span or Span(self.line.source, 0, len(self.line.source.text))
        return Diagnostic(problem, span, label=label, helps=helps)

    def _usage(self) -> Help:
        return Help(" ".join(["usage:", self.name, *self.command.collect_usage_pieces(None)]))

    def _unknown_option(self, name: str) -> Diagnostic:
        options = line_words.options_of(self.command)
        number = self._word_of(name)
        word = "" if number is None else self.line.words[number]
        at = max(word.find(name), 0)
        span = None if number is None else self.line.span(number, at, at + len(name) if name in word else None)
        if self.is_root:
            otherwise = "options follow the command: `archdsl COMMAND OPTIONS`"
        else:
            otherwise = f"`{self.name} --help` lists the options"
        helps = self._meant_entry(name, number, options) or did_you_mean(name, options, span, otherwise)
        return self._at(codes.UnknownOption(self.name, name), span, *helps)

    def _meant_entry(self, name: str, number: int | None, options: Iterable[str]) -> tuple[Help, ...]:
        """The suggestion of `--set device=cpu` for `--device cpu`, in the commands that have a recipe."""
        if number is None or "--set" not in options or "--dataset" not in options:
            return ()
        from archdsl.recipe.reader import entry_for

        if (entry := entry_for(name.removeprefix("--").replace("-", "_"))) is None:
            return ()
        _, joined, value = self.line.words[number].partition("=")
        last, following = number, self.line.words[number + 1 : number + 2]
        if not joined and following and not following[0].startswith("-"):
            last, value = number + 1, following[0]
        first, end = self.line.span(number), self.line.span(last)
        edit = "--set " + quote(f"{entry}={value or 'VALUE'}")
        return (Help("entries of the recipe are set by `--set`", Span(first.source, first.start, end.end), edit),)

    def _word_of(self, option: str) -> int | None:
        """The last word that is an option of that name."""
        words = list(enumerate(self.line.words))
        exact = [i for i, word in words if word.partition("=")[0] == option]
        # `-x` may be one of several letters, `-qx`, or have its value in the same word.
        inside = [i for i, word in words if len(option) == 2 and word[:2] != "--" and option[1] in word[1:]]
        return next(iter([*exact[::-1], *(i for i in inside if self.line.words[i][0] == "-")]), None)

    def _wrong_form(self, name: str) -> Diagnostic:
        option = line_words.options_of(self.command).get(name)
        number = self._word_of(name)
        if option is not None and option.is_flag:
            return self._at(codes.WrongOptionForm(f"the option {name} takes no value"), self._span(number))
        title = name if option is None else line_words.title_of(option)
        reason = f"the option {name} requires a value"
        return self._at(codes.WrongOptionForm(reason), self._span(number), label=f"expected {title}")

    def _span(self, word: int | None) -> Span | None:
        return None if word is None else self.line.span(word)

    def _missing(self, parameter: Parameter) -> Diagnostic:
        title = line_words.title_of(parameter)
        problem = codes.MissingFromLine(self.name, title)
        return self._at(problem, self.line.end, self._usage(), label=f"expected {title}")

    def _wrong_type(self, parameter: Parameter) -> Diagnostic:
        """A value that is not one of the choices, or no number."""
        found = self._value_of(parameter)
        text = None if found is None else self.line.words[found.word][found.start :]
        choices = line_words.choices_of(self.command, parameter)
        span = None if found is None else self.line.span(found.word, found.start)
        title = line_words.title_of(parameter).partition(" ")[0]
        problem = codes.WrongValue(f"{title} takes {self._expected(parameter, choices)}, not `{text}`")
        return self._at(problem, span, *did_you_mean(text or "", choices, span))

    def _expected(self, parameter: Parameter, choices: Sequence[str]) -> str:
        if choices:
            return f"{', '.join(choices[:-1])} or {choices[-1]}"
        kind = "an integer" if line_words.type_of(self.command, parameter) is int else "a number"
        owner = parameter if hasattr(parameter, "min") else parameter.type  # of older versions
        least, most = getattr(owner, "min", None), getattr(owner, "max", None)
        if least is not None and most is not None:
            return f"{kind} from {least} to {most}"
        return kind if least is None else f"{kind} of at least {least}"

    def _unknown_value(self, error: UnknownValue) -> Diagnostic:
        span = self._place(error.where, error.value)
        helps = did_you_mean(error.value, error.known, span, error.otherwise)
        return self._at(codes.WrongValue(error.message), span, *helps)

    def _ineffective(self, error: Ineffective) -> Diagnostic:
        option = error.problem.option
        word = self._word_of(option)
        if word is None and option == "--format":
            word = self._word_of("--json")
        return self._at(error.problem, self._span(word))

    def _place(self, hint: str | None, text: str = "") -> Span | None:
        """The value of the parameter that `hint` names, with `text` in it where it has several."""
        parameter = self._parameter(hint)
        found = None if parameter is None else self._value_of(parameter, text)
        if found is None and parameter is not None and parameter.param_type_name == "argument":
            return self.line.end
        if found is None:
            return self._span(None if hint is None else self._word_of(hint))
        word = self.line.words[found.word]
        at = word.find(text, found.start) if text else -1
        return self.line.span(found.word, found.start) if at < 0 else self.line.span(found.word, at, at + len(text))

    def _parameter(self, hint: str | None) -> Parameter | None:
        options = line_words.options_of(self.command)
        arguments = {line_words.title_of(one): one for one in self.command.params if not one.opts[0].startswith("-")}
        return (options | arguments).get(str(hint).strip("[]."))

    def _value_of(self, parameter: Parameter, text: str = "") -> Value | None:
        """The last value of a parameter, of those with `text` in them where there are any."""
        mine = [value for value in self.values if value.parameter is parameter]
        with_text = [value for value in mine if text in self.line.words[value.word]]
        return next(reversed(with_text or mine), None)
