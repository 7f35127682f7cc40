"""E72x: files of weights that cannot be read. Those that do not fit the model are in `runtime`."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NoWeights(Problem):
    """There are no weights at the path."""

    code = "E720"
    text = "cannot read the weights {path}: {reason}"
    explanation = """
Weights are a `.safetensors` file, a PyTorch file (`.pt`, `.pth`) that holds a state_dict, or the folder of a
training run, which has them in `weights.safetensors`.
"""

    path: str
    reason: str


class NotWeights(Problem):
    """The file is not what its name says, or holds more than tensors."""

    code = "E721"
    text = "{path} holds no weights: {reason}"
    explanation = """
A `.safetensors` file has to be complete. A PyTorch file has to hold a state_dict: a dictionary of tensors,
possibly under the key `state_dict` or `model`. Files with other objects in them are never unpickled, because
unpickling runs code: save `module.state_dict()` rather than the module itself.
"""

    path: str
    reason: str


class NoTwin(Problem):
    """Torchvision's weights are asked for, for a network that torchvision has not."""

    code = "E722"
    text = "torchvision publishes no weights for {model}: {reason}"
    explanation = """
`torchvision:NAME` is for the networks of the zoo that torchvision has too; `archdsl zoo NAME` says what it calls
them there. For a model of one's own that has the structure of one of them, the form `torchvision:TWIN/NAME` says
which: `torchvision:resnet50/IMAGENET1K_V2`.
"""

    model: str
    reason: str


class UnknownTwin(Problem):
    """Torchvision has no network of that name."""

    code = "E723"
    text = "torchvision has no network `{twin}` with weights"
    explanation = """
In `torchvision:TWIN/NAME` the first name is that of a builder in `torchvision.models`, such as `resnet50`, or of
one below it that is known there by a plain name: `fcn_resnet50`, `r3d_18`.
"""

    twin: str


class UnknownPublished(Problem):
    """Torchvision has no weights of that name for the network."""

    code = "E724"
    text = "torchvision has no weights `{name}` for {twin}; there are {names}"
    explanation = """
Published weights are members of an enumeration in torchvision, one for each network. `DEFAULT` stands for the
best of them. A newer torchvision may have more.
"""

    name: str
    twin: str
    names: str


class NoDownload(Problem):
    """Published weights are not at hand and could not be downloaded."""

    code = "E725"
    text = "the weights {name} could not be downloaded: {reason}"
    explanation = """
Torchvision downloads weights once, compares the file with the checksum in its name and keeps it in a folder of
its own (`torch.hub.get_dir()`, which the variable TORCH_HOME moves). Without a network, put a copy of the file
there under the same name, or give its path: `--weights FILE`.
"""

    name: str
    reason: str


class WeightsWarning(UserWarning):
    """Something to know about weights that were loaded, such as a layer that was left fresh."""
