"""Views of a network: summaries, tables, pictures."""
