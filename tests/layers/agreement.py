"""Whether the checker and PyTorch agree on a layer: the same shape, or both reject."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archdsl.backends.torch import modules
from archdsl.diagnostics import Rejected
from archdsl.layers.base import Layer, TorchForm
from archdsl.shapes import Shape

NAMES = {"nn": nn, "modules": modules}
#: The modules that take all taps as one list.
LISTS = ("Concat", "Add", "Sub", "Mul", "Div", "Pow")
#: A size that no test gives an axis, so that nothing fits it by chance.
BATCH = 11


def module_of(form: TorchForm) -> nn.Module:
    """The module a form describes, called with the input and each tap as an argument."""
    where, _, name = form.cls.rpartition(".")
    module: nn.Module = getattr(NAMES[where], name)(*form.arguments, **form.keywords)
    if name in LISTS:
        module.register_forward_pre_hook(lambda _, given: (given[0], list(given[1:])) if len(given) > 1 else given)
    return module


def batch_of(shape: Shape, batch: int, generator: torch.Generator | None = None) -> Tensor:
    """Random samples of this shape; integers are less than 7."""
    if shape.dtype == "int64":
        return torch.randint(7, (batch, *shape), generator=generator)
    return torch.randn(batch, *shape, generator=generator)


def torch_shape(form: TorchForm, x: Sequence[int], *operands: Sequence[int]) -> Shape | str:
    """The output shape of a batch on the CPU, without its batch axis; PyTorch's words where it rejects.

    Training and eval mode both have to run.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = module_of(form)
            outputs = [
                module.train(mode)(*(torch.rand(BATCH, *shape) for shape in (x, *operands))) for mode in (True, False)
            ]
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError, ZeroDivisionError) as error:
        return f"{type(error).__name__}: {error}"
    assert outputs[0].shape == outputs[1].shape
    assert outputs[0].shape[0] == BATCH
    if outputs[0].numel() == 0:
        return "an axis without a cell, which the shape rule forbids"
    return Shape(outputs[0].shape[1:])


def checked_shape(layer: Layer, x: Shape, *operands: Shape) -> Shape | Rejected:
    """What the checker says: the output shape, or its error."""
    try:
        return layer.shape(x, *operands)
    except Rejected as error:
        rejected = error
    assert str(rejected)
    assert rejected.argument is None or rejected.argument in type(layer).model_fields
    return rejected


def accepts(layer: Layer, x: Shape) -> bool:
    """Whether the checker takes the layer on the input."""
    return not isinstance(checked_shape(layer, x), Rejected)


def require_agreement(layer: Layer, form: TorchForm, x: Shape, *operands: Shape) -> None:
    """Fail unless both give the same shape or both reject; `form` is given, since a rejected layer may have none."""
    checked, found = checked_shape(layer, x, *operands), torch_shape(form, x, *operands)
    if isinstance(checked, Rejected):
        assert isinstance(found, str), f"rejected ({checked}), but PyTorch gives {found}"
    else:
        assert checked == found, f"{layer!r} on {x}: checked {checked}, PyTorch {found}"
        assert layer.torch(x) == form
