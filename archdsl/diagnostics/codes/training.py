"""E63x and E64x: run folders, devices, losses, and everything else that training reports."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem

_MODEL = "model m { input(1x8x8); flatten; linear(10) }\n"


class RunFolderInUse(Problem):
    """The folder for the run is not empty."""

    code = "E631"
    text = "{folder} is not empty"
    explanation = """
A run never writes over another. Name another folder, or continue the run in it with `--resume`.
"""

    folder: str


class NothingToResume(Problem):
    """The folder to resume holds no checkpoint."""

    code = "E632"
    text = "{folder} holds no run: {missing} is missing"
    explanation = """
A run writes its checkpoint at the end of each epoch and when it is interrupted. A folder without one is not a
run's, or the run ended before its first epoch did.
"""

    folder: str
    missing: str


class DamagedRun(Problem):
    """A file of a run cannot be read."""

    code = "E633"
    text = "{file} cannot be used: {reason}"
    explanation = """
The file is damaged, or a later version of the program wrote it.
"""

    file: str
    reason: str


class OtherRun(Problem):
    """What is to be resumed was started otherwise."""

    code = "E634"
    text = "{folder} cannot be continued with {what} = {now}: it was started with {before}"
    explanation = """
A resumed run goes on exactly as it would have without the break. Only its length (epochs, steps, max_steps,
patience), its place and means (root, device, workers) and what it writes (keep, checkpoint_every, tensorboard)
may be changed; for anything else start a new run.
"""

    folder: str
    what: str
    now: str
    before: str


class NotFinite(Problem):
    """The training loss became NaN or infinite."""

    code = "E635"
    text = "the loss became {loss} at step {step} of epoch {epoch}, on the training samples {samples}"
    explanation = """
Most often the learning rate is too high for the network: divide it by ten, let it rise slowly with `warmup`,
or bound the gradients with `clip_norm`. If a smaller rate does not help, look at the samples named: the run
folder's failed_batch.json has all of them. The checkpoint of the last good epoch is kept.
"""

    loss: str
    epoch: int
    step: int
    samples: str


class NoDevice(Problem):
    """The device asked for is not there."""

    code = "E636"
    text = "there is no device {device}: {reason}"
    explanation = """
`device = "auto"` takes a GPU where there is one, else the CPU.
"""

    device: str
    reason: str


class NothingToTrain(Problem):
    """The network has no weight that training could change."""

    code = "E637"
    text = "the network has no weights to train"
    explanation = """
Training changes the weights of layers such as conv, linear and batchnorm that are not frozen. This network has
none.
"""


class UnknownLabel(Problem):
    """`freeze` or `rates` names a layer that the network does not have."""

    code = "E640"
    text = "`{entry}`: the network has nothing labelled `{label}`"
    explanation = """
Labels are those of `archdsl summary`: `features` is everything under that label, `layer4.1` the second block of
layer4. In a dictionary a label with a dot stands in quotes: rates = {features: 0.1, "layer4.1": 0.5}.
"""
    wrong = _MODEL + "train { rates = {head: 0.1} }"
    right = _MODEL + 'train { rates = {"1": 0.1} }'

    entry: str
    label: str


class LossDoesNotFit(Problem):
    """The loss cannot compare the network's output with the data set's targets."""

    code = "E641"
    text = "{loss}: {reason}"
    explanation = """
cross_entropy and nll compare one score for each class with the class; mse, l1, huber, smooth_l1 and bce compare
numbers one by one, so that the output must be of the target's shape; pairwise_distance takes any output, and
classes that are numbers.
"""
    wrong = _MODEL + "train { loss = cross_entropy(weight=[1, 2]) }"
    right = _MODEL + "train { loss = cross_entropy(weight=[1, 1, 1, 1, 1, 1, 1, 1, 1, 2]) }"

    loss: str
    reason: str


class NoSuchFigure(Problem):
    """A figure is to be measured that this run does not have."""

    code = "E642"
    text = "`{entry}`: {figure} cannot be measured: {reason}"
    explanation = """
accuracy, top5 and f1 are figures of classes: the targets must be classes and the loss must tell them apart.
`loss` can always be monitored.
"""
    wrong = _MODEL + "train { loss = pairwise_distance; metrics = [accuracy] }"
    right = _MODEL + "train { loss = cross_entropy; metrics = [accuracy] }"

    entry: str
    figure: str
    reason: str


class OutOfMemory(Problem):
    """The device has not enough memory for a step."""

    code = "E643"
    text = "{device} ran out of memory with {samples} samples at a time"
    explanation = """
What a step needs grows with the samples that pass through the network at once. `accumulate = 2` sends each batch
through in two parts and then takes the same step; a smaller `batch` takes smaller steps; `precision = bf16`
halves what is kept of the layers' outputs.
"""

    device: str
    samples: int


class WeightsDoNotFit(Problem):
    """The weights to start from are those of another network."""

    code = "E644"
    text = "{weights}: only {fitting} of the network's {entries} entries fit"
    explanation = """
`weights` may come from a network with another head: entries that are missing or of another shape are left
fresh, and the run says which. Where less than half of them fit, it is another network.
"""

    weights: str
    fitting: int
    entries: int


class ProcessLost(Problem):
    """Another process of a run in several processes has ended, or cannot be reached."""

    code = "E645"
    text = "process {rank} of {world}: another process of the run has ended, or cannot be reached any more"
    explanation = """
Processes that train together wait for each other in every step: when one is killed, runs out of memory or loses
its machine, the others end too. What that process said, or the launcher's report of it, tells why. Every
checkpoint is whole; the newest serves any number of processes. `checkpoint_every = "10min"` bounds what is lost.
"""

    rank: int
    world: int


class NotTogether(Problem):
    """An entry of the recipe does not work in several processes, or not as they were launched."""

    code = "E646"
    text = "`{entry}` does not work with these processes: {reason}"
    explanation = """
Under `torchrun` and `accelerate launch` a run is shared by several processes: with DDP each has the whole network,
with FSDP a part of it. Synchronised batch norm needs GPUs; FSDP needs GPUs and its second version, and takes no
moving average, no bound on single gradients and no `fp16`.
"""

    entry: str
    reason: str


class RepeatedRecipe(Problem):
    """Two `train` blocks for the same models."""

    code = "E647"
    text = "there are two recipes for {models}"
    explanation = """
A model has one recipe: that of the `train` block that names it, else that of the `train { }` without names, of which
a file has one at most.
"""
    wrong = _MODEL + "train { epochs = 5 }\ntrain { batch = 32 }"
    right = _MODEL + "train { epochs = 5; batch = 32 }"

    models: str
