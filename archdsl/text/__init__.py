"""Text and what every part needs of it: sources, records, limits, suggestions. Imports nothing of archdsl."""
