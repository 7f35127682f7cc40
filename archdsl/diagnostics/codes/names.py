"""E2xx: names and arguments."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class UnknownLayer(Problem):
    """Neither a kind of layer nor a block has this name."""

    code = "E201"
    text = "there is no layer or block `{name}`"
    explanation = """
A statement names a kind of layer (`archdsl layers` lists them) or a block of this file or of an imported
one.
"""
    wrong = "model m { input(3x8x8); convolution(8, 3) }"
    right = "model m { input(3x8x8); conv(8, 3) }"

    name: str


class UnknownName(Problem):
    """A name that stands for nothing here."""

    code = "E202"
    text = "`{name}` is not defined here"
    explanation = """
Names are the parameters of the block or model, what `let` and `for` bind in the bodies around, the taps
(`-> name`) made earlier in the same block, and the figures of the current tensor: `channels`, `features`,
`length`, `depth`, `height`, `width`, `shape`. A block does not see its caller's names: pass them on.
"""
    wrong = "model m(n = 8) { input(3x8x8); conv(m, 3) }"
    right = "model m(n = 8) { input(3x8x8); conv(n, 3) }"

    name: str


class UnknownArgument(Problem):
    """A call names an argument that is not there."""

    code = "E203"
    formerly = ("E605",)
    text = "{what} has no argument `{name}`"
    explanation = """
A layer takes the arguments of its torch.nn twin, under the same names, without the input size (`archdsl
layers KIND` shows them); every layer also takes `init` and `trainable`. A block or model takes the
parameters it is written with. An optimizer takes the arguments of its torch.optim twin; docs/training.md has
those of all entries of `train { }`.
"""
    wrong = "model m { input(3x8x8); conv(8, 3, strides=2) }"
    right = "model m { input(3x8x8); conv(8, 3, stride=2) }"

    what: str
    name: str


class RepeatedArgument(Problem):
    """The same argument twice."""

    code = "E204"
    formerly = ("E607",)
    text = "{what} gets `{name}` twice"
    explanation = """
Arguments by position fill the parameters from the left; one of them is then named again.
"""
    wrong = "model m { input(3x8x8); conv(8, 3, kernel_size=5) }"
    right = "model m { input(3x8x8); conv(8, kernel_size=5) }"

    what: str
    name: str


class MissingArgument(Problem):
    """An argument without a default is not given."""

    code = "E205"
    formerly = ("E606",)
    text = "{what} needs {names}"
    explanation = """
An argument without a default has to be given, by position or by name.
"""
    wrong = "model m { input(3x8x8); conv(8) }"
    right = "model m { input(3x8x8); conv(8, 3) }"

    what: str
    names: str


class TooManyArguments(Problem):
    """More arguments by position than there are parameters."""

    code = "E206"
    formerly = ("E608",)
    text = "{what} takes {most} arguments by position at most, {given} are given"
    explanation = """
Input channels and features are never written: they follow from the tensor that arrives. `conv(64, 3)` has
64 output channels and a 3x3 kernel.
"""
    wrong = "model m { input(3x8x8); relu(64, 3) }"
    right = "model m { input(3x8x8); relu }"

    what: str
    most: int
    given: int

    def __str__(self) -> str:
        return super().__str__().replace(" 1 arguments", " 1 argument").replace(" 0 arguments", " no arguments")


class BadArgument(Problem):
    """An argument of the wrong type or outside its range."""

    code = "E207"
    formerly = ("E602", "E603")
    text = "`{name}` of {what} {expected}, found {found}"
    explanation = """
Every argument has a type and a range, those of PyTorch: `archdsl layers KIND` and docs/training.md show them.
Nothing is converted: `batch = "64"` and `batch = 64.0` are not integers. An integer may be given for a number, and
in `train { }` a pair of sizes may be written 32x32 or as the single number 32.
"""
    wrong = "model m { input(3x8x8); dropout(1.5) }"
    right = "model m { input(3x8x8); dropout(0.5) }"

    what: str
    name: str
    expected: str
    found: str


class DuplicateName(Problem):
    """Two things with one name."""

    code = "E208"
    text = "{what} `{name}` is already there"
    explanation = """
