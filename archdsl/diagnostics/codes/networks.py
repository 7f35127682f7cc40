"""E79x: networks and runs on the command line."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NotInGit(Problem):
    """A revision that git cannot give.

    `REV:PATH` is a file as git has it: `HEAD~1:specs/lenet.arch`, `main:specs/lenet.arch`, `v1.0:./lenet.arch`. The
    path counts from the top of the repository, or with `./` from the current folder. Files that it imports are read
    at the same revision. The current folder must be in the repository.
    """

    code = "E790"
    text = "git has no {spec}: {reason}"
    spec: str
    reason: str


class WeightsNeeded(Problem):
    """A network without weights, where the command needs trained ones.

    A run folder brings its weights: `archdsl eval runs/lenet`. A file of the zoo or of your own needs `--weights` with
    a run folder, a file, or for networks of torchvision `torchvision:DEFAULT`. `archdsl runs` lists the run folders.
    """

    code = "E791"
    text = "there are no weights for the network {model}"
    model: str


class WeightsOfOtherModel(Problem):
    """Weights of a run for another model.

    A run folder has the weights of one model, with its settings and input sizes. Leave out `--model` to use that one. A
    single file of a run, `--weights runs/NAME/weights.safetensors`, is loaded into any model with the same entries.
    """

    code = "E792"
    text = "the weights of {run} belong to the model {model}, not to {wanted}"
    run: str
    model: str
    wanted: str
