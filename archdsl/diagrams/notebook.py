"""A network as HTML for notebooks: its table, its totals and its picture."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

from archdsl.cards.folders import shown_spec
from archdsl.diagrams.flow import draw_network
from archdsl.view.rows import COLUMNS, USUAL, cells, footnotes, rows, total_lines

if TYPE_CHECKING:
    from archdsl.graph.network import Network

#: Colours follow the page, which may be dark; a long table and a large picture scroll.
STYLE = """
.archdsl { font-size: 13px; }
.archdsl > div { display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start; }
.archdsl > div > div { max-height: 36em; max-width: 100%; overflow: auto; }
.archdsl table { border-collapse: collapse; margin: 0; }
.archdsl th, .archdsl td { padding: 0.15em 0.7em; border: 0; color: inherit; background: none; white-space: pre; }
.archdsl th { font-weight: 600; }
.archdsl thead th { border-bottom: 1px solid rgba(128, 128, 128, 0.6); }
.archdsl .number { text-align: right; font-variant-numeric: tabular-nums; }
.archdsl .word { text-align: left; }
.archdsl .scope { opacity: 0.7; }
.archdsl table + table { margin-top: 1em; }
.archdsl img { max-width: 100%; border-radius: 6px; }
"""


def html_of(network: Network) -> str:
    """The table with its totals and the picture, for a notebook."""
    picture = b64encode(draw_network(network, direction="down").encode()).decode()
    shown = rows(network)
    title = f"<p><strong>{escape(network.title)}</strong> {escape(shown_spec(network.path))}</p>"
    totals = "".join(
        f'<tr><th class="word" scope="row">{escape(name)}</th><td class="word">{escape(text)}</td></tr>'
        for name, text in total_lines(network)
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in footnotes(shown))
    image = f'<img alt="picture of {escape(network.name)}" src="data:image/svg+xml;base64,{picture}">'
    return (
        f'<style>{STYLE}</style><div class="archdsl">{title}<div>'
        f"<div>{_layers(network)}<table>{totals}</table>{notes}</div><div>{image}</div></div></div>"
    )


def _layers(network: Network) -> str:
    """The table of the layers."""
    columns = [COLUMNS[name].column for name in USUAL]
    kinds = ["number" if column.right else "word" for column in columns]
    titles = [f'<th class="{kind}">{column.title}</th>' for column, kind in zip(columns, kinds, strict=True)]
    body = []
    for row in rows(network):
        texts = zip(cells(row, USUAL), kinds, strict=True)
        found = "".join(f'<td class="{kind}">{escape(text)}</td>' for text, kind in texts)
        body.append(f"<tr{' class=scope' if row.header else ''}>{found}</tr>")
    return f"<table><thead><tr>{''.join(titles)}</tr></thead><tbody>{''.join(body)}</tbody></table>"
