"""`archdsl verify`: an ONNX file against a network."""

from __future__ import annotations

from typing import Annotated

import typer

from archdsl.cli.network import built, network_of
from archdsl.cli.onnx import Tolerance, mean_and_std, print_comparison
from archdsl.cli.options import Input, Model, Settings, Spec, Weights

EXAMPLES = (
    "archdsl verify lenet.onnx specs/lenet.arch --weights runs/lenet",
    "archdsl verify elsewhere.onnx resnet50 --weights torchvision:DEFAULT --tolerance 1e-3",
)


def verify(
    file: Annotated[str, typer.Argument(metavar="FILE.onnx", help="The ONNX file.")],
    spec: Spec,
    weights: Weights = None,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    normalize: Annotated[
        str | None,
        typer.Option(
            metavar="MEAN;STD",
            help="The file's normalisation: `0.5;0.25`, or `run` for the one used in training.",
        ),
    ] = None,
    tolerance: Tolerance = 1e-4,
) -> None:
    """Compare an ONNX file with a network.

    The file may come from another program. A file that archdsl wrote is compared with random weights in both if there
    are no --weights.
    """
    network = network_of(spec, model, settings, input, run=weights)
    statistics = None if normalize is None else mean_and_std(normalize, weights, network)
    from archdsl.backends.torch.export import verify_onnx

    module = built(network, weights)
    found = verify_onnx(file, module, normalize=statistics, tolerance=tolerance, weights=weights is not None)
    origin = "" if weights is None else f" with the weights of {weights}"
    print(f"{file} agrees with {network.name}{origin}")
    print_comparison(found)
