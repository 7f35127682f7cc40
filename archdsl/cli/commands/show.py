"""`archdsl show`: a stage of the compiler as text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from archdsl.cli.network import Asked
from archdsl.cli.options import Input, Model, NetworkArgument, Settings, StdinFilename, reject_unused

#: Further arguments reach the command, which says what they may have been meant for.
CONTEXT = {"allow_extra_args": True}

Stage = Literal["tree", "graph", "torch", "onnx"]

EXAMPLES = (
    "archdsl show resnet18",
    "archdsl show lenet --stage torch -o lenet.py",
    "archdsl show runs/lenet --stage onnx",
)


def show(
    context: typer.Context,
    network: NetworkArgument,
    stage: Annotated[Stage, typer.Option(help="The stage of the compiler to print.")] = "graph",
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    stdin_filename: StdinFilename = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file instead.")
    ] = None,
) -> None:
    """Print a stage of the compiler.

    tree: the syntax tree of the file; graph: the checked graph; torch: Python source that needs torch only; onnx: the
    ONNX graph, with initial weights.
    """
    if context.args:
        raise _too_many([network, *context.args])
    text = _text(Asked(network, model, settings, input, stdin_filename), stage)
    if output is None:
        print(text)
        return
    from archdsl.files.write import write_text

    write_text(Path(output), f"{text}\n")
    print(f"wrote {output}")


def _text(asked: Asked, stage: Stage) -> str:
    """The output of a stage of the compiler."""
    if stage == "tree":
        from archdsl.syntax import parse, tree_text

        unused = {"model": asked.model, "set": asked.settings, "input": asked.input}
        reject_unused("the tree, which is of the whole file", **unused)
        return tree_text(parse(asked.found.source))
    network = asked.network()
    match stage:
        case "graph":
            from archdsl.view.graph import graph_text

            return graph_text(network)
        case "torch":
            from archdsl.backends.torch import source

            return source(network)
        case _:
            from archdsl.backends.onnx import text

            return text(network, {name: x.numpy() for name, x in network.build(seed=0).state_dict().items()})


def _too_many(words: list[str]) -> typer.BadParameter:
    """The error for several arguments, the first of which may be a picture or a stage."""
    from archdsl.cli.pictures import PICTURES

    first, *rest = words
    message = f"`show` takes one network, not {len(words)} arguments"
    if first in PICTURES:
        message += f"; pictures are drawn by `archdsl draw {' '.join(words)}`"
    elif first in get_args(Stage):
        message += f"; the stage is an option: `archdsl show {' '.join(rest)} --stage {first}`"
    return typer.BadParameter(message, param_hint="NETWORK")
