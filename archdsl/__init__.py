"""archdsl: a small language for convolutional networks, checked before any tensor is allocated.

    net = archdsl.load("specs/resnet.arch", model="resnet18", classes=10)
    net.output_shape, net.params, net.macs, net.layers
    archdsl.input_sizes(net)                                # the sizes it takes
    module = net.build()                                    # a torch.nn.Module
    archdsl.load_weights(module, "runs/resnet18")           # a run, a file, or torchvision's
    archdsl.features(module, ["layer2", "layer4"])          # a backbone that returns inner tensors
    archdsl.export_onnx(module, "resnet18.onnx")
    archdsl.predict(module, ["cat.jpg"])                    # the most likely classes

Nothing here imports torch before `build` or one of the functions on modules is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.version import __version__

if TYPE_CHECKING:
    from archdsl.api import Network, load
    from archdsl.backends.torch import network_of
    from archdsl.backends.torch.export import export_onnx, verify_onnx
    from archdsl.backends.torch.features import features
    from archdsl.backends.torch.loading import load_weights
    from archdsl.diagnostics import SpecError
    from archdsl.graph.network import LayerInfo
    from archdsl.hub import from_pretrained, push_to_hub, save_pretrained
    from archdsl.inference.predict import predict
    from archdsl.sizes import input_sizes

__all__ = [
    "LayerInfo",
    "Network",
    "SpecError",
    "__version__",
    "export_onnx",
    "features",
    "from_pretrained",
    "input_sizes",
    "load",
    "load_weights",
    "network_of",
    "predict",
    "push_to_hub",
    "save_pretrained",
    "verify_onnx",
]

_HOMES = {
    "SpecError": "archdsl.diagnostics",
    "load": "archdsl.api",
    "input_sizes": "archdsl.sizes",
    "LayerInfo": "archdsl.graph.network",
    "Network": "archdsl.api",
    "export_onnx": "archdsl.backends.torch.export",
    "features": "archdsl.backends.torch.features",
    "load_weights": "archdsl.backends.torch.loading",
    "network_of": "archdsl.backends.torch",
    "predict": "archdsl.inference.predict",
    "from_pretrained": "archdsl.hub",
    "push_to_hub": "archdsl.hub",
    "save_pretrained": "archdsl.hub",
    "verify_onnx": "archdsl.backends.torch.export",
    # What `%load_ext archdsl` asks for.
    "load_ipython_extension": "archdsl.notebook.magic",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: a cold start pays for what it needs only."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'archdsl' has no attribute {name!r}")
    from archdsl.diagnostics.extras import needed_for

    with needed_for(f"archdsl.{name}"):
        return getattr(import_module(_HOMES[name]), name)
