"""What several commands print: errors and JSON."""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Sequence
from typing import IO

from archdsl.diagnostics import Diagnostic


def print_errors(diagnostics: Sequence[Diagnostic], *, file: IO[str] | None = None) -> None:
    """Print the full report, to stderr by default."""
    from archdsl.diagnostics.render import render_text
    from archdsl.view.tables import terminal_width, wants_color

    file = file or sys.stderr
    print(render_text(diagnostics, color=wants_color(file), width=terminal_width()), file=file)


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    print_json_text(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_text(text: str) -> None:
    """Print JSON; characters that the encoding of stdout lacks are escaped."""
    encoding = codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name
    if encoding != "utf-8":
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
    print(text)
