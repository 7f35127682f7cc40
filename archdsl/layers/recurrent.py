"""Recurrent layers on a sequence (SxD): LSTM, GRU and the simple RNN, one step for each position.

The output is the hidden state after each step; the initial state is zeros. A layer of G gates has the weights
G*H*(D + H) and the biases 2*G*H for each direction, with H = hidden_size; the layers after the first see H features, or
2*H where `bidirectional` puts the states of both directions next to each other. Multiply-adds are the products with the
weights, for each step.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from archdsl.diagnostics.codes.shapes import WrongRank
from archdsl.diagnostics.problem import Rejected
from archdsl.layers.base import Layer, NonNegative, OnnxBuilder, Positive, Probability, TorchForm, changed
from archdsl.layers.memory import Memory, numbers
from archdsl.shapes import Shape, Tensor
from archdsl.shapes.receptive_field import ReceptiveField


class _Recurrent(Layer):
    """What the recurrent layers share: the layers and directions, their weights, and the loop over them in ONNX."""

    parameters: ClassVar[tuple[str, ...]] = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    autocast = "half"
    saves_output = True

    #: PyTorch's gates in the order in which ONNX has them.
    gates: ClassVar[tuple[int, ...]]
    #: How many tensors of the hidden size the backward pass needs for each step: gates, states, products.
    saved_states: ClassVar[int]

    hidden_size: Positive
    num_layers: Positive = 1
    if TYPE_CHECKING:  # fields of the subclasses, whose order is PyTorch's
        bias: bool
        dropout: float
        bidirectional: bool

    @classmethod
    def has_parameter(cls, name: str) -> bool:
        first, _, rest = name.rpartition("_l")
        return f"{first}_l0" in cls.parameters and rest.removesuffix("_reverse").isdigit()

    @property
    def state_size(self) -> int:
        """The features of the output in each direction."""
        return self.hidden_size

    @property
    def directions(self) -> tuple[str, ...]:
        """What the names of the weights of each direction end with."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if len(x) != 2:
            help = "`flatten(1, 2); transpose(1, 2)` makes a sequence of the columns of a feature map"
            raise Rejected(WrongRank(self.kind, "a sequence (SxD)", str(x)), help=help if len(x) == 3 else None)
        return Shape((x[0], self.state_size * len(self.directions)))

    def inputs(self, x: Shape) -> Iterator[tuple[str, int]]:
        """For each layer and direction, the end of its weights' names, and how many features it takes."""
        for layer in range(self.num_layers):
            for direction in self.directions:
                yield f"_l{layer}{direction}", self.state_size * len(self.directions) if layer else x[1]

    def weights(self, x: Shape) -> dict[str, Tensor]:
        found = {}
        for end, features in self.inputs(x):
            rows = len(self.gates) * self.hidden_size
            found[f"weight_ih{end}"] = Tensor(Shape((rows, features)))
            found[f"weight_hh{end}"] = Tensor(Shape((rows, self.state_size)))
            for name in ("bias_ih", "bias_hh") if self.bias else ():
                found[f"{name}{end}"] = Tensor(Shape((rows,)))
            found |= self.projection(end)
        return found

    def projection(self, end: str) -> dict[str, Tensor]:
        """The weight that makes the hidden state smaller, if there is one."""
        return {}

    def macs(self, x: Shape, y: Shape) -> int:
        return x[0] * sum(tensor.numel for tensor in self.weights(x).values() if len(tensor.shape) == 2)

    def receptive_field(self, field: ReceptiveField, x: Shape, y: Shape) -> ReceptiveField:
        return field.mix(0).mix(1)

    def memory(self, x: Shape, y: Shape) -> Memory:
        # As PyTorch computes it itself: copies of the first layer's input for each direction, the input of each later
        # layer, and what each step needs again. cuDNN has buffers of its own.
        directions = len(self.directions)
        projected = self.state_size if self.state_size < self.hidden_size else 0
        states = self.num_layers * directions * (self.saved_states * self.hidden_size + projected)
        inputs = directions * x[1] + (self.num_layers - 1) * y[1]
        inside = x[0] * directions * (len(self.gates) + 1) * self.hidden_size
        return Memory((), kept=(numbers(x[0] * (inputs + states)),), inside=(numbers(inside),))

    def torch(self, x: Shape) -> TorchForm:
        names = [name for name in type(self).model_fields if name != "hidden_size"]
        return TorchForm(f"modules.{type(self).__name__}", (x[1], self.hidden_size), changed(self, *names))

    def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
        """One node for each layer, which has the sequence on the first axis."""
        value = g.node("Transpose", g.input, perm=[1, 0, 2])
        for layer in range(self.num_layers):
            ends = [f"_l{layer}{direction}" for direction in self.directions]
            value = self._onnx_layer(value, ends, g)
        return g.node("Transpose", value, perm=[1, 0, 2])

    def _onnx_layer(self, value: str, ends: list[str], g: OnnxBuilder) -> str:
        weights = [self._onnx_stacked([self._onnx_rows("weight_ih", end, g) for end in ends], g)]
        weights.append(self._onnx_stacked([self.onnx_recurrent(end, g) for end in ends], g))
        if self.bias:
            rows = [[self._onnx_rows(name, end, g) for name in ("bias_ih", "bias_hh")] for end in ends]
            weights.append(self._onnx_stacked([g.node("Concat", *pair, axis=0) for pair in rows], g))
        direction = "bidirectional" if self.bidirectional else "forward"
        attributes = {"hidden_size": self.hidden_size, "direction": direction, **self.onnx_attributes()}
        # Steps x directions x batch x features.
        states = g.node(type(self).__name__, value, *weights, **attributes)
        states = self.onnx_projected(states, ends, g)
        return g.node("Reshape", g.node("Transpose", states, perm=[0, 2, 1, 3]), g.ints([0, 0, -1]))

    def _onnx_rows(self, name: str, end: str, g: OnnxBuilder) -> str:
        """A weight with its gates in ONNX's order."""
        return self.onnx_ordered(g.weight(f"{name}{end}"), g)

    def onnx_ordered(self, weight: str, g: OnnxBuilder) -> str:
        """The rows of each gate, in ONNX's order."""
        if self.gates == tuple(range(len(self.gates))):
            return weight
        size = self.hidden_size
        return g.node("Gather", weight, g.ints([gate * size + row for gate in self.gates for row in range(size)]))

    def _onnx_stacked(self, values: list[str], g: OnnxBuilder) -> str:
        """One value for each direction on a new first axis."""
        rows = [g.node("Unsqueeze", value, g.ints([0])) for value in values]
        return rows[0] if len(rows) == 1 else g.node("Concat", *rows, axis=0)

    def onnx_recurrent(self, end: str, g: OnnxBuilder) -> str:
        """The weight of the state of the step before."""
        return self._onnx_rows("weight_hh", end, g)

    def onnx_projected(self, states: str, ends: list[str], g: OnnxBuilder) -> str:
        """The states of all steps as the layer gives them."""
        return states

    def onnx_attributes(self) -> dict[str, Any]:
        """The attributes of the node besides those that all have."""
        return {}


