"""`archdsl export`: a network as an ONNX file."""

from __future__ import annotations

from typing import Annotated

import typer

from archdsl.cli.network import Asked
from archdsl.cli.onnx import Tolerance, comparison_facts, mean_and_std, print_comparison
from archdsl.cli.options import Input, Model, NetworkArgument, Settings, StdinFilename, TextOrJson, Weights
from archdsl.cli.printing import print_json

EXAMPLES = (
    "archdsl export runs/lenet -o lenet.onnx",
    'archdsl export resnet18 -o resnet18.onnx --normalize "0.485,0.456,0.406;0.229,0.224,0.225"',
    "archdsl export mobilenet_v2 -o mobilenet_v2.onnx --dynamic-size",
)


def export(
    network: NetworkArgument,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The ONNX file to write.")],
    weights: Weights = None,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    stdin_filename: StdinFilename = None,
    opset: Annotated[int, typer.Option(metavar="N", help="The ONNX opset version.")] = 20,
    no_fold: Annotated[bool, typer.Option("--no-fold", help="Do not fold batch norm into convolutions.")] = False,
    normalize: Annotated[
        str | None,
        typer.Option(
            metavar="MEAN;STD",
            help="Begin with (x - mean) / std: `0.5;0.25`, or `run` for the normalisation used in training.",
        ),
    ] = None,
    tolerance: Tolerance = 1e-4,
    dynamic_size: Annotated[
        bool, typer.Option("--dynamic-size", help="For all sizes that `archdsl sizes` prints; compared at three.")
    ] = False,
    format: TextOrJson = "text",
) -> None:
    """Write an ONNX file and compare it with torch.

    The file is checked and run in ONNX Runtime, with its own weights and with random ones, before it is kept.
    """
    asked = Asked(network, model, settings, input, stdin_filename)
    found = asked.weighted(weights).without_recipe()
    statistics = None if normalize is None else mean_and_std(normalize, found)
    from archdsl.backends.torch.export import compared_export

    comparison = compared_export(
        found.built(),
        output,
        opset=opset,
        fold_batchnorm=not no_fold,
        normalize=statistics,
        tolerance=tolerance,
        dynamic_size=dynamic_size,
    )
    if format == "json":
        print_json(comparison_facts(output, found, comparison))
        return
    print(f"wrote {output} with {found.origin}")
    print_comparison(comparison)
