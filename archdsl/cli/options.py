"""Arguments and options that several commands share, and the values they parse to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from archdsl.shapes import InputSizes

#: What one network may be, as the help of a command says it.
NETWORK = "An .arch file, a name from `archdsl zoo`, a run folder, REV:FILE.arch in git, or - (standard input)."
NetworkArgument = Annotated[str, typer.Argument(metavar="NETWORK", help=NETWORK)]
StdinFilename = Annotated[
    str | None,
    typer.Option("--stdin-filename", metavar="FILE", help="What to call standard input; imports are relative to it."),
]
Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, or folders to search for .arch files.")]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="The model in the file.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A model parameter or a recipe entry, written as in a spec; repeatable.",
    ),
]
Require = Annotated[
    list[str] | None,
    typer.Option("--require", metavar="BOUND", help="A bound for a figure, such as 'params <= 5M'; repeatable."),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="[NAME=]3x64x64", help="Input size, instead of the spec's; repeatable for named inputs."
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="W",
        help="A weights file, a run folder, or torchvision:NAME, instead of the weights of NETWORK's run.",
    ),
]
TableOrJson = Annotated[Literal["table", "json"], typer.Option("--format", help="Output format.")]
TextOrJson = Annotated[Literal["text", "json"], typer.Option("--format", help="Output format.")]

Dataset = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Data set, instead of the recipe's.")]
Root = Annotated[str | None, typer.Option("--root", metavar="DIR", help="Folder with the data set's files.")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, metavar="N", help="Batch size.")]

#: The file types of figures.
FIGURES = (".png", ".svg", ".pdf")


def input_sizes(given: Sequence[str] | None) -> InputSizes | None:
    """The values of `--input`: one size, or `image=3x64x64` for each of some named inputs."""
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return _sizes(given[0])
    named = [one.partition("=") for one in given]
    found = {name: _sizes(text) for name, sign, text in named if sign}
    if len(found) != len(given):
        message = "several sizes need the names of different inputs: --input image=3x64x64 --input time=64"
        raise typer.BadParameter(message, param_hint="--input")
    return found


def _sizes(text: str) -> tuple[int, ...]:
    """`3x64x64` as integers."""
    if not re.fullmatch(r"[0-9]{1,18}(x[0-9]{1,18})*", text):
        raise typer.BadParameter(f"`{text}` is not a size such as 3x224x224", param_hint="--input")
    found = tuple(map(int, text.split("x")))
    if 0 in found:
        raise typer.BadParameter(f"`{text}` is empty: every size must be at least 1", param_hint="--input")
    return found


def arch_files(paths: Sequence[str]) -> Iterator[str]:
    """The files themselves, and the .arch files in folders at any depth, each once."""
    seen = set()
    for path in paths:
        inside = _inside(Path(path)) if path and Path(path).is_dir() else [path]
        if not inside:
            raise typer.BadParameter(f"there is no .arch file in {path}", param_hint="PATH")
        for file in inside:
            if file not in seen:
                seen.add(file)
                yield file


def _inside(folder: Path) -> list[str]:
    """The .arch files in a folder but those in hidden folders and in runs, whose spec is a record."""
    from archdsl.runs.find import INFO

    found = sorted(folder.rglob("*.arch"))
    return [
        str(file)
        for file in found
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and (file.parent == folder or not (file.parent / INFO).exists())
    ]


def require_extension(path: str, extensions: Sequence[str] = FIGURES) -> None:
    """Reject an output file with another extension."""
    if Path(path).suffix.lower() not in extensions:
        which = extensions[0] if len(extensions) == 1 else f"one of {', '.join(extensions)}"
        raise typer.BadParameter(f"`{path}`: the extension must be {which}", param_hint="-o")


def reject_unused(where: str, **options: object) -> None:
    """Reject (E807) options that were given but have no effect."""
    for name, value in options.items():
        if value not in (None, [], False):
            from archdsl.cli.usage import Ineffective

            raise Ineffective(f"--{name.replace('_', '-')}", where)
