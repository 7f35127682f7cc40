"""W0xx: warnings, about specs that are valid but hardly mean what they say."""

from __future__ import annotations

from typing import ClassVar

from archdsl.diagnostics.problem import Problem, Severity


class Warned(Problem):
    """A problem that `archdsl check` reports without failing, unless `--strict` is given."""

    severity: ClassVar[Severity] = "warning"


class Unused(Warned):
    """A value, parameter, block, tap or further input that is never used.

    It may be left over from an earlier version, or another name may have been written where this one was meant. Remove
    it, or begin its name with `_` to say that it is meant: `let _, width = size`.

    Loop variables are not reported, nor are parameters of blocks that are passed as values, since such blocks share
    their parameters. A file without models, or one that another checked file imports, may define blocks and values
    that only others use.
    """

    code = "W001"
    text = "the {what} `{name}` is never used"
    wrong = "model m(classes = 10, width = 8) { input(3x8x8); conv(width, 3); flatten; linear(10) }"
    right = "model m(classes = 10, width = 8) { input(3x8x8); conv(width, 3); flatten; linear(classes) }"
    what: str
    name: str
    #: Whether other files can import it.
    is_global: bool


class Hides(Warned):
    """A name that hides a layer type or a figure of the current tensor.

    A bound name takes precedence. Where `channels` is a parameter, `channels` does not give the channels of the current
    tensor; where `squeeze` is a number, the layer `squeeze` cannot be called. Choose another name.

    Names that stand for layers are not reported (`norm = batchnorm`, or a parameter that is called), since they are
    used as the layer type would be. `width`, `depth` and `length` are common names for the size of a network. They are
    reported only where the same block or model reads a figure beside them: `height` for `width`, `height` or `width`
    for `depth`.
    """

    code = "W002"
    text = "the {what} `{name}` hides {hidden}"
    wrong = "model m(width = 8) { input(3x8x16); conv(width, 3); avgpool((height, width)) }"
    right = "model m(out = 8) { input(3x8x16); conv(out, 3); avgpool((height, width)) }"
    what: str
    name: str
    hidden: str


class ActivationBeforeLoss(Warned):
    """A last layer that the loss applies itself.

    `cross_entropy` takes unnormalised scores and applies log_softmax, `bce` applies the sigmoid. Applied twice, the
    gradients vanish and the network hardly learns; a log_softmax before `cross_entropy` changes nothing. Remove the
    layer: the class with the highest score is the same. `nll` is the loss for networks that end in log_softmax.
    """

    code = "W003"
    text = "the network ends in `{layer}`, and the loss `{loss}` applies {applied} itself"
    wrong = "model m { input(784); linear(10); softmax }\ntrain { dataset = mnist; loss = cross_entropy }"
    right = "model m { input(784); linear(10) }\ntrain { dataset = mnist; loss = cross_entropy }"
    layer: str
    loss: str
    applied: str


class BiasBeforeNorm(Warned):
    """A bias that the norm after it cancels.

    A batch norm or instance norm subtracts the mean of each channel, and with it the bias of the layer directly before.
    The bias costs memory and time, and changes nothing. Write `bias=false`; or `bias=true` where it is meant, because
    published weights have it.

    It is reported only if the norm follows wherever the layer is used in the models of the file.
    """

    code = "W004"
    text = "the bias of this `{layer}` has no effect: the `{norm}` after it subtracts the mean of each channel"
    wrong = "model m { input(3x8x8); conv(8, 3); batchnorm; relu }"
    right = "model m { input(3x8x8); conv(8, 3, bias=false); batchnorm; relu }"
    layer: str
    norm: str


class NothingExpanded(Warned):
    """A file that was checked without expanding a model.

    Shapes are known only in a model. The blocks of a file without one, and a model with a parameter that has no
    default, are checked as they are written: names, arguments and literal values. Check the file that imports it as
    well, or add a variant that gives the parameter: `model small = resnet(layers=[2, 2])`.

    It is reported only for files that are named on the command line, not for those in a folder.
    """

    code = "W005"
    text = "no model in {path} can be expanded{more}: shapes are not checked"
    wrong = "block conv_bn(out) { conv(out, 3, bias=false); batchnorm }"
    right = "block conv_bn(out) { conv(out, 3, bias=false); batchnorm }\nmodel m { input(3x8x8); conv_bn(8) }"
    path: str
    more: str
