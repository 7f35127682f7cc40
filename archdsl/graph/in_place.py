"""The tensors of a network that its torch module overwrites: layers and joins that run in place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from archdsl.combinators.join import ADD
from archdsl.graph import Group, LayerNode, walk
from archdsl.graph.lower import JOINS, Program, Step, Value
from archdsl.layers.base import TorchForm
from archdsl.shapes import Shape

#: Modules whose output is a new tensor that autograd does not keep (it keeps their inputs).
_FRESH = frozenset(
    {
        *(f"nn.{kind}{rank}d" for kind in ("Conv", "ConvTranspose", "BatchNorm") for rank in (1, 2, 3)),
        *(f"modules.Conv{rank}dSame" for rank in (1, 2, 3)),
        *("nn.Linear", "nn.GroupNorm", "nn.LayerNorm", "modules.Concat"),
        *(f"modules.{kind}" for kind in ("Add", "Sub", "Mul", "Div", "MatMul")),
    }
)
#: In place, these may draw other random numbers, so they run in place only where the spec asks for it.
_RANDOM = frozenset({"nn.Dropout", "nn.Dropout1d", "nn.Dropout2d", "nn.Dropout3d"})


def torch_forms(program: Program) -> dict[Step, TorchForm]:
    """The module of each step that runs a layer. A repeated layer is the same object on the same shape."""
    known: dict[tuple[int, Shape], TorchForm] = {}
    forms = {}
    for step in program.steps:
        if isinstance(node := step.node, LayerNode):
            key = (id(node.layer), node.input)
            if key not in known:
                known[key] = node.layer.torch(node.input)
            forms[step] = known[key]
    return forms


def in_place(root: Group, program: Program, forms: Mapping[Step, TorchForm]) -> set[Step]:
    """The layers and joins that write their result into their first input.

    They may where it changes no result and no gradient: nothing else reads the tensor, it is not a view, and
    autograd does not keep it. Tensors from another scope are left alone too, so that the arguments and results
    of a scope never change afterwards: it can be hooked, and called by itself.
    """
    operations = program.operations
    reads = Counter(value.source for step in operations for value in step.inputs)
    # Modules that run more than once are left alone: each run would have to allow it.
    reused = {node.name for node in walk(root) if node.shared and node.label is not None}
    fresh: set[Value] = set()
    found = set()
    for step in operations:
        tensor = step.inputs[0].source
        disposable = tensor in fresh and reads[tensor] == 1 and tensor.scope == step.scope
        if disposable and _can_overwrite(step, forms) and not _is_within(step, reused):
            found.add(step)
        if _makes_fresh(step, forms):
            fresh.update(step.outputs)
    return found


def _can_overwrite(step: Step, forms: Mapping[Step, TorchForm]) -> bool:
    if isinstance(step.node, LayerNode):
        form = forms[step]
        wanted = form.cls not in _RANDOM or bool(form.keywords.get("inplace"))
        return wanted and step.node.layer.can_run_inplace
    if step.op != ADD.name:  # autograd needs neither term of a sum
        return False
    first, result = step.inputs[0], step.outputs[0]
    # A sum that broadcasts its first term needs new memory.
    return first.slot is result.slot and first.shape == result.shape


def _makes_fresh(step: Step, forms: Mapping[Step, TorchForm]) -> bool:
    if isinstance(step.node, LayerNode):
        return forms[step].cls in _FRESH and not step.node.layer.saves_output
    return step.op in JOINS


def _is_within(step: Step, scopes: set[str]) -> bool:
    name = step.node.name if step.op == "layer" else step.scope
    return any(name == scope or name.startswith(f"{scope}.") for scope in scopes)
