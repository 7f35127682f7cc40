"""The network that a command line asks for: by path, zoo name, run folder, revision in git, or on standard input.

`find` turns the argument NETWORK into a source, `Asked` that and the options beside it into a checked network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.cli.options import input_sizes, reject_unused
from archdsl.text.paths import shown

if TYPE_CHECKING:
    from torch import nn

    from archdsl.api import Network
    from archdsl.arguments.values import Entry
    from archdsl.diagnostics import Help, SpecError
    from archdsl.elaborate.modules import Module, Reader
    from archdsl.graph.network import Network as PartialNetwork
    from archdsl.runs.folder import RunFolder, RunInfo
    from archdsl.shapes import InputSizes
    from archdsl.text.source import Source

#: NETWORK for standard input, and the name of its source where `--stdin-filename` gives no other.
STDIN, UNNAMED = "-", "<stdin>"
#: The prefix of weights that torchvision publishes.
PUBLISHED = "torchvision:"
#: The extensions of files with weights.
WEIGHTS = {".safetensors", ".pt", ".pth"}


class Found(NamedTuple):
    """The source of a network.

    path   where its file is, or would be: what it imports is relative to it
    model  the model of a zoo name
    run    the run folder that it is from
    read   reads the files it imports, None: those on the disk
    """

    source: Source
    path: Path
    model: str | None = None
    run: RunFolder | None = None
    read: Reader | None = None

    def module(self) -> Module:
        """The file, loaded with what it imports."""
        from archdsl.elaborate.modules import load_module, read

        return load_module(self.source, self.path, self.read or read)


class Chosen(NamedTuple):
    """A checked network.

    file     its file
    entries  the recipe entries among the settings
    weights  the value of `--weights`, or else the run folder that the network is from
    run      the run that the weights or else the network are from
    """

    network: Network
    file: Module
    entries: dict[str, Entry]
    weights: str | None = None
    run: RunFolder | None = None

    def without_recipe(self) -> Chosen:
        """The same, for a command without a recipe. Raises SpecError (E717) for settings of one."""
        if self.entries:
            from archdsl.cli.settings import unused

            raise unused(self.entries)
        return self

    @property
    def known_weights(self) -> str:
        """The weights. Rejects (E791) a command line without any."""
        if self.weights is not None:
            return self.weights
        from archdsl.cli.usage import WrongUse
        from archdsl.diagnostics.codes.networks import WeightsNeeded

        name = self.network.name
        raise WrongUse(WeightsNeeded(name), "NETWORK", *_weights_helps(name, self.network.path))

    @property
    def origin(self) -> str:
        """Where the weights are from, in words."""
        if self.weights is None:
            return "freshly initialised weights (neither a run nor --weights given)"
        return f"the weights of {self.weights}"

    def built(self) -> nn.Module:
        """The torch module in evaluation mode, with the weights if there are any."""
        module = self.network.build()
        if self.weights is not None:
            from archdsl.backends.torch import load_weights
            from archdsl.backends.torch.weights import set_origin

            load_weights(module, self.weights)
            if self.run is not None and not self.weights.startswith(PUBLISHED):
                set_origin(module, str(self.run.path))
        return module.eval()


class Wanted(NamedTuple):
    """The model of a file that is asked for (None: the default one), and how."""

    model: str | None
    input: InputSizes | None
    settings: Mapping[str, Any]
    entries: dict[str, Entry]


@dataclass(frozen=True)
class Asked:
    """What a command line says about its network: NETWORK and the options of every command."""

    text: str
    model: str | None = None
    settings: Sequence[str] | None = None
    input: Sequence[str] | None = None
    stdin_filename: str | None = None

    @cached_property
    def found(self) -> Found:
        """The source of the network, which is read once: standard input cannot be read again."""
        return find(self.text, self.stdin_filename)

    @property
    def named(self) -> str | None:
        """The model that is asked for by `--model` or a zoo name."""
        return self.model or self.found.model

    def network(self) -> Network:
        """The checked network, for a command that takes neither weights nor a recipe."""
        return self.chosen().without_recipe().network

    def chosen(self) -> Chosen:
        """The checked network; that of a run has the run's model, settings and input sizes unless others are given.

        With another model of the run's spec, the settings and sizes are those of the spec.
        """
        module, run = self.found.module(), self.found.run
        return self._checked(module, self._info_for(run, module))._replace(run=run)

    def weighted(self, weights: str | None) -> Chosen:
        """The checked network with the value of `--weights`, or else the weights of the run that it is from.

        Where the network is not from a run, weights of a run bring the run's model, settings and input sizes, those of
        torchvision the ones that they were trained with.
        """
        own = self.found.run
        if weights is None and own is not None:
            weights = str(own.path)
        module = self.found.module()
        if weights is None or weights.startswith(PUBLISHED):
            info = self._info_for(own, module)
            return self._checked(module, info, weights)._replace(weights=weights, run=own)
        _require_weights(weights)
        from archdsl.runs.folder import run_of

        run = run_of(weights)
        if run is not None and Path(weights).is_dir():
            self._require_model(weights, run)
        info = self._info_for(own or run, module, is_folder=own is not None or Path(weights).is_dir())
        return self._checked(module, info)._replace(weights=weights, run=run or own)

    def known(self) -> PartialNetwork | None:
        """What is known of a network with errors, None if that is nothing."""
        from archdsl.diagnostics import SpecError
        from archdsl.elaborate.modules import load, read
        from archdsl.elaborate.run import run_of

        try:
            found = self.found
            module, _ = load(found.source, found.path, found.read or read)
            wanted = self._wanted(module, self._info_for(found.run, module))
            network = run_of(module, wanted.model, input=wanted.input, settings=wanted.settings).network
        except SpecError:
            return None
        return network if network.layers else None

    def _checked(self, module: Module, info: RunInfo | None, weights: str | None = None) -> Chosen:
        """The network with what applies of a run; for published `weights`, as these need it."""
        from archdsl.api import network_of

        wanted = self._wanted(module, info)

        def made(size: InputSizes | None, settings: Mapping[str, Any]) -> Network:
            return network_of(module, wanted.model, input=size, settings=settings)

        if weights is not None:
            from archdsl.backends.torch.published import fitted

            return Chosen(fitted(weights, made, wanted.input, wanted.settings)[0], module, wanted.entries)
        return Chosen(made(wanted.input, wanted.settings), module, wanted.entries)

    def _wanted(self, module: Module, info: RunInfo | None) -> Wanted:
        """What the options, and under them a run, ask for."""
        model, shape = self.named, input_sizes(self.input)
        known: dict[str, Any] = {}
        if info is not None:
            model, shape, known = info.model, _together(shape, info.input), info.settings
        if not self.settings:
            return Wanted(model, shape, known, {})
        from archdsl.cli.settings import read_settings

        values, entries = read_settings(self.settings, module, model)
        return Wanted(model, shape, known | values, entries)

    def _info_for(self, run: RunFolder | None, module: Module, *, is_folder: bool = True) -> RunInfo | None:
        """What is known of a run, if it is of the model that is asked for.

        A single file of a run may be meant for a model of another spec.
        """
        info = None if run is None else run.read_info()
        if info is None or self.named not in {None, info.model}:
            return None
        return info if is_folder or info.model in module.models else None

    def _require_model(self, weights: str, run: RunFolder) -> None:
        """Reject (E792) weights of a run of another model than is asked for or the network's run is of."""
        model, own = run.read_info().model, self.found.run
        wanted = self.named or (own.read_info().model if own is not None else model)
        if wanted != model:
            from archdsl.cli.usage import WrongUse
            from archdsl.diagnostics.codes.networks import WeightsOfOtherModel

            raise WrongUse(WeightsOfOtherModel(weights, model, wanted), "--model" if self.model else "--weights")


