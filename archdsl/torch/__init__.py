"""The torch back end: the only part of archdsl that imports torch (training aside)."""

from archdsl.torch.build import build, network_of
from archdsl.torch.source import source
from archdsl.torch.weights import load_weights, save_weights

__all__ = ["build", "load_weights", "network_of", "save_weights", "source"]
