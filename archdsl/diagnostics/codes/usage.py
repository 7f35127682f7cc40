"""E80x: the command line."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class UnknownCommand(Problem):
    """An unknown command.

    The first word after `archdsl` is the name of a command. `archdsl --help` lists the commands with a line each,
    `archdsl COMMAND --help` describes one.
    """

    code = "E801"
    text = "there is no command `{name}`"
    name: str


class UnknownOption(Problem):
    """An unknown option.

    `archdsl COMMAND --help` lists the options of a command. Options follow the command. What begins with `-` and is not
    an option comes after `--`: `archdsl summary -- -net.arch`.
    """

    code = "E802"
    text = "{command} has no option `{name}`"
    command: str
    name: str


class MissingFromLine(Problem):
    """A missing argument or option.

    The usage line of `archdsl COMMAND --help` has the arguments in their order. Arguments in brackets, and most
    options, may be left out.
    """

    code = "E803"
    text = "{command} requires {what}"
    command: str
    what: str


class WrongValue(Problem):
    """A wrong value of an argument or option.

    `archdsl COMMAND --help` tells which values an option takes.
    """

    code = "E804"
    text = "{reason}"
    reason: str


class SurplusArguments(Problem):
    """Too many arguments.

    A value with spaces is one argument if it is quoted: `--require 'params <= 5M'`. An option that may be repeated is
    written again for each value: `--set classes=10 --set width=32`.
    """

    code = "E805"
    text = "{command} takes no further argument `{name}`"
    command: str
    name: str


class WrongOptionForm(Problem):
    """An option without its value, or with a value that it does not take.

    The value of an option follows it, as `--model NAME` or `--model=NAME`. A switch such as `--strict` has no value.
    """

    code = "E806"
    text = "{reason}"
    reason: str


class NoEffect(Problem):
    """An option without an effect.

    An option that would be ignored is an error, because somebody expects something of it. Leave it out, or change what
    makes it useless.
    """

    code = "E807"
    text = "the option {option} has no effect on {where}"
    option: str
    where: str