Blocks, models and values of a file have different names, those that it imports too. So have the parts of one
scope: labels become the keys of the state_dict, where every key is there once. A part without a label is named by
its position, so that a number as a label can meet one of those too. A dictionary has each key once.
"""
    wrong = "model m { input(3x8x8); a: conv(8, 3); a: conv(8, 3) }"
    right = "model m { input(3x8x8); a: conv(8, 3); b: conv(8, 3) }"

    what: str
    name: str


class BadLabel(Problem):
    """A label that cannot be a module's name."""

    code = "E209"
    text = "`{name}` cannot be a label: {reason}"
    explanation = """
A label becomes the name of a submodule: letters, digits, `_` and `-`, and none of the names that
torch.nn.Module has itself (`forward`, `train`, `type`, ...).
"""
    wrong = "model m { input(3x8x8); train: conv(8, 3) }"
    right = "model m { input(3x8x8); stem: conv(8, 3) }"

    name: str
    reason: str


class Misplaced(Problem):
    """A statement where it has no meaning."""

    code = "E210"
    text = "{what}"
    explanation = """
`input` is the first statement of a model and stands there once; `output` stands in a model, not in a
block; `aux` and `output` need a tensor; a combinator needs items.
"""
    wrong = "model m { relu; input(3x8x8) }"
    right = "model m { input(3x8x8); relu }"

    what: str


class WrongReuse(Problem):
    """`reuse` of something that does not fit."""

    code = "E211"
    text = "`{name}` cannot be used again here: {reason}"
    explanation = """
`reuse(label)` runs an earlier labelled part of the same scope again, on the same weights. The weights'
shapes follow from the input, so the input must have as many channels as the first time; other sizes may
change. An output of the model (`aux`, `output`) cannot be inside, since it would be there twice.
"""
    wrong = "model m { input(3x8x8); a: conv(8, 3, padding=1); reuse(a) }"
    right = "model m { input(3x8x8); a: conv(3, 3, padding=1); reuse(a) }"

    name: str
    reason: str


class UnknownSetting(Problem):
    """A `name = value` in a body that sets nothing."""

    code = "E212"
    text = "`{name}` is no setting of a body"
    explanation = """
The settings of a body are `init`, the initialisation of what follows, and `defaults`, the arguments that its
layers leave out. A value gets a name with `let`.
"""
    wrong = "model m { input(3x8x8); hidden = 8; conv(hidden, 3) }"
    right = "model m { input(3x8x8); let hidden = 8; conv(hidden, 3) }"

    name: str


class NotALayer(Problem):
    """A name that is called and holds no layer."""

    code = "E213"
    text = "`{name}` stands for {found} here, which is no layer or block"
    explanation = """
A parameter, a `let`, a loop or a tap hides the layer or block of the same name to the end of its body, so that
`dropout(dropout)` would call a number. Give the value another name, such as `rate`. `input`, `use`, `output` and
`reuse` are statements whatever is bound to their names.
"""
    wrong = "model m(dropout = 0.5) { input(64); dropout(dropout) }"
    right = "model m(rate = 0.5) { input(64); dropout(rate) }"

    name: str
    found: str


class WrongInitializer(Problem):
    """An initializer that cannot fill the weight it is for."""

    code = "E214"
    text = "`{initializer}` needs {need}"
    explanation = """
The functions of torch.nn.init have requirements: `xavier_uniform`, `kaiming_normal` and `orthogonal` need a weight of
two axes or more, `eye` and `sparse` one of exactly two, `dirac` a kernel. A bias and the weights of a norm have one
axis. An initializer alone, `init = kaiming_normal` in a body, is for the weights with two axes or more of all layers
there; `init = {conv: dirac}` is for those of the convolutions.
"""
    wrong = "model m { input(3x8x8); conv(8, 3, init=eye) }"
    right = "model m { input(3x8x8); conv(8, 3, init=dirac) }"

    initializer: str
    need: str


class ReservedName(Problem):
    """A block is named as a statement."""

    code = "E215"
    text = "a block cannot be called `{name}`, which is a statement of the language"
    explanation = """
`input`, `use`, `output` and `reuse` are written like a layer and are looked for first, so that a block of that name
could never be called. A block may have the name of a layer type: it then goes before it in the whole file.
"""
    wrong = "block use(n) { conv(n, 3) }\nmodel m { input(3x8x8); use(8) }"
    right = "block use_conv(n) { conv(n, 3) }\nmodel m { input(3x8x8); use_conv(8) }"

    name: str


class NoModelToTrain(Problem):
    """A recipe in a file without models."""

    code = "E216"
    text = "this recipe is for no model: the file has none"
    explanation = """
`train { }` is for the models of its own file. The recipe of an imported file is not used by the files that import it.
"""
    wrong = "block b { relu }\ntrain { epochs = 5 }"
    right = "model m { input(3x8x8); flatten; linear(10) }\ntrain { epochs = 5 }"
