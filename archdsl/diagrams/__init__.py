"""Pictures of checked networks, made without torch."""