class LSTM(_Recurrent):
    """Long short-term memory on a sequence (SxD -> SxH), `torch.nn.LSTM`; the output is each step's hidden state.

    Four gates: Hochreiter and Schmidhuber 1997, with the forget gate of Gers and others 2000. With `bidirectional` a
    second one reads the sequence from its end, and the features are 2*H. With `proj_size` each state is projected to as
    many features, by a weight of its own. The initial states are zeros; `select(1, -1)` takes the last state.
    """

    kind = "lstm"
    parameters = (*_Recurrent.parameters, "weight_hr_l0")
    gates = (0, 3, 1, 2)
    saved_states = 7

    bias: bool = True
    dropout: Probability = 0.0
    bidirectional: bool = False
    proj_size: NonNegative = 0

    @property
    def state_size(self) -> int:
        return self.proj_size or self.hidden_size

    def shape(self, x: Shape, *operands: Shape) -> Shape:
        if self.proj_size >= self.hidden_size:
            reason = f"proj_size {self.proj_size} must be less than hidden_size {self.hidden_size}"
            raise self.conflict("proj_size", reason)
        return super().shape(x, *operands)

    def projection(self, end: str) -> dict[str, Tensor]:
        return {f"weight_hr{end}": Tensor(Shape((self.proj_size, self.hidden_size)))} if self.proj_size else {}

    def onnx_recurrent(self, end: str, g: OnnxBuilder) -> str:
        # ONNX's LSTM has no projection: the recurrent weight includes it, and `onnx_projected` applies it afterwards.
        weight = g.weight(f"weight_hh{end}")
        if self.proj_size:
            weight = g.node("MatMul", weight, g.weight(f"weight_hr{end}"))
        return self.onnx_ordered(weight, g)

    def onnx_projected(self, states: str, ends: list[str], g: OnnxBuilder) -> str:
        if not self.proj_size:
            return states
        rows = [g.node("Transpose", g.weight(f"weight_hr{end}"), perm=[1, 0]) for end in ends]
        return g.node("MatMul", states, self._onnx_stacked(rows, g))


class GRU(_Recurrent):
    """Gated recurrent units on a sequence (SxD -> SxH), `torch.nn.GRU`; the output is each step's hidden state.

    Three gates (Cho and others 2014), with the reset gate after the product with the recurrent weight. With
    `bidirectional` a second one reads the sequence from its end, and the features are 2*H. The initial state is zeros;
    `select(1, -1)` takes the last state.
    """

    kind = "gru"
    gates = (1, 0, 2)
    saved_states = 7

    bias: bool = True
    dropout: Probability = 0.0
    bidirectional: bool = False

    def onnx_attributes(self) -> dict[str, Any]:
        return {"linear_before_reset": 1}


class RNN(_Recurrent):
    """Elman's recurrent network on a sequence (SxD -> SxH), `torch.nn.RNN`; the output is each step's hidden state.

    h = tanh(W_ih x + b_ih + W_hh h + b_hh), or ReLU (Elman 1990). With `bidirectional` a second one reads the sequence
    from its end, and the features are 2*H. The initial state is zeros; `select(1, -1)` takes the last state.
    """

    kind = "rnn"
    gates = (0,)
    saved_states = 1

    nonlinearity: Literal["tanh", "relu"] = "tanh"
    bias: bool = True
    dropout: Probability = 0.0
    bidirectional: bool = False

    def onnx_attributes(self) -> dict[str, Any]:
        return {"activations": [{"tanh": "Tanh", "relu": "Relu"}[self.nonlinearity]] * len(self.directions)}
