"""Training in one process or several."""
