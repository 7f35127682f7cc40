"""The dump of a tree."""

from __future__ import annotations

from hypothesis import given, settings

from archdsl.syntax import parse, parse_expression, tree_text
from archdsl.syntax.text import expression_text
from archdsl.text.source import Source
from tests.syntax.plain import plain
from tests.syntax.texts import expression_texts

TEXT = """\
import "a.arch"
from "b.arch" import x, y
inline block b(n, k = 1 + 2 * 3) {
  let a, c = (n, k)
  x{n}: conv(n, 3x3, bias=false) -> t[n - 1]
  if a == c { relu } else if not true { tanh } else { }
  for i in 1..n { stem: { relu } }
  residual when a > 1 { relu } shortcut { tanh }
  split(2) { relu; relu }
  init = {conv: zeros}
  for (i, ((j), k,)), (l,) in [(m, n) for m, n in c if not m == n] { }
}
model m { input(3); b(1) }
model v(n = 2) = m()
train m { lr = 1e-3 }
"""

DUMP = """\
 1  import "a.arch"
 2  import "b.arch" x, y
 3  inline block b(n, k = 1 + (2 * 3))
 4    let a, c = (n, k)
 5    x{n}: conv(n, 3x3, bias=false) -> t[n - 1]
 6    if a == c
 6      relu
 6    else
 6      if not true
 6        tanh
 6      else
 7    for i in 1..n
 7      stem: group
 7        relu
 8    residual when a > 1
 8      relu
 8    shortcut
 8      tanh
 9    split(2)
 9      relu
 9      relu
10    set init = {"conv": zeros}
11    for (i, (j, k)), (l,) in [(m, n) for m, n in c if (not (m == n))]
13  model m
13    input(3)
13    b(1)
14  variant v(n = 2) of m()
15  train m
15    set lr = 0.001"""


def test_dump() -> None:
    assert tree_text(parse(Source("test.arch", TEXT))) == DUMP


@settings(max_examples=300, deadline=None)
@given(expression_texts())
def test_an_expression_reads_as_it_is_printed(text: str) -> None:
    expression = parse_expression(Source("test.arch", text))
    printed = expression_text(expression)
    again = parse_expression(Source("test.arch", printed))
    assert plain(again) == plain(expression)
    assert expression_text(again) == printed
