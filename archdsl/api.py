"""`archdsl.load`: from a path, a zoo name or a spec to a checked network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.cards import index
from archdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from archdsl.diagnostics.codes.files import NotFound
from archdsl.diagnostics.extras import needed_for
from archdsl.elaborate import elaborate, load_module
from archdsl.elaborate.modules import Module, read
from archdsl.elaborate.partial import PlacedNetwork, load_partial, nothing
from archdsl.graph import network
from archdsl.shapes import InputSizes
from archdsl.text.source import Source

if TYPE_CHECKING:
    from torch import nn


class Network(PlacedNetwork):
    """A checked network that can build itself, or with `partial=True` what is known of one.

    Its `repr` is one line, its string the table of `archdsl summary`; a notebook shows the table and the picture.
    """

    def __repr__(self) -> str:
        from archdsl.view.short import line_of

        if self.errors:
            return f"<Network {self.name or self.path}: {len(self.errors)} error{'s' * (len(self.errors) > 1)}>"
        return f"<Network {line_of(self)}>"

    def __str__(self) -> str:
        from archdsl.view.short import table_of
        from archdsl.view.tables import terminal_width

        return table_of(self, terminal_width(), partial=bool(self.errors)) if self.layers else repr(self)

    def _repr_html_(self) -> str | None:
        from archdsl.diagrams.notebook import html_of

        return None if self.errors else html_of(self)

    @property
    def unmet(self) -> list[Diagnostic]:
        """The requirements that the network does not meet; those of its accuracy are checked by `train` and `eval`."""
        from archdsl.graph.requirements import unmet

        return unmet(self)

    def build(self, *, seed: int | None = None) -> nn.Module:
        """The network as a torch.nn.Module, freshly initialised, from `seed` if there is one.

        Raises:
            SpecError: the spec has errors, or torch is not installed.
        """
        if self.errors:
            raise SpecError(self.errors)
        with needed_for("building a module"):
            from archdsl.backends.torch import build
        return build(self, seed=seed)


def locate(spec: str | Path) -> tuple[Source, Path, str | None]:
    """The source that a path, a zoo name or a spec's own text stands for, its path, and the model of a zoo name.

    A string is a path if such a file exists or it ends in `.arch`, the spec itself if it has a brace or line break, and
    a name of the zoo otherwise.

    Raises:
        SpecError: it cannot be found or read.
    """
    if isinstance(spec, str) and ("{" in spec or "\n" in spec):
        return Source("<string>", spec), Path.cwd() / "<string>", None
    if spec == "":  # as a path it would be the current folder
        raise SpecError([Diagnostic(NotFound(spec, ""))])
    path = Path(spec)
    if isinstance(spec, Path) or path.suffix == ".arch" or "/" in spec or _exists(path):
        return read(path), path, None
    found = index.find(spec)
    if found is None:
        helps = did_you_mean(spec, index.names(), otherwise="`archdsl zoo` lists the networks of the zoo")
        problem = NotFound(spec, " and no network of that name in the zoo")
        raise SpecError([Diagnostic(problem, path=spec, helps=helps)])
    return read(found.path), found.path, found.model


def find(spec: str | Path) -> tuple[Module, str | None]:
    """The file that a spec stands for, loaded, and the model of a zoo name; see `locate`.

    Raises:
        SpecError: it cannot be found, read or parsed.
    """
    source, path, model = locate(spec)
    return load_module(source, path), model


def network_of(
    module: Module,
    model: str | None = None,
    *,
    input: InputSizes | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Network:
    """A model of a loaded file; arguments as those of `load`."""
    return _buildable(elaborate(module, model, input=input, settings=settings))


def _buildable(checked: network.Network) -> Network:
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
    input: InputSizes | None = None,
    settings: Mapping[str, Any] | None = None,
    partial: bool = False,
    **parameters: Any,
) -> Network:
    """The checked graph of a network; torch is not imported.

    Args:
        spec: the path of an `.arch` file, a zoo name such as `"resnet18"`, or a spec as a string.
        model: which of the file's models; by default the one named like the file, else the first.
        input: another input shape than the spec's, without the batch axis: `(3, 64, 64)`. For named inputs a
            dictionary: `{"image": (3, 64, 64)}`.
        settings: the model's parameters by name, any name: `{"input": (3, 32, 32)}`.
        partial: whether to return what is known of a spec with errors, which are then the network's `diagnostics`,
            instead of raising them.
        parameters: settings whose names are not arguments of this function, `classes=10`.

    Raises:
        SpecError: with every diagnostic; its text is the whole report.
    """
    given = {**(settings or {}), **parameters}
    if not partial:
        module, named = find(spec)
        return network_of(module, model or named, input=input, settings=given)
    try:
        source, path, named = locate(spec)
    except SpecError as error:
        return _buildable(nothing(Source(str(spec), ""), error.diagnostics))
    return _buildable(load_partial(source, path, model or named, input=input, settings=given))
