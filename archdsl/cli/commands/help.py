"""`archdsl help`: the help of a command."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = ("archdsl help train",)


def help(command: Annotated[str, typer.Argument(metavar="[COMMAND]", help="A command.")] = "") -> None:
    """Describe a command, as `archdsl COMMAND --help` does."""
    from archdsl.cli.app import application, command_names

    if command and command not in command_names():
        from archdsl.cli.usage import UnknownValue

        raise UnknownValue(f"there is no command `{command}`", command, command_names(), param_hint="COMMAND")
    words = [*([command] if command else []), "--help"]
    application(words)(args=words, prog_name="archdsl", standalone_mode=False)
