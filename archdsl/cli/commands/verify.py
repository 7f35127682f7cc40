"""`archdsl verify`: an ONNX file against a network."""

from __future__ import annotations

from typing import Annotated

import typer

from archdsl.cli.network import Asked
from archdsl.cli.onnx import Tolerance, comparison_facts, mean_and_std, print_comparison
from archdsl.cli.options import Input, Model, NetworkArgument, Settings, StdinFilename, TextOrJson, Weights
from archdsl.cli.printing import print_json

EXAMPLES = (
    "archdsl verify lenet.onnx runs/lenet",
    "archdsl verify elsewhere.onnx resnet50 --weights torchvision:DEFAULT --tolerance 1e-3",
)


def verify(
    file: Annotated[str, typer.Argument(metavar="FILE.onnx", help="The ONNX file.")],
    network: NetworkArgument,
    weights: Weights = None,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    stdin_filename: StdinFilename = None,
    normalize: Annotated[
        str | None,
        typer.Option(
            metavar="MEAN;STD",
            help="The file's normalisation: `0.5;0.25`, or `run` for the one used in training.",
        ),
    ] = None,
    tolerance: Tolerance = 1e-4,
    format: TextOrJson = "text",
) -> None:
    """Compare an ONNX file with a network.

    The file may come from another program. A file that archdsl wrote is compared with random weights in both if there
    are no weights.
    """
    asked = Asked(network, model, settings, input, stdin_filename)
    found = asked.weighted(weights).without_recipe()
    statistics = None if normalize is None else mean_and_std(normalize, found)
    from archdsl.backends.torch.export import verify_onnx

    has_weights = found.weights is not None
    comparison = verify_onnx(file, found.built(), normalize=statistics, tolerance=tolerance, weights=has_weights)
    if format == "json":
        print_json(comparison_facts(file, found, comparison))
        return
    print(f"{file} agrees with {found.network.name}" + (f" with {found.origin}" if has_weights else ""))
    print_comparison(comparison)
