"""`archdsl new`: a new file with one model, copied from a network or from a small starter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archdsl.cli.options import NETWORK, TextOrJson
from archdsl.cli.printing import print_written

EXAMPLES = ("archdsl new mynet", "archdsl new mynet --from resnet18", "archdsl new mynet --from runs/lenet")

STARTER = """\
# {name}: a small convolutional network for the digits data set, which needs no download.
#
#   archdsl summary {name}.arch      layers, shapes, parameters
#   archdsl train {name}.arch        train with the recipe below
#   archdsl layers                   all layer types

block unit(width, stride = 1) {{
  conv(width, 3x3, stride=stride, padding=1, bias=false); batchnorm; relu
}}

# Set parameters with --set classes=2. Input channels are inferred.
model {name}(classes = 10, widths = [16, 32, 64]) {{
  input(1x8x8)
  for i, width in enumerate(widths, 1) {{ stage{{i}}: unit(width, stride = 1 if i == 1 else 2) }}
  adaptive_avgpool(1)
  flatten
  head: linear(classes)
}}

train {{
  dataset   = digits
  batch     = 64
  epochs    = 10
  optimizer = adam(lr=0.002)
  schedule  = cosine
}}
"""


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the model; the file is NAME.arch.")],
    base: Annotated[
        str | None,
        typer.Option("--from", metavar="NETWORK", help=f"The network to copy: {NETWORK[0].lower()}{NETWORK[1:]}"),
    ] = None,
    format: TextOrJson = "text",
) -> None:
    """Create a spec: a small network, or a copy of another one."""
    path = Path(name if name.endswith(".arch") else f"{name}.arch")
    _check_name(path.stem)
    text = STARTER.format(name=path.stem) if base is None else _text_from(base, path.stem)
    _write_new(path, text)
    if format == "json":
        print_written(path, format)
    else:
        print(f"wrote {path}: see `archdsl summary {path}`")


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not exist. Raises SpecError (E708)."""
    from archdsl.diagnostics import Diagnostic, Help, SpecError
    from archdsl.diagnostics.codes.commands import CannotWrite
    from archdsl.files.write import cannot_write, write_text

    try:
        path.open("x").close()  # Reserves the name.
    except FileExistsError:
        helps = (Help("choose another name, or move the existing file away"),)
        raise SpecError([Diagnostic(CannotWrite(str(path), "the file exists"), helps=helps)]) from None
    except OSError as error:
        raise cannot_write(path, error) from None
    write_text(path, text)


def _check_name(name: str) -> None:
    """Reject what cannot be the name of a model."""
    from archdsl.diagnostics import SpecError
    from archdsl.syntax import parse, tree
    from archdsl.text.source import Source

    try:
        [model] = parse(Source(name, f"model {name} {{ input(1) }}")).items
        sound = isinstance(model, tree.ModelDef) and model.name.name == name
    except (SpecError, ValueError):
        sound = False
    if not sound:
        message = f"`{name}` is not a valid model name: expected letters, digits and _, and no keyword"
        raise typer.BadParameter(message, param_hint="NAME")


def _text_from(base: str, name: str) -> str:
    """A spec with the model of `base`, renamed to `name`, and all definitions it needs."""
    from archdsl.cli.copying import copy_of

    try:
        return copy_of(base, name)
    except KeyError:
        message = f"{base} already defines `{name}`, which its model uses"
        raise typer.BadParameter(f"{message}; choose another name", param_hint="NAME") from None
