"""The cell magic `%%arch`: a spec in a cell of a notebook, checked and shown.

%load_ext archdsl

%%arch net --set classes=10
model small(classes = 2) { input(1x28x28); flatten; linear(classes) }
"""

from __future__ import annotations

import re
import shlex
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, NoReturn

from archdsl.api import Network, network_of
from archdsl.cli.settings import read_settings, unused
from archdsl.diagnostics import SpecError
from archdsl.elaborate import load_module
from archdsl.elaborate.modules import Module
from archdsl.text.source import Source

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

CELL = "<cell>"


class _Parser(ArgumentParser):
    """A parser that does not end the process."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}\n{self.format_usage()}")


def _assignment(text: str) -> str:
    """KEY=VALUE as it is written."""
    if not re.match(r"[^\W\d][\w.]*=.", text):
        raise ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return text


def _parser() -> ArgumentParser:
    parser = _Parser(prog="%%arch", description="Load the cell's spec, keep the network in a variable, and show it.")
    parser.add_argument("name", nargs="?", help="the variable; by default the model's name")
    parser.add_argument("--model", metavar="NAME", help="the model in the cell, where it has several")
    parser.add_argument(
        "--set", type=_assignment, action="append", default=[], metavar="KEY=VALUE", help="a parameter; repeatable"
    )
    return parser


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register `%%arch`: what `%load_ext archdsl` calls."""

    def arch(line: str, cell: str) -> Network | None:
        """Load the cell's spec as a network, keep it in a variable, and show its table and picture."""
        try:
            asked = _parser().parse_args(shlex.split(line))
            network = _network(load_module(Source(CELL, cell)), asked)
        except (SpecError, ValueError) as error:
            print(error, file=sys.stderr)
            return None
        shell.user_ns[asked.name or network.name] = network
        return network

    # The method is decorated in a way that hides its parameters.
    shell.register_magic_function(arch, "cell", "arch")  # type: ignore[arg-type]


def _network(module: Module, asked: Namespace) -> Network:
    """The model that the magic's arguments ask for."""
    values, entries = read_settings(asked.set, module, asked.model)
    if entries:
        raise unused(entries)
    return network_of(module, asked.model, settings=values)
