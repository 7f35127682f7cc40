"""Files of earlier revisions in git: `HEAD~1:specs/lenet.arch`."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.networks import NotInGit

if TYPE_CHECKING:
    from archdsl.elaborate.modules import Reader
    from archdsl.text.source import Source


def is_revision(spec: str) -> bool:
    """Whether a spec is `REV:PATH`, and not a file of that name or a spec's own text."""
    revision, colon, path = spec.partition(":")
    return bool(revision and colon) and path.endswith(".arch") and "{" not in path and not Path(spec).exists()


def at_revision(spec: str) -> tuple[Source, Path, Reader]:
    """The file at a revision, where it would be in the work tree, and what reads its imports at the same revision.

    Raises SpecError (E790) for what git does not have.
    """
    revision, _, path = spec.partition(":")
    top = Path(os.fsdecode(_git(spec, "rev-parse", "--show-toplevel").rstrip(b"\n"))).resolve()
    file = (Path.cwd() if path.startswith(("./", "../")) else top) / path
    read = partial(_read, revision, top)
    return read(file.resolve(), spec), file, read


def _read(revision: str, top: Path, path: Path, shown: str) -> Source:
    """The source of a file at a revision; `path` is where it would be in the work tree."""
    from archdsl.elaborate.modules import source_of

    if not path.is_relative_to(top):
        raise _missing(shown, "it is outside the repository")
    return source_of(_git(shown, "cat-file", "blob", f"{revision}:{path.relative_to(top).as_posix()}"), shown)


def _git(shown: str, *arguments: str) -> bytes:
    """What a git command prints; its failure is that of a missing file."""
    try:
        environment = {**os.environ, "LC_ALL": "C"}  # its complaint becomes part of a message
        return subprocess.run(["git", *arguments], capture_output=True, check=True, env=environment).stdout
    except FileNotFoundError:
        raise _missing(shown, "git is not installed") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines() or ["it failed"]
        raise _missing(shown, lines[0].removeprefix("fatal: ")) from None


def _missing(shown: str, reason: str) -> SpecError:
    return SpecError([Diagnostic(NotInGit(shown, reason), path=shown)])
