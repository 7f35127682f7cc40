"""E6xx: training. Up to E609 from the recipe's text alone; then data (E61x, E62x) and run folders (E63x)."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem

_MODEL = "model m { input(1x8x8); flatten; linear(10) }\n"


class UnknownEntry(Problem):
    """The train block has an entry that no recipe has."""

    code = "E601"
    text = "a recipe has no entry `{name}`"
    explanation = """
The entries of a `train { }` block, and what `--set key=value` may name, are those of docs/training.md. An
argument of an entry is reached with a dot: `--set optimizer.lr=0.1`.
"""
    wrong = _MODEL + "train { epoch = 5 }"
    right = _MODEL + "train { epochs = 5 }"

    name: str


class WrongType(Problem):
    """A value of another type than the entry or argument takes."""

    code = "E602"
    text = "`{name}` takes {expected}, not {found}"
    explanation = """
Nothing is converted: `batch = "64"` and `batch = 64.0` are no integers. An integer does where a number is
taken, and a pair of sizes may be written 32x32 or as the single number 32.
"""
    wrong = _MODEL + 'train { batch = "64" }'
    right = _MODEL + "train { batch = 64 }"

    name: str
    expected: str
    found: str


class OutOfRange(Problem):
    """A value of the right type that makes no sense for the entry or argument."""

    code = "E603"
    text = "`{name}` must be {rule}, not {found}"
    explanation = """
The range is part of the entry's meaning: a learning rate is above 0, a probability or share lies between 0
and 1, a count is at least 1.
"""
    wrong = _MODEL + "train { optimizer = sgd(lr=-0.1) }"
    right = _MODEL + "train { optimizer = sgd(lr=0.1) }"

    name: str
    rule: str
    found: str


class UnknownChoice(Problem):
    """An optimizer, schedule, loss, data set or augmentation of that name is not known."""

    code = "E604"
    text = "there is no {family} `{name}`; there are {choices}"
    explanation = """
The names are those of PyTorch in small letters (`sgd`, `adamw`, `cross_entropy`); docs/training.md lists all
with their arguments.
"""
    wrong = _MODEL + "train { optimizer = sdg(lr=0.1) }"
    right = _MODEL + "train { optimizer = sgd(lr=0.1) }"

    family: str
    name: str
    choices: str


class UnknownArgument(Problem):
    """A construct is given an argument that it does not have."""

    code = "E605"
    text = "{construct} has no argument `{name}`; it takes {takes}"
    explanation = """
Optimizers take the arguments of their `torch.optim` twins, under the same names, with the same defaults.
"""
    wrong = _MODEL + "train { optimizer = sgd(lr=0.1, betas=(0.9, 0.99)) }"
    right = _MODEL + "train { optimizer = sgd(lr=0.1, momentum=0.9) }"

    construct: str
    name: str
    takes: str


class MissingArgument(Problem):
    """A construct lacks an argument that has no default."""

    code = "E606"
    text = "{construct} needs `{name}`"
    explanation = """
An argument without a default has to be given, by position or by name.
"""
    wrong = _MODEL + "train { schedule = step(gamma=0.5) }"
    right = _MODEL + "train { schedule = step(every=10, gamma=0.5) }"

    construct: str
    name: str


class ArgumentTwice(Problem):
    """An argument is given by position and again by name."""

    code = "E607"
    text = "{construct} is given `{name}` twice"
    explanation = """
Arguments by position fill the names in their order; a name that is filled so cannot be given once more.
"""
    wrong = _MODEL + "train { optimizer = sgd(0.1, lr=0.2) }"
    right = _MODEL + "train { optimizer = sgd(0.1, momentum=0.9) }"

    construct: str
    name: str


class TooManyArguments(Problem):
    """A construct is given more arguments by position than it has."""

    code = "E608"
    text = "{construct} takes at most {most} by position, not {given}"
    explanation = """
Arguments by position fill the names in their order, and there are no more names than these.
"""
    wrong = _MODEL + "train { loss = huber(0.5, 0.1) }"
    right = _MODEL + "train { loss = huber(0.5) }"

    construct: str
    most: str
    given: int


class DataNotFound(Problem):
    """The files of a data set are not where they were looked for."""

    code = "E611"
    text = "{dataset}: {reason}"
    explanation = """
A root that was given is taken as it is: nothing is downloaded into it. Without a root the usual places are
searched and the set is downloaded to ~/.cache/archdsl/data. `--dataset digits` needs no files at all.
"""

    dataset: str
    reason: str


class NoDownload(Problem):
    """A data set could not be downloaded."""

    code = "E612"
    text = "{dataset} could not be downloaded: {reason}"
    explanation = """
