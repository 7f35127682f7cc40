"""E79x: specs of earlier revisions, read from git."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NotInGit(Problem):
    """A revision that git cannot give.

    `REV:PATH` is a file as git has it: `HEAD~1:specs/lenet.arch`, `main:specs/lenet.arch`, `v1.0:./lenet.arch`. The
    path counts from the top of the repository, or with `./` from the current folder. Files that it imports are read
    at the same revision. The current folder must be in the repository.
    """

    code = "E790"
    text = "git has no {spec}: {reason}"
    spec: str
    reason: str
