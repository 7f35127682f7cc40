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


class NoChain(Problem):
    """A network that cannot be drawn as a row of volumes.

    `draw volumes` is for networks that make one feature map out of another: classifiers, U-Nets, autoencoders and
    generators, with shortcuts past parts of them. Networks with several inputs or outputs, with paths beside each
    other, on volumes of three axes or on tokens have no such row. `draw network` draws them all.
    """

    code = "E856"
    text = "cannot draw the volumes of {model}: {reason}"
    model: str
    reason: str


class TooManyVolumes(Problem):
    """A drawing to scale with more volumes than fit beside each other.

    `--depth N` draws scopes nested more deeply than N as one volume; without it, the depth is chosen so that the
    picture fits a slide.
    """

    code = "E857"
    text = "{model} has {count} volumes at a depth of {depth}, more than the {most} that fit a picture"
    model: str
    count: int
    most: int
    depth: int
