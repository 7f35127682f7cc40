"""The text and its syntax tree."""

from archdsl.syntax.parser import comments, parse, parse_expression

__all__ = ["comments", "parse", "parse_expression"]
