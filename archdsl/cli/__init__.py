"""The command line: thin commands over the library. `main` handles the errors that every command can raise."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from archdsl.cli.streams import give_up_on_lost_streams, prepare_streams

__all__ = ["main", "run"]

#: Exit codes: a wrong spec, file or run; a wrong command line; Ctrl-C.
WRONG, USAGE, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command (`sys.argv` unless `arguments` are given); returns its exit code."""
    # Pydantic would look for plugins in the metadata of every installed package, which takes 10 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    prepare_streams()
    try:
        code = _run(arguments)
    except BrokenPipeError:  # The reader has closed the pipe (`| head`).
        code = WRONG
    give_up_on_lost_streams()
    return code


def run() -> NoReturn:
    """The console script: run `main` and end the process."""
    # A short command makes many objects and hardly any garbage; by default collecting it would take a tenth of its
    # time. This is done here because `main` may run in another program's process.
    gc.set_threshold(100_000, 20, 20)
    code = main()
    if "torch" in sys.modules:
        # Its libraries have threads and temporary files to clean up.
        sys.exit(code)
    # Everything is written. Finalizing the interpreter would take a tenth of a short command's time.
    os._exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    from archdsl.diagnostics import SpecError

    try:
        code = _command(arguments)
        sys.stdout.flush()
        return code
    except SpecError as error:
        from archdsl.cli.printing import print_errors

        # Of the processes that a launcher starts on a machine, the first prints, unless they have agreed on another.
        if os.environ.get("LOCAL_RANK", "0") == "0" if error.here is None else error.here:
            print_errors(error.diagnostics)
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError as error:
        from archdsl.cli.printing import print_errors
        from archdsl.diagnostics.extras import missing_package

        found = missing_package("this command", error)
        if not isinstance(found, SpecError):
            raise
        print_errors(found.diagnostics)
    except BrokenPipeError:
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
    return WRONG


def _command(arguments: Sequence[str] | None) -> int:
    """Run Typer, or answer a shell that asks for completions."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["__complete"]:
        from archdsl.cli.completion import answer

        answer(given[1:])
        return 0
    import typer

    from archdsl.cli.app import application

    commands = application(given)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_show_warning, warnings.showwarning)
            if given and (given[0] == "-" or given[0][:1] != "-") and given[0] not in commands.commands:
                raise typer.BadParameter(given[0])  # Click would take a path for an option.
            code = commands(args=given, prog_name="archdsl", standalone_mode=False)
    except typer.Abort:
        return INTERRUPTED
    except SystemExit as end:  # Typer's, for a closed pipe.
        code = end.code
    except Exception as error:
        from archdsl.cli.usage import UsageError, print_usage_error

        if not isinstance(error, UsageError):
            raise
        print_usage_error(error, given, commands)
        return USAGE
    return code if isinstance(code, int) else 0


def _show_warning(usual: Callable[..., None], message: Warning | str, *rest: Any, **more: Any) -> None:
    """Print warnings about weights as notes, others as usual."""
    from archdsl.diagnostics.codes.weights import WeightsWarning

    if isinstance(message, WeightsWarning):
        print(f"note: {message}", file=sys.stderr)
    else:
        usual(message, *rest, **more)
