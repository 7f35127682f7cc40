"""What `export` and `verify` share: the tolerance, the normalisation, and the result of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli.network import PUBLISHED

if TYPE_CHECKING:
    from archdsl.backends.onnx import Comparison
    from archdsl.backends.onnx.runtime import Output
    from archdsl.cli.network import Chosen

Tolerance = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="X",
        help="Largest difference from torch allowed, relative to how much the output varies between inputs.",
    ),
]


def mean_and_std(text: str, found: Chosen | None = None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`0.485,0.456,0.406;0.229,0.224,0.225` as two tuples; `run` means the normalisation that the weights need."""
    if text == "run" and found is not None and (weights := found.weights) is not None:
        if weights.startswith(PUBLISHED):
            from archdsl.backends.torch.published import find

            return find(weights, found.network).normalisation()
        if found.run is not None:
            info = found.run.read_info()
            return info.mean, info.std
    try:
        mean, std = (tuple(map(float, part.split(","))) for part in text.split(";"))
    except ValueError:
        message = f"`{text}` is neither MEAN;STD (one number per channel) nor `run` with a run folder as the weights"
        raise typer.BadParameter(message, param_hint="--normalize") from None
    return mean, std


def _output_facts(one: Output) -> dict[str, Any]:
    numbers = {name: float(getattr(one, name)) for name in ("difference", "spread", "largest")}
    return {"name": one.name, **numbers, "varies": bool(one.varies)}


def comparison_facts(file: str, found: Chosen, comparison: Comparison) -> dict[str, Any]:
    """How far an ONNX file and a network agree, in JSON (docs/json.md)."""

    def facts(outputs: Sequence[Output] | None) -> list[dict[str, Any]] | None:
        return None if outputs is None else [_output_facts(one) for one in outputs]

    return {
        "file": file,
        "model": found.network.name,
        "weights": found.weights,
        "outputs": facts(comparison.outputs),
        "random_outputs": facts(comparison.random_outputs),
    }


def print_comparison(found: Comparison) -> None:
    """Print how far an ONNX file and a module agree."""
    if found.outputs is None:
        print("the file's own weights were not compared (no --weights given)")
    else:
        print(f"largest difference from torch in ONNX Runtime: {found.difference:.3g}")
    if found.flat:
        print(f"note: with these weights {' and '.join(found.flat)} hardly varies between inputs")
    if found.random_outputs is None:
        print("compared with the module's own weights only: the file names its weights differently from archdsl")
    else:
        print(f"with random weights in both: {found.relative:.1e} of how much the output varies between inputs")
    if found.unseen:
        print(f"note: nor does {' and '.join(found.unseen)} with random weights, so it was not compared")
