"""E85x: drawings of networks, which need no weights."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class UnknownPictureFormat(Problem):
    """A picture whose file has no extension of a format that it can be written in.

    The extension chooses the format: `-o resnet18.svg` for pages and slides, `.pdf` for documents, `.png` where neither
    can be used, `.tex` for TikZ.
    """

    code = "E855"
    text = "cannot write {path}: the extension must be one of {expected}"
    path: str
    expected: str
