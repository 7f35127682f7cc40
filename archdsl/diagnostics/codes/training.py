"""E63x and E64x: training: run folders, devices, losses, processes."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem

_MODEL = "model m { input(1x8x8); flatten; linear(10) }\n"


class RunFolderInUse(Problem):
    """A run folder that is not empty.

    A run never overwrites another. Choose another folder, or continue the run with `--resume`.
    """

    code = "E631"
    text = "{folder} is not empty"
    folder: str


class NothingToResume(Problem):
    """A folder without a run to resume.

    A run saves a checkpoint after each epoch and when it is interrupted. A folder without one does not belong to a run,
    or the run ended during its first epoch.
    """

    code = "E632"
    text = "{folder} is not a run: {missing} is missing"
    folder: str
    missing: str


class DamagedRun(Problem):
    """A file of a run that cannot be read.

    The file is damaged, or was written by a newer version of archdsl.
    """

    code = "E633"
    text = "cannot use {file}: {reason}"
    file: str
    reason: str


class OtherRun(Problem):
    """A run that cannot be resumed with other settings.

    A resumed run continues exactly as it would have without the interruption. Only its length (epochs, steps,
    max_steps, patience), where it runs (root, device, workers) and what it writes (keep, checkpoint_every, tensorboard)
    may change. Start a new run for other changes.
    """

    code = "E634"
    text = "cannot resume {folder} with {what} = {now}: it was started with {before}"
    folder: str
    what: str
    now: str
    before: str


class NotFinite(Problem):
    """A loss that became NaN or infinite.

    The learning rate is probably too high: divide it by ten, increase it gradually with `warmup`, or limit the
    gradients with `clip_norm`. If that does not help, look at the samples: failed_batch.json in the run folder lists
    them. The checkpoint of the last good epoch is kept.
    """

    code = "E635"
    text = "the loss became {loss} at step {step} of epoch {epoch}, on the training samples {samples}"
    loss: str
    epoch: int
    step: int
    samples: str


class NoDevice(Problem):
    """A device that is not available.

    `device = "auto"` uses a GPU if there is one, otherwise the CPU.
    """

    code = "E636"
    text = "there is no device {device}: {reason}"
    device: str
    reason: str


class NothingToTrain(Problem):
    """A network without trainable weights.

    Training changes the weights of layers such as conv, linear and batchnorm, unless they are frozen. This network has
    no such weights.
    """

    code = "E637"
    text = "the network has no weights to train"


class UnknownLabel(Problem):
    """A label that the network does not have.

    `freeze` and `rates` take the labels in `archdsl summary`: `features` is everything under that label, `layer4.1` the
    second block of layer4. In a dictionary, write labels with a dot in quotes: rates = {features: 0.1, "layer4.1":
    0.5}.
    """

    code = "E640"
    text = "`{entry}`: the network has no part labelled `{label}`"
    wrong = _MODEL + "train { rates = {head: 0.1} }"
    right = _MODEL + 'train { rates = {"1": 0.1} }'
    entry: str
    label: str


class LossDoesNotFit(Problem):
    """A loss that does not fit the output or the targets.

    cross_entropy and nll compare one score per class with a class. mse, l1, huber, smooth_l1 and bce compare the
    elements of the output with those of the target, so both must have the same shape. pairwise_distance takes any
    output, and classes as targets.
    """

    code = "E641"
    text = "{loss}: {reason}"
    wrong = _MODEL + "train { loss = cross_entropy(weight=[1, 2]) }"
    right = _MODEL + "train { loss = cross_entropy(weight=[1, 1, 1, 1, 1, 1, 1, 1, 1, 2]) }"
    loss: str
    reason: str


class NoSuchFigure(Problem):
    """A metric that does not fit the run.

    accuracy, top5 and f1 are metrics of classification: the targets must be classes, and the loss must compare class
    scores. `loss` can always be monitored.
    """

    code = "E642"
    text = "`{entry}`: {figure} cannot be measured: {reason}"
    wrong = _MODEL + "train { loss = pairwise_distance; metrics = [accuracy] }"
    right = _MODEL + "train { loss = cross_entropy; metrics = [accuracy] }"
    entry: str
    figure: str
    reason: str


class OutOfMemory(Problem):
    """A device without enough memory.

    The memory of a step grows with the number of samples per forward pass. `accumulate = 2` computes each batch in two
    parts and takes the same step; a smaller `batch` takes smaller steps; `precision = bf16` halves the memory of the
    activations.
    """

    code = "E643"
    text = "{device} ran out of memory with {samples} samples at a time"
    device: str
    samples: int


class WeightsDoNotFit(Problem):
    """Initial weights of another network.

    `weights` may come from a network with another head: entries that are missing or have another shape keep their
    initial values, and the run lists them. If less than half of the entries fit, the weights belong to another network.
    """

    code = "E644"
    text = "{weights}: only {fitting} of the network's {entries} entries fit"
    weights: str
    fitting: int
    entries: int


class ProcessLost(Problem):
    """A process that was lost in distributed training.

    In every step the processes wait for each other. When one is killed, runs out of memory or loses its machine, the
    others stop too. The output of that process, or the launcher's report, tells the cause. Every checkpoint is complete
    and can be resumed with any number of processes. `checkpoint_every = "10min"` limits how much work is lost.
    """

    code = "E645"
    text = "process {rank} of {world}: another process of the run has ended or cannot be reached"
    rank: int
    world: int


class NotTogether(Problem):
    """A recipe entry that distributed training does not support.

    `torchrun` and `accelerate launch` start several processes: with DDP each of them holds the whole network, with FSDP
    a part. Synchronised batch norm needs GPUs. FSDP needs GPUs and version 2, and does not support moving averages,
    clipping by value and `fp16`.
    """

    code = "E646"
    text = "`{entry}` does not work with these processes: {reason}"
    entry: str
    reason: str


class RepeatedRecipe(Problem):
    """Two recipes for one model.

    A model uses the `train` block that names it, otherwise the one `train { }` block without names.
    """

    code = "E647"
    text = "there are two recipes for {models}"
    wrong = _MODEL + "train { epochs = 5 }\ntrain { batch = 32 }"
    right = _MODEL + "train { epochs = 5; batch = 32 }"
    models: str
