"""E85x: drawings of networks, which need no weights."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class UnknownScope(Problem):
    """A scope to fold or unfold in a picture that the network does not have.

    `--fold` and `--unfold` take the name of a scope as the table has it (`layer1.0`), or of a block (`bottleneck`), in
    which `*` stands for any characters and `?` for any one.
    """

    code = "E850"
    text = "no scope or block of {model} is called {name}"
    model: str
    name: str


class UnknownPictureFormat(Problem):
    """A picture whose file has no extension of a format that it can be written in.

    The extension chooses the format: `-o resnet18.svg` for pages and slides, `.pdf` for documents, `.png` where neither
    can be used, `.tex` for TikZ.
    """

    code = "E855"
    text = "cannot write {path}: the extension must be one of {expected}"
    path: str
    expected: str
