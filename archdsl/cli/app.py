"""The Typer application: every command by its name, in the order of a first session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

#: Each command with the module of its function, and examples for its help.
COMMANDS = {
    "summary": (
        "inspecting",
        "archdsl summary specs/alexnet.arch",
        "archdsl summary specs/vgg.arch --model vgg16 --set classes=10 --input 3x64x64 --depth 2",
        "archdsl summary alexnet --format json",
    ),
    "check": ("checking", "archdsl check specs/", "archdsl check my.arch --format json"),
    "fmt": ("checking", "archdsl fmt my.arch", "archdsl fmt --check specs/"),
    "train": (
        "running",
        "archdsl train specs/lenet.arch --epochs 5 --out runs/lenet",
        "archdsl train specs/lenet.arch --dataset fashion_mnist --set optimizer.lr=0.05",
        "archdsl train --resume runs/lenet",
        "archdsl train runs/lenet",
    ),
    "eval": ("running", "archdsl eval specs/lenet.arch --weights runs/lenet"),
    "predict": (
        "predicting",
        "archdsl predict resnet50 cat.jpg --weights torchvision:IMAGENET1K_V2",
        "archdsl predict specs/lenet.arch three.png --weights runs/lenet --top 3",
    ),
    "export": (
        "running",
        "archdsl export specs/lenet.arch --weights runs/lenet -o lenet.onnx",
        'archdsl export resnet18 -o resnet18.onnx --normalize "0.485,0.456,0.406;0.229,0.224,0.225"',
    ),
    "verify": (
        "running",
        "archdsl verify lenet.onnx specs/lenet.arch --weights runs/lenet",
        "archdsl verify elsewhere.onnx resnet50 --weights torchvision:DEFAULT --tolerance 1e-3",
    ),
    "zoo": (
        "browsing",
        "archdsl zoo",
        "archdsl zoo mobile --max-params 5M",
        "archdsl zoo resnet18",
        "archdsl zoo resnet18 --show",
    ),
    "new": ("browsing", "archdsl new mynet", "archdsl new mynet --from resnet18"),
    "layers": ("inspecting", "archdsl layers", "archdsl layers conv"),
    "show": (
        "inspecting",
        "archdsl show specs/resnet.arch --model resnet18 --stage graph",
        "archdsl show lenet --stage torch",
        "archdsl show network resnet18 -o resnet18.svg",
        "archdsl show filters specs/lenet.arch --weights runs/lenet -o filters.png",
    ),
    "report": ("reporting", "archdsl report runs/lenet"),
    "compare": ("reporting", "archdsl compare runs/a runs/b", "archdsl compare runs/a runs/b -o compare.png"),
    "explain": ("inspecting", "archdsl explain E402"),
}


def application(arguments: Sequence[str]) -> Callable[..., Any]:
    """The command line as a callable that ends with SystemExit.

    Only the command that the first argument names is made, all of them where it names none: each costs a
    few milliseconds. Rich stays out of help and errors for the same reason.
    """
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        no_args_is_help=True,
        epilog="Start with `archdsl summary alexnet`; every command explains itself with --help.",
    )
    app.callback()(root)
    for name in arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS:
        module, *examples = COMMANDS[name]
        function = getattr(import_module(f"archdsl.cli.{module}"), name)
        app.command(name, epilog=_examples(examples))(function)
    return typer.main.get_command(app)


def _examples(lines: Sequence[str]) -> str:
    """An epilog that keeps its lines (the backspace tells the formatter so)."""
    return "\b\n" + "\n".join(["Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


def _version(asked: bool) -> None:
    if asked:
        from archdsl.version import __version__

        print(f"archdsl {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Convolutional networks as short texts: checked, summarised, trained and exported."""
