"""Atomic writes of text, tensors and other files."""
