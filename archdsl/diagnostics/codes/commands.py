"""E70x and E71x: missing packages, output files, ONNX, `--set`."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class MissingPackage(Problem):
    """A package that is not installed.

    Checking, `summary` and `fmt` need no further packages. Building and training need the extra `torch`, ONNX export
    needs the extra `onnx`. `pip install "archdsl[all]"` installs both.
    """

    code = "E701"
    text = '{purpose} needs the package {package}: pip install "archdsl[{extra}]"'
    purpose: str
    package: str
    extra: str


class MissingWeight(Problem):
    """An entry that is missing in the weights.

    The keys of the weights must be the keys of the model's state_dict. The weights probably belong to another model of
    the spec, or to the same model with other settings: pass the `--model` and `--set` options of the training run.
    """

    code = "E702"
    text = "the weights have no entry {key} ({expected})"
    key: str
    expected: str


class WrongWeightShape(Problem):
    """An entry of the weights with a wrong shape.

    The weights belong to a model with other sizes: another number of classes, width or input size. Pass the `--set` and
    `--input` options of the training run.
    """

    code = "E703"
    text = "the entry {key} of the weights is {found}, but the model expects {expected}"
    key: str
    found: str
    expected: str


class UnexpectedWeight(Problem):
    """An entry of the weights that the model does not have.

    The keys of the weights must be the keys of the model's state_dict. The weights probably belong to another model of
    the spec, or to the same model with other settings: pass the `--model` and `--set` options of the training run.
    """

    code = "E704"
    text = "the weights have an unexpected entry {key} ({found})"
    key: str
    found: str


class WrongOpset(Problem):
    """An unsupported opset.

    An opset is a version of the ONNX operators. A file declares its opset, and a runtime reads opsets up to its own
    version. 20 works with current runtimes.
    """

    code = "E705"
    text = "opset {opset} is not supported; expected {first} to {last}"
    opset: int
    first: int
    last: int


class OperatorNotInOpset(Problem):
    """An operator that is newer than the opset.

    Older opsets lack some operators, and not every layer can be built from older ones. Export with a later opset, or
    use another layer.
    """

    code = "E706"
    text = "the operator {op} requires opset {since}, but the export uses opset {opset}"
    op: str
    since: int
    opset: int


class ExportDiffers(Problem):
    """An ONNX file that computes something else than the module.

    The ONNX file is run in ONNX Runtime and compared with the module on random inputs, with the module's own weights
    and with random weights. The allowed difference of an output is the tolerance times how much it varies between
    inputs, or times 2 % of its largest value if that is more. A difference that the module's own rounding in float32
    explains is allowed too. A larger one is an error in the file; `--tolerance` changes the limit. A failed export
    leaves no file.
    """

    code = "E707"
    text = (
        "{output} of the ONNX file differs from the module's by {difference:.3g} with {weights}; {allowed:.3g} is "
        "allowed, as it varies by {range:.3g} between inputs"
    )
    output: str
    difference: float
    weights: str
    allowed: float
    range: float


class CannotWrite(Problem):
    """A file that cannot be written.

    The folder must exist and be writable, and the path must not be a folder. An existing file is replaced only after
    the new one has been written completely.
    """

    code = "E708"
    text = "cannot write {path}: {reason}"
    path: str
    reason: str


class OnnxRejected(Problem):
    """An ONNX file that a tool rejects.

    Every exported file is checked with onnx.checker and full shape inference and loaded in ONNX Runtime before it is
    kept. An error of the checker is a bug in the layer's export. The runtime may lack a kernel for an operator: try
    another opset. A file from another program may be damaged, or its external data may be missing.
    """

    code = "E709"
    text = "{tool} rejects the ONNX file: {reason}"
    tool: str
    reason: str


class WrongNormalisation(Problem):
    """A normalisation that does not fit the input.

    The mean and the standard deviation need one number per channel, and no standard deviation may be 0. The exported
    network then begins with (x - mean) / std.
    """

    code = "E710"
    text = "normalize: {reason}"
    reason: str


class NotBuiltFromSpec(Problem):
    """A module that was not built from a spec.

    The export uses the checked graph that belongs to a module made by `build()`. Use `torch.onnx.export` for other
    modules, or write them as a spec.
    """

    code = "E711"
    text = "the module ({cls}) was not built from a spec, so its graph is unknown"
    cls: str


class WrongOutputShape(Problem):
    """An output of an ONNX file with a wrong shape.

    The shapes are inferred by ONNX or measured in ONNX Runtime. After an export this is a bug in a layer's ONNX form. A
    file from another program belongs to another network.
    """

    code = "E712"
    text = "{output} is {found} in the ONNX file, expected {expected}"
    output: str
    found: str
    expected: str


class WeightsDiffer(Problem):
    """An ONNX file with other weights than the module.

    Files written by archdsl name their weights like the module, so they are compared bit by bit. This file was exported
    with other weights or another normalisation, or was changed: pass the weights and the `--normalize` option of the
    export. A folded batch norm is compared in its folded form.
    """

    code = "E713"
    text = (
        "{name} of the ONNX file has other values than the module's: {count:,} of {size:,}, by up to {difference:.3g}"
    )
    name: str
    count: int
    size: int
    difference: float


class NothingCompared(Problem):
    """A comparison without a result.

    A comparison on random inputs requires outputs that differ between inputs. The outputs of a deep network with
    initial weights may be constant: pass trained weights with `--weights`. Files written by archdsl are also compared
    with random weights, which is not possible for other files.
    """

    code = "E714"
    text = "cannot compare the ONNX file: {reason}"
    reason: str


class OtherInterface(Problem):
    """An ONNX file with other inputs or outputs than the network.

    Inputs and outputs are matched by position: one float32 input with a batch axis followed by the network's input
    shape, then the network's output and its named outputs in the order of the spec.
    """

    code = "E715"
    text = "the {which} of the ONNX file are {found}, expected {expected}"
    which: str
    found: str
    expected: str


class UnknownSetting(Problem):
    """An unknown key for --set.

    `--set KEY=VALUE` sets the model parameter of that name or, if there is none, the recipe entry: `--set epochs=5`,
    `--set optimizer.lr=0.01`. The prefixes `model.` and `train.` select one of the two. The first line of `archdsl
    summary` shows the parameters; docs/training.md lists the entries.
    """

    code = "E716"
    text = "`{name}` is neither a parameter of model `{model}` nor a recipe entry"
    name: str
    model: str


class RecipeUnused(Problem):
    """A recipe entry that the command does not use.

    `train` uses the whole recipe, `eval` the entries for the data, the loss and the device. Other commands only use the
    model's parameters with `--set`.
    """

    code = "E717"
    text = "`{name}` is a recipe entry that this command does not use"
    name: str
