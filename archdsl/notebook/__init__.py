"""Specs in notebooks and documents: the magic `%%arch`, and a lexer that colours specs."""
