"""The lexer of Pygments knows every spec, and colours what is a keyword."""

from __future__ import annotations

from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Comment, Error, Keyword, Name, Number

from archdsl.notebook.lexer import ArchLexer
from archdsl.syntax.table import table
from archdsl.zoo import specs_folder


def test_pygments_finds_it() -> None:
    assert isinstance(get_lexer_by_name("arch"), ArchLexer)
    assert isinstance(get_lexer_for_filename("lenet.arch"), ArchLexer)


@pytest.mark.parametrize("path", sorted(specs_folder().glob("*.arch")), ids=lambda path: path.stem)
def test_every_spec_is_known_to_the_last_character(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = list(ArchLexer().get_tokens_unprocessed(text))
    assert "".join(word for _, _, word in found) == text
    assert not [(place, word) for place, kind, word in found if kind is Error]


def test_what_words_are() -> None:
    line = "layer{i}: residual { conv(64, 3x3, bias=false) } -> skip  # (as in the paper)"
    kinds = {word: kind for kind, word in ArchLexer().get_tokens(line)}
    assert kinds["layer{i}"] is Name.Label
    assert kinds["residual"] is Keyword.Reserved
    assert kinds["conv"] is Name.Function
    assert kinds["3x3"] is Number.Integer
    assert kinds["bias"] is Name.Attribute
    assert kinds["false"] is Keyword.Constant
    assert kinds["skip"] is Name.Variable
    assert kinds["# (as in the paper)"] is Comment.Single


def test_every_keyword_has_a_colour() -> None:
    for word in table().keywords:
        ((kind, found), *_) = ArchLexer().get_tokens(word)
        assert found == word
        assert kind is not Name
