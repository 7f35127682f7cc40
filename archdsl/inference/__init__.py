"""Predictions of trained networks for image files."""
