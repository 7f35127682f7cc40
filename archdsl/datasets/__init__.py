"""Data sets: every source, preparation and augmentation."""
