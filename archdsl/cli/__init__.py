"""The command line: thin commands over the library. Whatever can go wrong in all of them is handled in `main`."""

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

#: Exit codes: what was given is wrong; the command line itself is wrong (Typer's own); Ctrl-C.
WRONG, USAGE, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command (`sys.argv` unless `arguments` are given); returns its exit code."""
    # Pydantic would read the metadata of every installed package to look for plugins, for 10 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    prepare_streams()
    try:
        code = _run(arguments)
    except BrokenPipeError:  # the reader has gone (`| head`)
        code = WRONG
    give_up_on_lost_streams()
    return code


def run() -> NoReturn:
    """The console script: `main`, and then the end of the process."""
    # A short command makes many objects and hardly any garbage; by default a tenth of its time would go to
    # looking for some. The process is the command's own here, which `main` may be called in another's.
    gc.set_threshold(100_000, 20, 20)
    code = main()
    if "torch" in sys.modules:
        # Its libraries have threads and temporary files to put away.
        sys.exit(code)
    # Everything is written. Taking the interpreter apart would be a tenth of a short command's time.
    os._exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    from archdsl.diagnostics import SpecError

    try:
        code = _command(arguments)
        sys.stdout.flush()
        return code
    except SpecError as error:
        from archdsl.cli.report import print_errors

        # Of the processes that a launcher starts on a machine one speaks, unless they have agreed on another.
        if os.environ.get("LOCAL_RANK", "0") == "0" if error.here is None else error.here:
            print_errors(error.diagnostics)
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if (extra := _extra(error)) is None:
            raise
        from archdsl.cli.report import print_errors
        from archdsl.diagnostics import Diagnostic
        from archdsl.diagnostics.codes.runtime import MissingPackage

        print_errors([Diagnostic(MissingPackage("this command", _package(error), extra))])
    except BrokenPipeError:
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
    return WRONG


def _command(arguments: Sequence[str] | None) -> int:
    """Hand over to Typer, which ends every command with SystemExit."""
    from archdsl.cli.app import application

    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_show_warning, warnings.showwarning)
            application(given)(args=given, prog_name="archdsl")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _show_warning(usual: Callable[..., None], message: Warning | str, *rest: Any, **more: Any) -> None:
    """One of our own as a plain note, any other as usual."""
    from archdsl.diagnostics.codes.weights import WeightsWarning

    if isinstance(message, WeightsWarning):
        print(f"note: {message}", file=sys.stderr)
    else:
        usual(message, *rest, **more)


def _extra(error: ModuleNotFoundError) -> str | None:
    """The extra of this package that brings a missing module."""
    extras = {"onnx": "onnx", "onnxruntime": "onnx"}
    torch = ("torch", "torchvision", "numpy", "safetensors", "sklearn", "matplotlib", "jinja2", "markupsafe", "PIL")
    extras |= dict.fromkeys(torch, "torch")
    return extras.get(_package(error))


def _package(error: ModuleNotFoundError) -> str:
    return (error.name or "").partition(".")[0]
