"""From source code to the syntax tree, and the formatter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.syntax.parser import comments, parse, parse_expression, parse_requirement

if TYPE_CHECKING:
    from archdsl.syntax.format import format_text
    from archdsl.syntax.text import tree_text

__all__ = ["comments", "format_text", "parse", "parse_expression", "parse_requirement", "tree_text"]


def __getattr__(name: str) -> Any:
    """The formatter and the dump are imported when they are first used: most commands need neither."""
    if name == "format_text":
        from archdsl.syntax.format import format_text

        return format_text
    if name == "tree_text":
        from archdsl.syntax.text import tree_text

        return tree_text
    raise AttributeError(f"module 'archdsl.syntax' has no attribute {name!r}")
