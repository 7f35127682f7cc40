"""What several commands print: errors and JSON."""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import IO

from archdsl.diagnostics import Diagnostic


def print_errors(diagnostics: Sequence[Diagnostic], *, file: IO[str] | None = None) -> None:
    """Print the full report, to stderr by default."""
    from archdsl.diagnostics.render import render_text
    from archdsl.view.tables import terminal_width, wants_color

    file = file or sys.stderr
    print(render_text(diagnostics, color=wants_color(file), width=terminal_width()), file=file)


def print_written(path: object, format: str) -> None:
    """Say which file was written."""
    print_json({"file": str(path)}) if format == "json" else print(f"wrote {path}")


def print_json(value: object) -> None:
    """Print a value as indented JSON; a number that is not finite, for which JSON has no form, is null."""
    print_json_text(json.dumps(_finite(value), indent=2, ensure_ascii=False))


def _finite(value: object) -> object:
    match value:
        case float():
            return value if isfinite(value) else None
        case Mapping():
            return {key: _finite(one) for key, one in value.items()}
        case list() | tuple():
            return [_finite(one) for one in value]
    return value


def print_json_text(text: str, *, file: IO[str] | None = None) -> None:
    """Print JSON, to stdout by default; characters that its encoding lacks are escaped."""
    file = file or sys.stdout
    encoding = codecs.lookup(getattr(file, "encoding", None) or "utf-8").name
    if encoding != "utf-8":
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
    print(text, file=file)
