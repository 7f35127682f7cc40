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
