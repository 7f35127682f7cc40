"""The lexer of Pygments for specs: Jupyter, Sphinx and MkDocs colour ```` ```arch ```` with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pygments.lexer import RegexLexer, words
from pygments.lexer import bygroups as _bygroups
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from archdsl.combinators import KEYWORDS

DECLARATIONS = ("model", "block", "inline", "let")
CONTROL = ("import", "from", "train", "require", "for", "in", "if", "else", "when", "shortcut")
#: Pygments' function, whose stub has no types.
groups: Callable[..., Any] = _bygroups
NAME = r"[^\W\d]\w*"


class ArchLexer(RegexLexer):
    """The lexer of `.arch` files, registered by the entry point `pygments.lexers`."""

    name = "Arch"
    url = ""
    aliases: ClassVar = ["arch", "archdsl"]
    filenames: ClassVar = ["*.arch"]
    mimetypes: ClassVar = ["text/x-arch"]

    tokens: ClassVar = {
        "root": [
            (r"#[^\n]*", Comment.Single),
            (r'"(?:[^"\\\n]|\\.)*"?', String.Double),
            (
                rf"^([ \t]*)(?:(inline)([ \t]+))?(model|block)([ \t]+)({NAME})",
                groups(Whitespace, Keyword.Declaration, Whitespace, Keyword.Declaration, Whitespace, Name.Class),
            ),
            # A label stands before a statement: after the beginning of a line, a brace or a semicolon.
            (
                r"(^[ \t]*|(?<=[;{])[ \t]*)((?:\w|\{[^{}\n]*\})(?:[\w-]|\{[^{}\n]*\})*)([ \t]*)(:)",
                groups(Whitespace, Name.Label, Whitespace, Punctuation),
            ),
            (rf"(->)([ \t]*)({NAME})", groups(Operator, Whitespace, Name.Variable)),
            (words(DECLARATIONS, prefix=r"\b", suffix=r"\b"), Keyword.Declaration),
            (words(CONTROL, prefix=r"\b", suffix=r"\b"), Keyword),
            (words(("and", "or", "not"), prefix=r"\b", suffix=r"\b"), Operator.Word),
            (words(("true", "false", "none"), prefix=r"\b", suffix=r"\b"), Keyword.Constant),
            (words(KEYWORDS, prefix=r"\b", suffix=r"\b"), Keyword.Reserved),
            (r"[0-9]+(?:x[0-9]+)+\b", Number.Integer),
            (r"[0-9][0-9_]*(?:\.[0-9_]+)?(?:[kKMGT]i?B|[kKMGT]|B)\b", Number),
            (r"[0-9][0-9_]*(?:\.[0-9_]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)", Number.Float),
            (r"[0-9][0-9_]*", Number.Integer),
            (rf"({NAME})(?=[ \t]*\()", Name.Function),
            (rf"({NAME})([ \t]*)(=)(?!=)", groups(Name.Attribute, Whitespace, Operator)),
            (NAME, Name),
            (r"\.\.|//|\*\*|[-+*/%<>=!]=?", Operator),
            (r"[()\[\]{},;:.]", Punctuation),
            (r"\s+", Whitespace),
        ]
    }
