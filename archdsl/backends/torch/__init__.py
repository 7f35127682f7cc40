"""The torch back end: the only part of archdsl that imports torch (training aside)."""

from archdsl.backends.torch.build import build, network_of
from archdsl.backends.torch.loading import load_weights
from archdsl.backends.torch.source import source
from archdsl.backends.torch.weights import save_weights

__all__ = ["build", "load_weights", "network_of", "save_weights", "source"]
