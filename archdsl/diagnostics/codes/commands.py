"""E70x and E71x: what commands report: missing packages, files to write, ONNX, `--set`."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class MissingPackage(Problem):
    """Something needs a package that is not installed."""

    code = "E701"
    text = '{purpose} needs the package {package}: pip install "archdsl[{extra}]"'
    explanation = """
The checker, the table and the formatter work with the front end alone. Building and training need the
extra `torch`, the ONNX export needs the extra `onnx`; `pip install "archdsl[all]"` brings both.
"""

    purpose: str
    package: str
    extra: str


class MissingWeight(Problem):
    """The weights lack an entry that the model has."""

    code = "E702"
    text = "the weights have no {key} ({expected})"
    explanation = """
Weights fit a model when their keys are the state_dict's keys of that model. Usually they belong to another
model of the spec, or to the same one with other settings: give the `--model` and `--set` of the training run.
"""

    key: str
    expected: str


class WrongWeightShape(Problem):
    """An entry of the weights has other sizes than the model's."""

    code = "E703"
    text = "the weights have {key} as {found}, but the model has {expected}"
    explanation = """
The weights come from a model with other sizes: another number of classes, another width, another input.
Give the `--set` and `--input` of the training run.
"""

    key: str
    found: str
    expected: str


class UnexpectedWeight(Problem):
    """The weights have an entry that the model has not."""

    code = "E704"
    text = "the weights have {key} ({found}), but the model has no such entry"
    explanation = """
Weights fit a model when their keys are the state_dict's keys of that model. Usually they belong to another
model of the spec, or to the same one with other settings: give the `--model` and `--set` of the training run.
"""

    key: str
    found: str


class WrongOpset(Problem):
    """The opset asked for is outside the range that can be written."""

    code = "E705"
    text = "opset {opset} cannot be written; {first} to {last} can"
    explanation = """
An opset is a version of ONNX's set of operators. A file says which one it uses, and a runtime reads those
up to its own version. 20 suits current runtimes.
"""

    opset: int
    first: int
    last: int


class OperatorNotInOpset(Problem):
    """A layer needs an operator that the chosen opset does not have yet."""

    code = "E706"
    text = "the operator {op} is in ONNX since opset {since}, but the export is for opset {opset}"
    explanation = """
Older opsets lack some operators, and not every layer can be put together from the older ones. Export with
a later opset, or use another layer.
"""

    op: str
    since: int
    opset: int


class ExportDiffers(Problem):
    """An ONNX file does not compute what the module computes."""

    code = "E707"
    text = (
        "{output} of the ONNX file differs from the module's by {difference:.3g} with {weights}; {allowed:.3g} is "
        "allowed, as it varies by {range:.3g} between inputs"
    )
    explanation = """
The file is run in ONNX Runtime and compared with the module on random batches, with the module's own weights and
with random ones in both. The allowed difference of an output is the tolerance times how much it varies between
inputs, or times 2 % of its largest value where that is more. Very deep networks can come near it by rounding
alone: give a larger tolerance. Anything far above it is an error in the file. An export leaves no file then.
"""

    output: str
    difference: float
    weights: str
    allowed: float
    range: float


class CannotWrite(Problem):
    """A file cannot be written where it was asked for."""

    code = "E708"
    text = "cannot write {path}: {reason}"
    explanation = """
The folder must exist and be writable, and the path must not be a folder's own. An older file of that name is
replaced only when the new one is complete.
"""

    path: str
    reason: str


class OnnxRejected(Problem):
    """ONNX's checker or runtime does not take the file."""

    code = "E709"
    text = "{tool} rejects the ONNX file: {reason}"
    explanation = """
Every file is checked with onnx.checker and full shape inference, and loaded in ONNX Runtime, before it is
kept. When the checker rejects it, that is a defect of the layer's ONNX form; the runtime may also lack a kernel
for an operator: try another opset. A file from elsewhere may be damaged, or lack the data beside it.
"""

    tool: str
    reason: str


class WrongNormalisation(Problem):
    """The mean and standard deviation to include do not suit the input."""

    code = "E710"
    text = "normalize: {reason}"
    explanation = """
The mean and the standard deviation have one number for each channel of the input, and no deviation is 0:
the file then starts with (x - mean) / std.
"""

    reason: str


class NotBuiltFromSpec(Problem):
    """The module given was not built from a spec."""

    code = "E711"
    text = "the module ({cls}) was not built from a spec, so that its graph is unknown"
    explanation = """
The ONNX file is written from the checked graph that a module made by `build()` carries. Another module can be
exported with `torch.onnx.export`, or written as a spec first.
"""

    cls: str


class WrongOutputShape(Problem):
    """An output of an ONNX file has another shape than the checker's."""

    code = "E712"
    text = "{output} is {found} in the ONNX file, but {expected} by the checker"
    explanation = """
ONNX infers the shape of every value anew from the file, and its runs show those of the outputs. Where an export
ends so, that is a defect of the layer's ONNX form; a file from elsewhere is of another network.
"""

    output: str
    found: str
    expected: str


class WeightsDiffer(Problem):
    """An ONNX file holds other weights than the module."""

    code = "E713"
    text = (
        "{name} of the ONNX file has other values than the module's: {count:,} of {size:,}, by up to {difference:.3g}"
    )
    explanation = """
A file that archdsl wrote names its weights as the module does, so that they can be compared bit for bit. Here
the file was written with other weights, changed afterwards, or exported with another normalisation: give the
weights and the `--normalize` that it was exported with. A batch norm that was folded is compared folded.
"""

    name: str
    count: int
    size: int
    difference: float


class NothingCompared(Problem):
    """The comparison with an ONNX file could not have shown a difference."""

    code = "E714"
    text = "the comparison with the ONNX file shows nothing: {reason}"
    explanation = """
A comparison on random inputs says something only where the outputs differ between inputs. With fresh weights a
deep network may answer the same whatever it sees: give trained weights with `--weights`. Files that archdsl wrote
are compared with random weights as well; of others the weights are not known by name.
"""

    reason: str


class OtherInterface(Problem):
    """An ONNX file has other inputs or outputs than the network."""

    code = "E715"
    text = "the {which} of the ONNX file are {found}; the network has {expected}"
    explanation = """
Inputs and outputs go by their positions, whatever their names: one float32 input with a batch axis before the
network's input shape, then the network's output and its named outputs in the order of the spec.
"""

    which: str
    found: str
    expected: str


class UnknownSetting(Problem):
    """`--set` names neither a parameter of the model nor an entry of the recipe."""

    code = "E716"
    text = "`{name}` is neither a parameter of model `{model}` nor an entry of a recipe"
    explanation = """
`--set KEY=VALUE` sets the model's parameter of that name. Where the model has none, it sets the entry of the recipe:
`--set epochs=5`, `--set optimizer.lr=0.01`. `model.KEY` and `train.KEY` say which of the two is meant; the model's
parameters stand in the first line of `archdsl summary`, the entries in docs/training.md.
"""

    name: str
    model: str


class RecipeUnused(Problem):
    """An entry of the recipe is set for a command that does not use it."""

    code = "E717"
    text = "`{name}` is an entry of the recipe that this command does not use"
    explanation = """
`train` uses the whole recipe, `eval` what is about the data, the loss and the device. The other commands use no recipe:
they take the model's parameters with `--set`.
"""

    name: str
