"""What `archdsl new` writes: a file with one model, made from a network of the zoo or a plain one to begin with."""

from __future__ import annotations

from pathlib import Path

import typer

from archdsl.diagnostics import Diagnostic, Help, SpecError
from archdsl.diagnostics.codes.runtime import CannotWrite
from archdsl.files.write import cannot_write, write_text
from archdsl.syntax import format_text, parse, tree
from archdsl.text.source import Source

STARTER = """\
# {name}: a small convolutional network for the digits that come along.
#
#   archdsl summary {name}.arch      layers, shapes, parameters
#   archdsl train {name}.arch        by the recipe below
#   archdsl layers                   what else there is

block unit(width, stride = 1) {{
  conv(width, 3x3, stride=stride, padding=1, bias=false); batchnorm; relu
}}

# Parameters are given with --set classes=2; input channels follow from what comes before.
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


def new_file(name: str, base: str | None) -> Path:
    """Write NAME.arch with a model of that name; NAME may be a path. An existing file is never replaced.

    Raises:
        SpecError: there is no such base, or the file cannot be written (E708).
    """
    path = Path(name if name.endswith(".arch") else f"{name}.arch")
    _check_name(path.stem)
    text = STARTER.format(name=path.stem) if base is None else _text_from(base, path.stem)
    try:
        path.open("x").close()  # the name is ours from here on
    except FileExistsError:
        helps = (Help("choose another name, or move that file away first"),)
        raise SpecError([Diagnostic(CannotWrite(str(path), "it is there already"), helps=helps)]) from None
    except OSError as error:
        raise cannot_write(path, error) from None
    write_text(path, text)
    return path


def _check_name(name: str) -> None:
    """Reject what cannot be the name of a model."""
    try:
        [model] = parse(Source(name, f"model {name} {{ input(1) }}")).items
        sound = isinstance(model, tree.ModelDef) and model.name.name == name
    except (SpecError, ValueError):
        sound = False
    if not sound:
        message = f"{name!r} cannot name a model: letters, digits and _ can, and no word of the language"
        raise typer.BadParameter(message, param_hint="NAME")


def _text_from(base: str, name: str) -> str:
    """A text of its own with the model that `base` stands for, called `name`, and all that it needs."""
    from archdsl.api import find
    from archdsl.elaborate import elaborate, load_module
    from archdsl.elaborate.standalone import standalone

    module, named = find(base)
    network = elaborate(module, named)
    try:
        text, _ = standalone(module, network.name, name)
    except KeyError:
        message = f"{base} has a definition called {name!r} already, which {network.name} is made of"
        raise typer.BadParameter(f"{message}; choose another name", param_hint="NAME") from None
    origin = f"# {name}: started from {base}{' of the zoo' if named else ''}.\n"
    text = format_text(origin + text, name)
    elaborate(load_module(Source(f"{name}.arch", text)), name)
    return text
