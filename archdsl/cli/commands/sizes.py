"""`archdsl sizes`: the input sizes that a network takes."""

from __future__ import annotations

from archdsl.cli.network import Asked
from archdsl.cli.options import Input, Model, NetworkArgument, Settings, StdinFilename, TableOrJson
from archdsl.cli.printing import print_json_text

EXAMPLES = ("archdsl sizes alexnet", "archdsl sizes resnet18 --format json")


def sizes(
    network: NetworkArgument,
    model: Model = None,
    settings: Settings = None,
    input: Input = None,
    stdin_filename: StdinFilename = None,
    format: TableOrJson = "table",
) -> None:
    """Print which input sizes a network takes, and why not others.

    For each axis of each input, while the other axes keep their sizes, and for height and width together.
    """
    checked = Asked(network, model, settings, input, stdin_filename).network()
    from archdsl.sizes import input_sizes
    from archdsl.view import sizes as forms

    found = input_sizes(checked)
    if format == "json":
        print_json_text(forms.to_json(checked, found))
    else:
        from archdsl.view.tables import terminal_width

        print(forms.to_text(checked, found, terminal_width()))
