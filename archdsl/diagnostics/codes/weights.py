"""E72x: weights files and published weights. Weights that do not fit the model are E702 to E704."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NoWeights(Problem):
    """Weights that cannot be read.

    Weights are a `.safetensors` file, a PyTorch file (`.pt`, `.pth`) with a state_dict, or a run folder, which contains
    `weights.safetensors`.
    """

    code = "E720"
    text = "cannot read the weights {path}: {reason}"
    path: str
    reason: str


class NotWeights(Problem):
    """A file that does not contain weights.

    A `.safetensors` file must be complete. A PyTorch file must contain a state_dict: a dictionary of tensors,
    optionally under the key `state_dict` or `model`. Files with other objects are not unpickled, because unpickling
    runs code: save `module.state_dict()` instead of the module.
    """

    code = "E721"
    text = "{path} does not contain weights: {reason}"
    path: str
    reason: str


class NoTwin(Problem):
    """A network without torchvision weights.

    `torchvision:NAME` works for networks of the zoo that are also in torchvision; `archdsl zoo NAME` shows their names
    there. For your own model with the same structure as one of them, use `torchvision:MODEL/NAME`, for example
    `torchvision:resnet50/IMAGENET1K_V2`.
    """

    code = "E722"
    text = "torchvision publishes no weights for {model}: {reason}"
    model: str
    reason: str


class UnknownTwin(Problem):
    """An unknown torchvision model.

    The first name in `torchvision:MODEL/NAME` is a function in `torchvision.models` such as `resnet50`, or in one of
    its submodules: `fcn_resnet50`, `r3d_18`.
    """

    code = "E723"
    text = "torchvision has no weights for a model `{twin}`"
    twin: str


class UnknownPublished(Problem):
    """Unknown torchvision weights.

    The weights are those of torchvision's `..._Weights` enumerations. `DEFAULT` selects the best ones. A newer version
    of torchvision may have more.
    """

    code = "E724"
    text = "torchvision has no weights `{name}` for {twin}; expected one of {names}"
    name: str
    twin: str
    names: str


class NoDownload(Problem):
    """Weights that could not be downloaded.

    Torchvision downloads weights once, verifies their checksum, and stores them in `torch.hub.get_dir()` (set
    TORCH_HOME to move it). Without a network connection, copy the file to that folder under the same name, or pass its
    path with `--weights FILE`.
    """

    code = "E725"
    text = "the weights {name} could not be downloaded: {reason}"
    name: str
    reason: str


class WeightsWarning(UserWarning):
    """A note about loaded weights, for example that a layer keeps its initial values."""
