"""Run folders on the disk: those below a folder, and the one that a wrong path was meant for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from archdsl.diagnostics import Help
from archdsl.text.suggest import suggestion

#: The folder that runs are written to unless another is given.
RUNS = Path("runs")
#: The file that makes a folder a run.
INFO = "run.json"
#: Files that only a run has: with one of them and no run.json the folder is a damaged run.
OTHERS = ("recipe.json", "metrics.jsonl", "sessions.json")
#: How many runs a suggestion names.
SHOWN = 3


def folders_below(root: Path) -> Iterator[Path]:
    """The run folders at any depth, damaged ones too, in the order of their names; `root` may be one itself."""
    for folder, inner, files in os.walk(root):
        if not {INFO, *OTHERS}.isdisjoint(files):
            inner.clear()
            yield Path(folder)
        inner[:] = sorted(name for name in inner if not name.startswith("."))


def instead_of(path: Path) -> tuple[Help, ...]:
    """What may have been meant by a path that is no run: runs in it, a spec in it, or a run of a similar name."""
    try:
        if path.is_dir() and (inside := [str(one.parent) for one in sorted(path.glob(f"*/{INFO}"))]):
            more = f" and {len(inside) - SHOWN} more" if len(inside) > SHOWN else ""
            return (Help(f"it contains runs: {', '.join(inside[:SHOWN])}{more}"),)
        if specs := sorted(path.glob("*.arch")):
            return (Help(f"a network is one file, such as {specs[0]}"),)
        beside = [one.parent for folder in dict.fromkeys((path.parent, RUNS)) for one in folder.glob(f"*/{INFO}")]
    except OSError:
        return ()
    names = {one.name: str(one) for one in reversed(beside) if one != path}
    meant = suggestion(path.name, sorted(names))
    return (Help(f"did you mean the run {names[meant]}?"),) if meant else ()
