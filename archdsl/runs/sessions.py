"""The sessions of a run: when, by which command and from which commit it was started and resumed, and their ends."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from archdsl.files.write import write_text
from archdsl.version import __version__

FILE = "sessions.json"

State = Literal["running", "finished", "stopped", "failed"]
#: The state of a run as people see it: `killed` is a running one whose process is gone, `unknown` one of an earlier
#: version.
Seen = Literal["running", "finished", "stopped", "failed", "killed", "unknown"]


@dataclass(frozen=True, slots=True)
class Session:
    """A run's time in one process, from its start or a resumption to its end.

    command      as it was typed; empty where there was none (a notebook)
    started      and `ended`: local time with its offset, ISO 8601; `ended` is None while it is running
    reason       why it ended early, stopped or failed
    epoch, step  the position at the end: complete epochs, and steps of the next one
    steps        the steps that the whole run was to have
    commit       of the repository around the current folder, None outside of one; `dirty`: tracked files had changes
    """

    command: tuple[str, ...]
    started: str
    ended: str | None = None
    state: State = "running"
    reason: str = ""
    epoch: int = 0
    step: int = 0
    steps: int = 0
    commit: str | None = None
    dirty: bool | None = None
    archdsl: str = ""
    device: str = ""
    pid: int = 0
    host: str = ""

    @property
    def line(self) -> str:
        """The command as one line for a shell."""
        return shlex.join(self.command)

    @property
    def seconds(self) -> float | None:
        """From its start to its end; None where it has not ended."""
        return None if self.end is None else (self.end - self.start).total_seconds()

    @property
    def start(self) -> datetime:
        return datetime.fromisoformat(self.started)

    @property
    def end(self) -> datetime | None:
        return None if self.ended is None else datetime.fromisoformat(self.ended)


class SessionLog:
    """The sessions of a run folder, and the one that is running in this process."""

    def __init__(self, folder: Path) -> None:
        self.path, self.earlier = folder / FILE, read_sessions(folder)
        self.current: Session | None = None

    def begin(self, device: str, steps: int, epoch: int = 0, step: int = 0) -> None:
        """Write that a session has started. Raises SpecError (E708)."""
        commit, dirty = git_state()
        started = Session(typed_command(), _now(), epoch=epoch, step=step, steps=steps, commit=commit, dirty=dirty)
        self._write(replace(started, archdsl=__version__, device=device, pid=os.getpid(), host=platform.node()))

    def end(self, state: State, reason: str, epoch: int, step: int) -> None:
        """Write how the session ended. Raises SpecError (E708)."""
        if self.current is not None:
            self._write(replace(self.current, ended=_now(), state=state, reason=reason, epoch=epoch, step=step))

    def _write(self, session: Session) -> None:
        self.current = session
        write_text(self.path, json.dumps([asdict(each) for each in (*self.earlier, session)], indent=2) + "\n")


def read_sessions(folder: Path) -> tuple[Session, ...]:
    """The sessions of a run folder; none in those of earlier versions, or where the file cannot be read."""
    known = {field.name for field in fields(Session)}
    try:
        entries = json.loads((folder / FILE).read_text(encoding="utf-8"))
        found = [Session(**{key: value for key, value in entry.items() if key in known}) for entry in entries]
        return tuple(replace(each, command=tuple(each.command)) for each in found)
    except (OSError, ValueError, TypeError, AttributeError):
        return ()


def state_of(sessions: Sequence[Session]) -> Seen:
    """The state of a run. A process on another machine is taken to be running."""
    if not sessions:
        return "unknown"
    last = sessions[-1]
    is_here = last.host == platform.node()
    return "killed" if last.state == "running" and is_here and not _is_alive(last.pid) else last.state


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # signal 0 is Ctrl-C on Windows
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is someone else's
    return True


def typed_command() -> tuple[str, ...]:
    """The command line of this process as a user would type it; empty in a notebook or an interpreter."""
    program, *arguments = sys.argv or [""]
    name = Path(program).name
    if name in {"archdsl", "archdsl.exe"} or Path(program).parts[-2:] == ("archdsl", "__main__.py"):
        return ("archdsl", *arguments)
    if not name or name.startswith("-") or "ipykernel" in program:
        return ()
    return ("python", program, *arguments) if name.endswith(".py") else (name, *arguments)


def git_state() -> tuple[str | None, bool | None]:
    """The commit of the repository around the current folder, and whether tracked files have changes."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return commit, None if changes is None else bool(changes)


def _git(*arguments: str) -> str | None:
    """What git prints, None where it fails or is not installed."""
    quiet: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(["git", *arguments], **quiet, timeout=5, check=False, env=environment)
    except (OSError, subprocess.SubprocessError):
        return None
    return None if done.returncode else done.stdout.decode("utf-8", "replace").strip()


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
