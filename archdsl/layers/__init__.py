"""The kinds of layers: one class per kind, found by name."""
