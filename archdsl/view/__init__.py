"""What people look at: summaries, tables, pictures."""
