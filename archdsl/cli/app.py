"""The Typer application: every file in `commands/` is a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated, Any

import typer

from archdsl.cli import commands

#: The commands in `archdsl --help`, in the order of a first session. One that is not listed is among the last.
SECTIONS = {
    "Look at a network": ("zoo", "summary", "sizes", "draw", "show", "diff"),
    "Write one": ("new", "check", "fmt", "layers", "explain"),
    "Train it": ("train", "runs", "eval", "predict", "report", "compare"),
    "Deliver it": ("export", "verify"),
    "Other commands": ("lsp", "completion", "help"),
}


def command_names() -> list[str]:
    """The names of all commands in the order of the help."""
    return [name for names in sections().values() for name in names]


def sections() -> dict[str, list[str]]:
    """The names of all commands by the headings of the help."""
    found = {module.name for module in iter_modules(commands.__path__)}
    known = {heading: [name for name in names if name in found] for heading, names in SECTIONS.items()}
    known["Other commands"] += sorted(found.difference(*known.values()))
    return known


class Commands(typer.core.TyperGroup):
    """The commands under their headings, with one width of names."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        wide = max(map(len, self.commands))
        for heading, names in sections().items():
            rows = [(f"{name:<{wide}}", self.commands[name].get_short_help_str(limit=100)) for name in names]
            with formatter.section(heading):
                formatter.write_dl(rows)


class Command(typer.core.TyperCommand):
    """A command whose usage line has the arguments as they are written in its function."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(title(one) for one in self.params if one.param_type_name == "argument")]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for one in self.params:
            if one.param_type_name == "argument" and hasattr(one, "display_type_rich"):  # not in older versions
                one.display_type_rich = partial(_type_of_choices, one.display_type_rich)
        super().format_help(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        if ctx.default_map == JSON and ctx.params["format"] != "json":
            message = f"--json and --format {ctx.params['format']} exclude each other"
            raise typer.BadParameter(message, ctx=ctx, param_hint="--format")
        return super().invoke(ctx)


def _version(asked: bool) -> None:
    if asked:
        from archdsl.version import __version__

        print(f"archdsl {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("-V", "--version", callback=_version, is_eager=True, expose_value=False, help="Print the version."),
]


def _type_of_choices(shown: Callable[..., str], ctx: Any) -> str:
    """What Typer shows of an argument's type, if that is a few values: that the others are strings says nothing."""
    found = shown(ctx=ctx)
    return found if "|" in found else ""


#: The command lines that ask for the version and name no command.
VERSION = (("-V",), ("--version",))

#: What `--json` stands for, as defaults of the command.
JSON = {"format": "json"}


def _json(context: typer.Context, asked: bool) -> None:
    if asked:
        context.default_map = dict(JSON)


def shared(
    as_json: Annotated[
        bool,
        typer.Option("--json", callback=_json, is_eager=True, expose_value=False, help="Short for --format json."),
    ] = False,
    version: Version = False,
) -> None:
    """The options of every command: `--version`, and `--json` where it has `--format json`."""


def title(argument: Any) -> str:
    """The name of an argument: `NETWORK`, `PATH...`, `[DIR...]`."""
    return str(argument.metavar or argument.name.upper())


def application(arguments: Sequence[str]) -> Any:
    """The command line as a callable.

    Only the command that the first argument names is imported, all of them where it names none, and none for the
    version: each costs a few milliseconds. Rich stays out of help and errors for the same reason.
    """
    names = [] if tuple(arguments) in VERSION else command_names()
    app = typer.Typer(
        cls=Commands,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        no_args_is_help=True,
        epilog="Start with `archdsl summary alexnet`. `archdsl COMMAND --help` describes a command.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for name in arguments[:1] if arguments and arguments[0] in names else names:
        module = import_module(f"{commands.__name__}.{name}")
        context = getattr(module, "CONTEXT", None)
        register = app.command(name, cls=Command, epilog=_examples(module.EXAMPLES), context_settings=context)
        register(getattr(module, name))
    group: Any = typer.main.get_command(app)
    as_json, version = _shared_options()
    for command in group.commands.values():
        # Whatever has a format has JSON.
        command.params += [as_json, version] if any(one.name == "format" for one in command.params) else [version]
    return group


def _shared_options() -> list[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(shared)
    command: Any = typer.main.get_command(app)
    return list(command.params)


def _examples(lines: Sequence[str]) -> str:
    """An epilog that keeps its line ends, which is what the backspace tells the formatter."""
    return "\b\n" + "\n".join(["Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


def root(version: Version = False) -> None:
    """Define convolutional networks in .arch files; check, train and export them."""