def find(network: str, stdin_filename: str | None = None) -> Found:
    """The source that NETWORK stands for.

    Raises:
        SpecError: it cannot be found or read (E00x), the folder is no run (E632), git does not have it (E790).
    """
    if network == STDIN:
        from archdsl.cli.streams import read_stdin

        name = stdin_filename or UNNAMED
        return Found(read_stdin(name), Path(name))
    reject_unused("a network that is not `-`, standard input", stdin_filename=stdin_filename)
    if _is_folder(network):
        return _of_run(network)
    if ":" in network:
        from archdsl.cli.revisions import at_revision, is_revision

        if is_revision(network):
            source, path, read = at_revision(network)
            return Found(source, path, read=read)
    return _on_disk(network)


def _is_folder(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_dir()
    except (OSError, ValueError):  # it is too long, such as the text of a spec
        return False


def _of_run(folder: str) -> Found:
    """The spec in a run folder."""
    from archdsl.elaborate.modules import read
    from archdsl.runs.folder import missing, run_of

    run = run_of(folder)
    assert run is not None
    if not run.spec.is_file():
        raise missing(run.path, run.spec.name)
    return Found(read(run.spec), run.spec, run=run)


def _on_disk(network: str) -> Found:
    """A file by its path, or that of a zoo name, whose place is shown as it is found from the current folder."""
    from archdsl.api import locate
    from archdsl.diagnostics import SpecError
    from archdsl.text.source import Source

    try:
        source, path, model = locate(network)
    except SpecError as error:
        raise _or_a_run(error, network) from None
    if model is not None:
        source = Source(shown(str(path)), source.text)
    return Found(source, path, model)


def _or_a_run(error: SpecError, network: str) -> SpecError:
    """The error for a file that is not there or no spec, with the run that may have been meant."""
    from dataclasses import replace

    from archdsl.diagnostics import Help, SpecError
    from archdsl.runs.find import instead_of

    diagnostic, *_ = error.diagnostics
    helps = instead_of(Path(network)) if diagnostic.code == "E001" else ()
    if diagnostic.code == "E004" and Path(network).suffix in WEIGHTS:
        helps = (Help(f"weights are given beside the network: NETWORK --weights {network}"),)
    return SpecError([replace(diagnostic, helps=helps)]) if helps else error


def _require_weights(weights: str) -> None:
    """Reject (E720) weights that are not there, with the run that may have been meant."""
    if not Path(weights).exists():
        from archdsl.diagnostics import Diagnostic, SpecError
        from archdsl.diagnostics.codes.weights import NoWeights
        from archdsl.runs.find import instead_of

        problem = NoWeights(weights, "there is no such file or folder")
        raise SpecError([Diagnostic(problem, path=weights, helps=instead_of(Path(weights)))])


def spec_path(spec: str) -> str:
    """The path of the file with the zoo network of that name; otherwise the argument unchanged."""
    if Path(spec).exists():
        return spec
    from archdsl.cards import index as zoo

    entry = zoo.find(spec)
    return spec if entry is None else shown(str(entry.path))


def _weights_helps(model: str, path: str) -> tuple[Help, ...]:
    """Where weights for a model may be from."""
    from archdsl.cards import index
    from archdsl.diagnostics import Help

    own = Help("name a run folder in place of the network, or weights: `--weights FILE`, `--weights runs/NAME`")
    published = Help(f"torchvision has weights for {model}: `--weights {PUBLISHED}DEFAULT`")
    return (own, published) if index.twin(model, path) else (own,)


def _together(given: InputSizes | None, known: InputSizes) -> InputSizes:
    """The sizes that are given, and the known ones of the other inputs where these have names."""
    if isinstance(given, Mapping) and isinstance(known, Mapping):
        return {**known, **given}
    return known if given is None else given
