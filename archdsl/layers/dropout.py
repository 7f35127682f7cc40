"""Dropout in its forms. They work in training only, so that in ONNX nothing is left of them.

In eval mode each hands its input on as it is, hence `saves_output`: what follows may not overwrite that.
"""

from typing import ClassVar, Literal

from archdsl.layers.base import Layer, OnnxBuilder, Probability, TorchForm, changed
from archdsl.shapes import Shape


class _Drop(Layer):
    """What all kinds of dropout share."""

    saves_output: ClassVar[bool] = True

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        return x

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.input


class Dropout(_Drop):
    """Dropout of single numbers, `torch.nn.Dropout`: each is 0 with probability p, else times 1/(1 - p).

    Srivastava, Hinton and others 2014.
    """

    kind: ClassVar[str] = "dropout"
    can_run_inplace: ClassVar[bool] = True

    p: Probability = 0.5
    inplace: bool = False

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("nn.Dropout", keywords=changed(self, "p", "inplace"))


class ChannelDropout(_Drop):
    """Dropout of whole channels, `torch.nn.Dropout1d`, `Dropout2d` or `Dropout3d` by the input.

    Tompson and others 2015.
    """

    kind: ClassVar[str] = "channel_dropout"
    can_run_inplace: ClassVar[bool] = True

    p: Probability = 0.5
    inplace: bool = False

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        return x

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm(f"nn.Dropout{x.rank}d", keywords=changed(self, "p", "inplace"))


class AlphaDropout(_Drop):
    """Dropout that keeps mean and variance behind a SELU, `torch.nn.AlphaDropout` (Klambauer and others 2017)."""

    kind: ClassVar[str] = "alpha_dropout"

    p: Probability = 0.5
    inplace: bool = False

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("nn.AlphaDropout", keywords=changed(self, "p", "inplace"))


class StochasticDepth(_Drop):
    """Dropout of whole samples (`mode="row"`) or of the whole batch, as `torchvision.ops.StochasticDepth`.

    At the end of a residual's body it leaves out the body (Huang and others 2016).
    """

    kind: ClassVar[str] = "stochastic_depth"

    p: Probability
    mode: Literal["batch", "row"] = "row"

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.StochasticDepth", (self.p, self.mode))
