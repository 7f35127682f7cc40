"""The Typer application: every command by its name, in the order of a first session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import checking, inspecting, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Rich stays out of help and errors: importing it would cost every run a tenth of its time.
app = typer.Typer(
    name="archdsl",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    epilog="Start with `archdsl summary alexnet`; every command explains itself with --help.",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"archdsl {version('archdsl')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Convolutional networks as short texts: checked, summarised, trained and exported."""


def _examples(*lines: str) -> str:
    """An epilog that keeps its lines (the backspace tells the formatter so)."""
    return "\b\n" + "\n".join(["Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


def _add(command: Callable[..., Any], *examples: str) -> None:
    app.command(epilog=_examples(*examples))(command)


_add(
    inspecting.summary,
    "archdsl summary specs/alexnet.arch",
    "archdsl summary specs/vgg.arch --model vgg16 --set classes=10 --input 3x64x64 --depth 2",
    "archdsl summary alexnet --format json",
)
_add(checking.check, "archdsl check specs/", "archdsl check my.arch --format json")
_add(checking.fmt, "archdsl fmt my.arch", "archdsl fmt --check specs/")
_add(
    running.train,
    "archdsl train specs/lenet.arch --epochs 5 --out runs/lenet",
    "archdsl train specs/lenet.arch --dataset fashion_mnist --set optimizer.lr=0.05",
    "archdsl train specs/lenet.arch --resume runs/lenet",
)
_add(running.eval, "archdsl eval specs/lenet.arch --weights runs/lenet")
_add(
    running.export,
    "archdsl export specs/lenet.arch --weights runs/lenet -o lenet.onnx",
    'archdsl export resnet18 -o resnet18.onnx --normalize "0.485,0.456,0.406;0.229,0.224,0.225"',
)
_add(inspecting.zoo, "archdsl zoo", "archdsl zoo resnet --format json")
_add(inspecting.layers, "archdsl layers", "archdsl layers conv")
_add(inspecting.show, "archdsl show specs/resnet.arch --model resnet18 --stage graph")
_add(inspecting.explain, "archdsl explain E402")


def command() -> Callable[..., Any]:
    """The application as a callable that ends with SystemExit."""
    return typer.main.get_command(app)
