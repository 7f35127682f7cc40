"""CIFAR-100's colour images."""

from archdsl.datasets.sources.cifar10 import read

__all__ = ["read"]
