"""E2xx: names, labels and arguments."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class UnknownLayer(Problem):
    """An unknown layer or block.

    A statement starts with a layer type (`archdsl layers` lists them) or with a block that is defined in this file or
    imported.
    """

    code = "E201"
    text = "there is no layer or block `{name}`"
    wrong = "model m { input(3x8x8); convolution(8, 3) }"
    right = "model m { input(3x8x8); conv(8, 3) }"
    name: str


class UnknownName(Problem):
    """An undefined name.

    Defined names are: the parameters of the block or model, variables of enclosing `let` and `for` statements, taps
    (`-> name`) of earlier statements in the same block, and the properties of the current tensor: `channels`,
    `features`, `length`, `depth`, `height`, `width`, `shape`. A block does not see the names of its caller: pass them
    as arguments.
    """

    code = "E202"
    text = "`{name}` is not defined"
    wrong = "model m(n = 8) { input(3x8x8); conv(m, 3) }"
    right = "model m(n = 8) { input(3x8x8); conv(n, 3) }"
    name: str


class UnknownArgument(Problem):
    """An unknown argument.

    A layer takes the arguments of the PyTorch module, under the same names, without the input size (`archdsl layers
    LAYER` lists them), and `init`, `trainable` and `parametrization`. A block or model takes its declared parameters.
    An optimizer takes the arguments of torch.optim; docs/training.md lists those of all entries of `train { }`.
    """

    code = "E203"
    formerly = ("E605",)
    text = "{what} has no argument `{name}`"
    wrong = "model m { input(3x8x8); conv(8, 3, strides=2) }"
    right = "model m { input(3x8x8); conv(8, 3, stride=2) }"
    what: str
    name: str


class RepeatedArgument(Problem):
    """An argument that is given twice.

    Positional arguments fill the parameters from left to right. The argument is given both by position and by name, or
    twice by name.
    """

    code = "E204"
    formerly = ("E607",)
    text = "{what} is given `{name}` twice"
    wrong = "model m { input(3x8x8); conv(8, 3, kernel_size=5) }"
    right = "model m { input(3x8x8); conv(8, kernel_size=5) }"
    what: str
    name: str


class MissingArgument(Problem):
    """A missing argument.

    An argument without a default must be given, by position or by name.
    """

    code = "E205"
    formerly = ("E606",)
    text = "{what} requires {names}"
    wrong = "model m { input(3x8x8); conv(8) }"
    right = "model m { input(3x8x8); conv(8, 3) }"
    what: str
    names: str


class TooManyArguments(Problem):
    """Too many positional arguments.

    Input channels and input features are inferred and not written: `conv(64, 3)` has 64 output channels and a 3x3
    kernel.
    """

    code = "E206"
    formerly = ("E608",)
    text = "{what} takes at most {most} arguments by position, but got {given}"
    wrong = "model m { input(3x8x8); relu(64, 3) }"
    right = "model m { input(3x8x8); relu }"
    what: str
    most: int
    given: int

    def __str__(self) -> str:
        return super().__str__().replace(" 1 arguments", " 1 argument").replace("at most 0 arguments", "no arguments")


class BadArgument(Problem):
    """An argument with a wrong type or value.

    Types and ranges are those of PyTorch: `archdsl layers LAYER` and docs/training.md list them. Values are not
    converted: `batch = "64"` and `batch = 64.0` are not integers. An integer is accepted as a number. In `train { }` a
    pair of sizes is written 32x32 or as the single number 32.
    """

    code = "E207"
    formerly = ("E602", "E603")
    text = "`{name}` of {what} {expected}, found {found}"
    wrong = "model m { input(3x8x8); dropout(1.5) }"
    right = "model m { input(3x8x8); dropout(0.5) }"
    what: str
    name: str
    expected: str
    found: str


class DuplicateName(Problem):
    """A name that is defined twice.

    Blocks, models and values of a file and its imports must have different names, and so must the parts of a scope:
    labels become the keys of the state_dict. A part without a label is named by its position, which a number as a label
    can repeat. The keys of a dictionary must differ too.
    """

    code = "E208"
    text = "{what} `{name}` is already defined"
    wrong = "model m { input(3x8x8); a: conv(8, 3); a: conv(8, 3) }"
    right = "model m { input(3x8x8); a: conv(8, 3); b: conv(8, 3) }"
    what: str
    name: str


class BadLabel(Problem):
    """An invalid label.

    A label becomes the name of a submodule. It consists of letters, digits, `_` and `-`, and must not be an attribute
    of torch.nn.Module (`forward`, `train`, `type`, ...).
    """

    code = "E209"
    text = "`{name}` is not a valid label: {reason}"
    wrong = "model m { input(3x8x8); train: conv(8, 3) }"
    right = "model m { input(3x8x8); stem: conv(8, 3) }"
    name: str
    reason: str


class Misplaced(Problem):
    """A statement in the wrong place.

    `input` is the first statement of a model and appears once. `output` is allowed in a model but not in a block. `aux`
    and `output` need a tensor. A combinator needs at least one item.
    """

    code = "E210"
    text = "{what}"
    wrong = "model m { relu; input(3x8x8) }"
    right = "model m { input(3x8x8); relu }"
    what: str


class WrongReuse(Problem):
    """A part that cannot be reused.

    `reuse(label)` applies an earlier part of the same scope again, with the same weights. The shapes of the weights
    depend on the input channels, so the input must have as many channels as the first time; other sizes may differ. The
    part must not contain an output of the model (`aux`, `output`).
    """

    code = "E211"
    text = "`{name}` cannot be reused here: {reason}"
    wrong = "model m { input(3x8x8); a: conv(8, 3, padding=1); reuse(a) }"
    right = "model m { input(3x8x8); a: conv(3, 3, padding=1); reuse(a) }"
    name: str
    reason: str


class UnknownSetting(Problem):
    """An unknown setting.

    The settings of a body are `init`, the initialisation of the layers that follow, and `defaults`, the default
    arguments of its layers. Use `let` to define a variable.
    """

    code = "E212"
    text = "`{name}` is not a setting"
    wrong = "model m { input(3x8x8); hidden = 8; conv(hidden, 3) }"
    right = "model m { input(3x8x8); let hidden = 8; conv(hidden, 3) }"
    name: str


class NotALayer(Problem):
    """A value that is called like a layer.

    A parameter, variable or tap hides a layer type or block of the same name until the end of its body, so
    `dropout(dropout)` would call a number. Rename the value, for example to `rate`. `input`, `use`, `output` and
    `reuse` are always statements.
    """

    code = "E213"
    text = "`{name}` is {found} here, not a layer or block"
    wrong = "model m(dropout = 0.5) { input(64); dropout(dropout) }"
    right = "model m(rate = 0.5) { input(64); dropout(rate) }"
    name: str
    found: str


class WrongInitializer(Problem):
    """An initializer that does not fit the weight.

    The functions of torch.nn.init restrict the weights they can fill: `xavier_uniform`, `kaiming_normal` and
    `orthogonal` require two or more axes, `eye` and `sparse` exactly two, `dirac` a convolution kernel. Biases and the
    weights of norms have one axis. `init = kaiming_normal` in a body applies to all weights with two or more axes;
    `init = {conv: dirac}` applies to the weights of convolutions.
    """

    code = "E214"
    text = "`{initializer}` requires {need}"
    wrong = "model m { input(3x8x8); conv(8, 3, init=eye) }"
    right = "model m { input(3x8x8); conv(8, 3, init=dirac) }"
    initializer: str
    need: str


class ReservedName(Problem):
    """A block with a reserved name.

    `input`, `use`, `output` and `reuse` are statements, so a block with such a name could never be called. A block may
    have the name of a layer type, which it then replaces in the whole file.
    """

    code = "E215"
    text = "a block cannot be named `{name}`, which is a statement"
    wrong = "block use(n) { conv(n, 3) }\nmodel m { input(3x8x8); use(8) }"
    right = "block use_conv(n) { conv(n, 3) }\nmodel m { input(3x8x8); use_conv(8) }"
    name: str


class WrongInput(Problem):
    """An input that is declared wrongly.

    A model has one input without a name, `input(3x224x224)`, or named ones, `input(image: 3x224x224, time: 64)`. Sizes
    are channels first, without the batch axis. `int64` declares one integer for each sample, `int64(16)` a sequence of
    16. `forward` takes the inputs under their names, so a name has to be one that Python allows for a parameter.
    """

    code = "E217"
    text = "{reason}"
    wrong = "model m { input(class: 3x8x8); flatten }"
    right = "model m { input(image: 3x8x8); flatten }"
    reason: str


class NoModelToTrain(Problem):
    """A recipe without a model.

    `train { }` applies to the models of its own file. Files that import it do not use the recipe.
    """

    code = "E216"
    text = "this recipe applies to no model: the file defines none"
    wrong = "block b { relu }\ntrain { epochs = 5 }"
    right = "model m { input(3x8x8); flatten; linear(10) }\ntrain { epochs = 5 }"


class NoSuchTap(Problem):
    """A tap that a labelled part does not have.

    `stem.skip` is the tap that `-> skip` made inside the part with the label `stem`: a group, a combinator or a block
    call. It is the one of the part's newest run.
    """

    code = "E240"
    text = "`{part}` has no tap `{name}`"
    wrong = "block b { conv(4, 1) -> a; relu }; model m { input(3x8x8); stem: b; add(stem.skip) }"
    right = "block b { conv(4, 1) -> skip; relu }; model m { input(3x8x8); stem: b; add(stem.skip) }"
    part: str
    name: str
