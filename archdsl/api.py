"""`archdsl.load`: a path, a name of the zoo or a text becomes a checked network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.cards import index
from archdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from archdsl.diagnostics.codes.files import NotFound
from archdsl.elaborate import elaborate, load_module
from archdsl.elaborate.modules import Module, read
from archdsl.graph import network
from archdsl.text.source import Source

if TYPE_CHECKING:
    from torch import nn


class Network(network.Network):
    """A checked network that can build itself."""

    def build(self, *, seed: int | None = None) -> nn.Module:
        """The network as a torch.nn.Module, freshly initialised (from `seed`, where one is given)."""
        from archdsl.backends.torch import build

        return build(self, seed=seed)


def find(spec: str | Path) -> tuple[Module, str | None]:
    """The file that a path, a zoo name or a text stands for, loaded, and the model a zoo name means.

    A string is a path if such a file is there or it ends in `.arch`, a text if it holds a brace or a line
    end, and a name of the zoo otherwise.

    Raises:
        SpecError: it cannot be found, read or parsed.
    """
    if isinstance(spec, str) and ("{" in spec or "\n" in spec):
        return load_module(Source("<string>", spec), Path.cwd() / "<string>"), None
    path = Path(spec)
    if isinstance(spec, Path) or path.suffix == ".arch" or "/" in spec or _exists(path):
        return load_module(read(path), path), None
    found = index.find(spec)
    if found is None:
        helps = did_you_mean(spec, index.names(), otherwise="`archdsl zoo` lists the networks of the zoo")
        problem = NotFound(spec, " and no network of that name in the zoo")
        raise SpecError([Diagnostic(problem, path=spec, helps=helps)])
    return load_module(read(found.path), found.path), found.model


def network_of(
    module: Module,
    model: str | None = None,
    *,
    input: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Network:
    """A model of a loaded file; arguments as those of `load`."""
    checked = elaborate(module, model, input=input, settings=settings)
    return Network(**{one.name: getattr(checked, one.name) for one in fields(checked)})


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def load(
    spec: str | Path,
    *,
    model: str | None = None,
    input: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> Network:
    """The checked graph of a network; torch is not imported.

    Args:
        spec: the path of an `.arch` file, a name of the zoo such as `"resnet18"`, or a spec's text.
        model: which of the file's models; by default the one named as the file, else the first.
        input: another input shape than the spec's, without the batch axis: `(3, 64, 64)`.
        settings: the model's parameters by their names, any name: `{"input": (3, 32, 32)}`.
        parameters: the same for names that are no argument of this function, `classes=10`.

    Raises:
        SpecError: with every diagnostic; its text is the whole report.
    """
    module, named = find(spec)
    return network_of(module, model or named, input=input, settings={**(settings or {}), **parameters})
