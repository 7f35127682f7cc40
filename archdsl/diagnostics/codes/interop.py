"""E87x: modules in other people's code."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class UnknownFeature(Problem):
    """A tensor that a network does not have, asked for by `archdsl.features`.

    `archdsl.features(module, ["layer2", "layer4"])` takes the names of parts and layers as `archdsl summary` prints
    them, and those of taps. Auxiliary heads, which run in training only, have no features.
    """

    code = "E870"
    text = "the network {model} has no part, layer or tap `{name}`"
    model: str
    name: str


class NoFeatures(Problem):
    """`archdsl.features` without a name, or with the same name for two tensors.

    Pass a list of names, or a dictionary from them to the names that the tensors are returned under:
    `archdsl.features(module, {"layer4": "out", "layer3": "aux"})`.
    """

    code = "E871"
    text = "no features to return: {reason}"
    reason: str


class ChangedModule(Problem):
    """A built module whose parts were replaced, so that the graph of its spec is no longer what it computes.

    `archdsl.features` makes a module from the graph and the layers of another. Layers may be replaced by others under
    the same name, but the blocks around them must be those that were built.
    """

    code = "E872"
    text = "the module was changed after it was built: {path} is no longer there"
    path: str


class NotPretrained(Problem):
    """A folder or repository from which `archdsl.from_pretrained` cannot load a network.

    It takes a folder that `archdsl.save_pretrained` wrote (`config.json` and `model.safetensors`), a run folder, or the
    name of a repository of the Hugging Face Hub, `user/name`.
    """

    code = "E873"
    text = "no network can be loaded from {source}: {reason}"
    source: str
    reason: str
