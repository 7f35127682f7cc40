"""Sources, records, limits and suggestions, which every part needs. Imports nothing of archdsl."""
