"""Data sets: sources, splits, preparation and augmentation."""
