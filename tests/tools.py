"""What PyTorch's tools do with a module, for the table of docs/interop.md."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torchinfo
from torch import Tensor, nn
from torchvision.models.feature_extraction import get_graph_node_names

PAGE = Path(__file__).parents[1] / "docs" / "interop.md"
Inputs = Sequence[Tensor]


def same(module: nn.Module, other: Any, inputs: Inputs) -> None:
    """Fail unless both give the same first output."""
    torch.testing.assert_close(first(other(*inputs)), first(module(*inputs)), rtol=1e-4, atol=1e-5)


def first(output: Any) -> Tensor:
    tensor: Tensor = next(iter(output.values())) if isinstance(output, dict) else output
    return tensor


def _saved(module: nn.Module, inputs: Inputs) -> None:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    same(module, torch.load(file, weights_only=False), inputs)


def _traced(module: nn.Module, inputs: Inputs) -> None:
    get_graph_node_names(module)  # in both modes
    same(module, torch.fx.symbolic_trace(module), inputs)


def _recorded(module: nn.Module, inputs: Inputs) -> None:
    same(module, torch.jit.trace(module, tuple(inputs), check_trace=False), inputs)  # type: ignore[no-untyped-call]


def _in_bfloat16(module: nn.Module, inputs: Inputs) -> None:
    output = first(copy.deepcopy(module).bfloat16()(*(x.bfloat16() for x in inputs)))
    assert output.dtype == torch.bfloat16
    assert output.isfinite().all()


def _quantized(module: nn.Module, inputs: Inputs) -> None:
    twin = torch.ao.quantization.quantize_dynamic(copy.deepcopy(module), {nn.Linear})  # type: ignore[no-untyped-call]
    assert first(twin(*inputs)).shape == first(module(*inputs)).shape


def _summarised(module: nn.Module, inputs: Inputs) -> None:
    found = torchinfo.summary(module, input_data=list(inputs), verbose=0)
    assert found.total_params == sum(one.numel() for one in module.parameters())


#: The columns of the table.
TOOLS: dict[str, Callable[[nn.Module, Inputs], None]] = {
    "compile": lambda module, inputs: same(module, torch.compile(module, backend="eager", fullgraph=True), inputs),
    "export": lambda module, inputs: same(module, torch.export.export(module, tuple(inputs)).module(), inputs),
    "fx": _traced,
    "jit.script": lambda module, inputs: same(module, torch.jit.script(module), inputs),
    "jit.trace": _recorded,
    "deepcopy": lambda module, inputs: same(module, copy.deepcopy(module), inputs),
    "save": _saved,
    "bf16": _in_bfloat16,
    "quantize": _quantized,
    "torchinfo": _summarised,
}


def works(module: nn.Module, inputs: Inputs, tool: str) -> bool:
    torch.compiler.reset()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            TOOLS[tool](module, inputs)
    except Exception:
        return False
    return True


def row(family: str, module: nn.Module, inputs: Inputs) -> str:
    """The row of a family: whether each tool works on the module."""
    cells = ["yes" if works(module, inputs, tool) else "no" for tool in TOOLS]
    return f"| {family} | {' | '.join(cells)} |"


def rows() -> dict[str, str]:
    """The rows of the page by family."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return {line.split("|")[1].strip(): line for line in lines}