Without a root the set is downloaded from where torchvision knows it. Where that is not possible, put the
files into a folder and name it with `--root`, or train on the embedded set with `--dataset digits`.
"""

    dataset: str
    reason: str


class DamagedData(Problem):
    """A file of a data set is not what it should be."""

    code = "E613"
    text = "{file}: {reason}"
    explanation = """
The file is cut off, compressed twice, or something else under that name. Fetch it again.
"""

    file: str
    reason: str


class NoClassFolders(Problem):
    """A folder of pictures has no folder for each class."""

    code = "E614"
    text = "{folder} has no folders of pictures"
    explanation = """
imagefolder reads one folder for each class, named like the class, with its pictures in it or below it:
either ROOT/train/CLASS and ROOT/val/CLASS (ROOT/test/CLASS), or ROOT/CLASS alone, of which a share is then
held back for validation.
"""

    folder: str


class EmptyClassFolder(Problem):
    """A class folder holds no picture."""

    code = "E615"
    text = "{folder} holds no picture of a known kind ({kinds})"
    explanation = """
A class without a single picture is a mistake in the folder's place or in the files' names. Remove the folder
or fill it.
"""

    folder: str
    kinds: str


class OtherClasses(Problem):
    """The training and validation folders do not have the same classes."""

    code = "E616"
    text = "{folder} and {training} differ in their classes: {difference}"
    explanation = """
Classes are numbered by the sorted names of the training folders; every other folder must have no class that
is missing there.
"""

    folder: str
    training: str
    difference: str


class DamagedPicture(Problem):
    """A picture cannot be decoded."""

    code = "E617"
    text = "{file} cannot be read as a picture: {reason}"
    explanation = """
The file is cut off or no picture. Remove or replace it.
"""

    file: str
    reason: str


class InputDoesNotFit(Problem):
    """The network's input cannot be made from the data set's pictures."""

    code = "E618"
    text = "the network takes {input}, but {dataset} has {sample}: {reason}"
    explanation = """
Pictures are brought to the network's height and width (by zero padding where a few cells are missing, by
resampling otherwise), grey ones are repeated for three channels, and an input that is a vector takes the
flattened picture. Other differences are rejected: an input with two channels, a sequence, a colour picture
for a network that takes grey ones.
"""
    wrong = _MODEL + "train { dataset = cifar10 }"
    right = _MODEL + "train { dataset = mnist }"

    input: str
    dataset: str
    sample: str
    reason: str


class TooManyClasses(Problem):
    """The data set has more classes than the network has outputs."""

    code = "E619"
    text = "{dataset} has {classes} classes, but the network has {outputs} outputs"
    explanation = """
A classifier gives one score for each class. More outputs than classes are allowed, fewer are not.
"""
    wrong = "model m { input(1x8x8); flatten; linear(5) }\ntrain { dataset = digits }"
    right = _MODEL + "train { dataset = digits }"

    dataset: str
    classes: int
    outputs: int


class NoClassScores(Problem):
    """The network's output is not one score for each class."""

    code = "E620"
    text = "the network's output {output} is not a vector of class scores"
    explanation = """
The losses compare one score for each class: the output must be a vector, or a picture of a single cell.
"""
    wrong = "model m { input(1x8x8); conv(10, 3) }\ntrain { dataset = digits }"
    right = _MODEL + "train { dataset = digits }"

    output: str


class AugmentDoesNotFit(Problem):
    """An augmentation does not lead to the network's input."""

    code = "E621"
    text = "{augmentation}: {reason}"
    explanation = """
Crops are taken from pictures of the network's size (a folder's pictures are kept a little larger for a random
resized crop), and what they leave must be of the network's size again.
"""
    wrong = _MODEL + "train { augment = [random_crop(7)] }"
    right = _MODEL + "train { augment = [random_crop(8, padding=1)] }"

    augmentation: str
    reason: str


class TooFewSamples(Problem):
    """There is not enough data for the split asked for."""

    code = "E622"
    text = "{dataset}: {reason}"
    explanation = """
A share is held back class by class; the training set and the part that is held back must both keep at least
one sample.
"""

    dataset: str
    reason: str


class UnknownDataSet(Problem):
    """A data set of another library is not known there."""

    code = "E623"
    text = "{family} has no data set `{name}`; known: {known}"
    explanation = """
`torchvision("NAME")` takes the names of the classes in torchvision.datasets. `external("NAME")` takes what
installed projects offer under the entry points `archdsl.datasets`.
"""

    family: str
    name: str
    known: str


class UnknownClass(Problem):
    """A class is chosen that the data set does not have."""

    code = "E624"
    text = "{dataset} has no class `{name}`; there are {known}"
    explanation = """
`classes = [...]` in a recipe takes those of a larger set, by their names there, and numbers them in its order.
"""

    dataset: str
    name: str
    known: str


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
