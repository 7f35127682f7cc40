"""The processes of a run: a single one, unless `torchrun` or `accelerate launch` has started several.

A single process never imports what several need (archdsl.train.processes.many).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.commands import MissingPackage
from archdsl.train.processes.processes import ALONE, Processes


def are_several() -> bool:
    """Whether a launcher has started this process as one of several, or for FSDP."""
    world = os.environ.get("WORLD_SIZE", "1")
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    return "RANK" in os.environ and ((world.isdecimal() and int(world) > 1) or sharded)


@contextmanager
def processes_of_run() -> Iterator[Processes]:
    """The processes that train together until the end of the context.

    Raises SpecError (E701) where accelerate is missing, (E645) where a process is lost.
    """
    if not are_several():
        yield ALONE
        return
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        problem = MissingPackage("training in several processes", "accelerate", "distributed")
        raise SpecError([Diagnostic(problem)]) from error
    from archdsl.train.processes.many import joined

    with joined() as many:
        yield many
