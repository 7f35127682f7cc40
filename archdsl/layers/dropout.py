"""Dropout in its forms. They work in training only and have no ONNX nodes.

In eval mode they return their input itself, hence `saves_output`: the next layer must not overwrite it.
"""

from typing import Literal

from archdsl.layers.base import OnnxBuilder, Probability, SameShape, TorchForm, Twin
from archdsl.layers.memory import Memory, numbers
from archdsl.shapes import Shape, Tensor


class _Drop(SameShape):
    """A layer that drops values in training."""

    saves = ()
    saves_output = True
    is_view = True

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        return g.input


class _ValueDropout(_Drop, Twin):
    """The arguments of PyTorch's dropout layers."""

    p: Probability = 0.5
    inplace: bool = False


class Dropout(_ValueDropout):
    """Dropout of single numbers, `torch.nn.Dropout`: each is 0 with probability p, else times 1/(1 - p).

    Srivastava, Hinton and others 2014.
    """

    kind = "dropout"
    can_run_inplace = True

    def memory(self, x: Shape, y: Shape) -> Memory:
        return Memory((), kept=(numbers(x.numel, "bool"),) if self.p else ())  # on the CPU the mask is float32


class ChannelDropout(_ValueDropout):
    """Dropout of whole channels, `torch.nn.Dropout1d`, `Dropout2d` or `Dropout3d` by the input.

    Tompson and others 2015.
    """

    kind = "channel_dropout"
    twin = "nn.Dropout{rank}d"
    can_run_inplace = True

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        self.require_spatial(x)
        return x


class AlphaDropout(_ValueDropout):
    """Dropout that keeps mean and variance after a SELU, `torch.nn.AlphaDropout` (Klambauer and others 2017)."""

    kind = "alpha_dropout"

    def memory(self, x: Shape, y: Shape) -> Memory:
        return Memory((), kept=(Tensor(x),) if self.p else ())


class StochasticDepth(_Drop):
    """Dropout of whole samples (`mode="row"`) or of the whole batch, as `torchvision.ops.StochasticDepth`.

    At the end of a residual's body it drops the body (Huang and others 2016).
    """

    kind = "stochastic_depth"

    p: Probability
    mode: Literal["batch", "row"] = "row"

    def torch(self, x: Shape) -> TorchForm:
        return TorchForm("modules.StochasticDepth", (self.p, self.mode))
