"""`archdsl sizes`: the input sizes that a network takes."""

from __future__ import annotations

from archdsl.cli.network import network_of
from archdsl.cli.options import Input, Model, Settings, Spec, TableOrJson
from archdsl.cli.printing import print_json_text

EXAMPLES = ("archdsl sizes alexnet", "archdsl sizes specs/unet.arch --set padding=1 --format json")


def sizes(
    spec: Spec,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    format: TableOrJson = "table",
) -> None:
    """Print which input sizes a network takes, and why not others.

    For each axis of each input, while the other axes keep their sizes, and for height and width together.
    """
    network = network_of(spec, model, settings, input)
    from archdsl.sizes import input_sizes
    from archdsl.view import sizes as forms

    found = input_sizes(network)
    if format == "json":
        print_json_text(forms.to_json(network, found))
    else:
        print(forms.to_text(network, found))
