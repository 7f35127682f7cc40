"""`archdsl lsp`: the language server."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = ("archdsl lsp", "archdsl lsp --ws 8765")


def lsp(
    ws: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, metavar="PORT", help="Serve this machine over a WebSocket, instead of standard streams."
        ),
    ] = None,
    stdio: Annotated[bool, typer.Option("--stdio", hidden=True)] = False,
) -> None:
    """Run the language server for an editor.

    `--stdio`, which some editors add, changes nothing.
    """
    from archdsl.lsp.server import serve_stdio, serve_websocket

    if ws is None:
        serve_stdio()
    else:
        serve_websocket("127.0.0.1", ws)
