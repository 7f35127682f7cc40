"""Weights that torchvision publishes: found by name, downloaded by torchvision, loaded into the same network here."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlparse

import torch
from torch import Tensor, nn
from torchvision import models

from archdsl.backends.torch.build import network_of
from archdsl.backends.torch.weights import PREFIX, copy_into, reason
from archdsl.diagnostics import Diagnostic, Help, Note, SpecError, did_you_mean
from archdsl.diagnostics.codes.weights import (
    NoDownload,
    NotWeights,
    NoTwin,
    UnknownPublished,
    UnknownTwin,
    WeightsWarning,
)
from archdsl.graph.network import Network
from archdsl.shapes import InputSizes, Shape

N = TypeVar("N", bound=Network)

#: The parameter that torchvision's builder sets to true when it is given weights: inputs were normalised
#: otherwise in training, or segmentation was trained with an auxiliary head.
TRAINED_WITH = {
    "googlenet": "transform_input",
    "inception_v3": "transform_input",
    "fcn_resnet50": "aux_loss",
    "fcn_resnet101": "aux_loss",
    "deeplabv3_resnet50": "aux_loss",
    "deeplabv3_resnet101": "aux_loss",
    "deeplabv3_mobilenet_v3_large": "aux_loss",
}
#: The names in specs of the parameter that is the height and width of the input.
SIZES = {"image_size", "size"}
#: The parameters that leave auxiliary heads out, and how the keys of those heads begin.
WITHOUT_HEADS = ("aux_logits", "aux_loss")
HEADS = ("aux", "Aux")


@dataclass(frozen=True, slots=True)
class Published:
    """Weights of torchvision's network `twin`; `weights` is the member of its enumeration."""

    twin: str
    weights: Any

    @property
    def name(self) -> str:
        """Their full name: `torchvision:resnet50/IMAGENET1K_V2`."""
        return f"{PREFIX}{self.twin}/{self.weights.name}"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the outputs."""
        return tuple(self.weights.meta.get("categories") or ())

    @property
    def file(self) -> Path:
        """Where torchvision keeps the download."""
        return Path(torch.hub.get_dir(), "checkpoints", PurePosixPath(urlparse(self.weights.url).path).name)

    def transform(self) -> Any:
        """The preprocessing from an image to the network's input, torchvision's own."""
        return self.weights.transforms()

    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, for images in 0..1."""
        transform = self.transform()
        if not hasattr(transform, "mean"):
            # A detector normalizes its images itself.
            with torch.device("meta"):
                detector = models.get_model(self.twin, weights=None, weights_backbone=None)
            return tuple(detector.transform.image_mean), tuple(detector.transform.image_std)
        return tuple(transform.mean), tuple(transform.std)

    def input_size(self, shape: Shape) -> tuple[int, ...]:
        """An input shape with the height and width that the preprocessing crops images to."""
        crop = getattr(self.transform(), "crop_size", None)
        if crop is None or shape.rank < 2:
            return tuple(shape)
        return (*shape[:-2], *(crop * 2)[:2])

    def settings(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a model that these weights need, with their values."""
        name = TRAINED_WITH.get(self.twin, "")
        return {name: True} if name in parameters else {}


def find(reference: str, network: Network) -> Published:
    """Find the weights `torchvision:NAME` or `torchvision:TWIN/NAME` for a network.

    Raises:
        SpecError: torchvision does not have the network (E722, E723) or the weights (E724).
    """
    twin, _, name = reference.removeprefix(PREFIX).rpartition("/")
    twin = twin or _twin(network)
    try:
        enum = models.get_model_weights(twin)
    except ValueError:
        raise _error(UnknownTwin(twin), *did_you_mean(twin, models.list_models())) from None
    # As in torchvision, the name may start with the enumeration's.
    member = enum.__members__.get(name.rpartition(".")[2])
    if member is None:
        problem = UnknownPublished(name, twin, ", ".join(enum.__members__))
        raise _error(problem, *did_you_mean(name, enum.__members__))
    return Published(twin, member)


def _twin(network: Network) -> str:
    from archdsl.cards import index

    if twin := index.twin(network.name, network.path):
        return twin
    known = index.find(network.name)
    if known is not None and Path(network.path).resolve() == known.path.resolve():
        raise _error(NoTwin(network.name, "it is not in torchvision"))
    help = Help(f"if the model has the structure of one of torchvision's, name it: `{PREFIX}resnet50/IMAGENET1K_V2`")
    raise _error(NoTwin(network.name, "it is not in the zoo"), help)


def _error(problem: Any, *helps: Help, notes: Sequence[str] = ()) -> SpecError:
    return SpecError([Diagnostic(problem, helps=helps, notes=tuple(map(Note, notes)))])


def fitted(
    reference: str,
    elaborate: Callable[[InputSizes | None, Mapping[str, Any]], N],
    input: InputSizes | None,
    settings: Mapping[str, Any],
) -> tuple[N, Published]:
    """A network as the weights need it: with their input size and settings, where none other are given.

    `elaborate` makes the network for an input (None: the spec's own) and settings. A warning reports a
    changed input.
    """
    network = elaborate(input, settings)
    found = find(reference, network)
    needed = found.settings(network.settings)
    chosen = input is not None or bool(SIZES & settings.keys())
    size = tuple(network.input_shape) if chosen else found.input_size(network.input_shape)
    if size == tuple(network.input_shape) and needed.items() <= network.settings.items():
        return network, found
    if size != tuple(network.input_shape):
        warn(f"the input is {Shape(size)}, which the weights {found.name} were trained for")
    return elaborate(input if chosen else size, needed | dict(settings)), found


def load(module: nn.Module, found: Published) -> None:
    """Download weights, unless torchvision has them already, and copy them into a module made by `build()`.

    Every key and shape has to fit, but for a head of another number of classes: it stays as it is, and a
    warning names its layers. Heads that the network was built without are left out.

    Raises:
        SpecError: they cannot be downloaded (E725) or read (E721), or do not fit (E702 to E704).
    """
    network = network_of(module)
    state = _state(found)
    if any(network.settings.get(name) is False for name in WITHOUT_HEADS):
        state = {key: tensor for key, tensor in state.items() if not key.startswith(HEADS)}
    fresh = _other_head(module.state_dict(), state, network.output_shape.channels, len(found.classes))
    copy_into(module, state, found.name, skip=fresh)
    needed = TRAINED_WITH.get(found.twin, "")
    if needed and needed not in WITHOUT_HEADS and network.settings.get(needed) is not True:
        warn(f"the weights {found.name} were trained with {needed}=true, but {network.name} was built without it")
    if fresh:
        layers = ", ".join(dict.fromkeys(key.rpartition(".")[0] for key in fresh))
        classes = f"the weights have {len(found.classes):,} classes, the network {network.output_shape.channels:,}"
        warn(f"not loaded, to be trained: {layers} ({classes})")


def _state(found: Published) -> dict[str, Tensor]:
    """The state_dict, downloaded by torchvision, which compares the checksum; nothing is unpickled but tensors."""
    try:
        # Torch reports downloads on standard output, which is for results here.
        with contextlib.redirect_stdout(sys.stderr):
            state = found.weights.get_state_dict(
                progress=sys.stderr.isatty(), check_hash=True, map_location="cpu", weights_only=True
            )
    except Exception as error:  # the network, the disk and a damaged file can fail in any way
        if found.file.is_file():
            help = "delete the file to download it again"
            raise _error(NotWeights(str(found.file), reason(error)), Help(help)) from error
        notes = [f"the file is {found.weights.url}", f"torchvision looks for it in {found.file.parent}"]
        help = f"without a connection, copy {found.file.name} to that folder, or pass its path with `--weights FILE`"
        raise _error(NoDownload(found.name, reason(error)), Help(help), notes=notes) from error
    return dict(state)


def _other_head(own: Mapping[str, Tensor], state: Mapping[str, Tensor], outputs: int, classes: int) -> list[str]:
    """The keys whose first axis is the number of classes, where only that differs."""
    return [
        key
        for key, tensor in own.items()
        if outputs != classes
        and key in state
        and (*tensor.shape[:1], *state[key].shape[:1]) == (outputs, classes)
        and tensor.shape[1:] == state[key].shape[1:]
    ]


def warn(text: str) -> None:
    """Warn about weights: a note on the command line, a warning in Python."""
    warnings.warn(text, WeightsWarning, stacklevel=2)
