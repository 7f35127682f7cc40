"""Weights for a built module: from a file, from a run, or published."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from archdsl.backends.torch.build import network_of
from archdsl.backends.torch.weights import PREFIX, copy_into, read_weights


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Copy weights into a module made by `build()`; every key and shape has to fit.

    `path` is a `.safetensors` file, a PyTorch file (`.pt`, `.pth`), a run folder, or `torchvision:NAME` for
    published weights (`torchvision:TWIN/NAME` where the model is not the zoo's). Nothing is unpickled but
    tensors. Published weights leave a head of another number of classes as it is, with a warning.

    Raises:
        SpecError: the file cannot be read, holds no weights, or those of another model.
    """
    if str(path).startswith(PREFIX):
        from archdsl.backends.torch import published

        published.load(module, published.find(str(path), network_of(module)))
        return
    copy_into(module, read_weights(Path(path)), str(path))
