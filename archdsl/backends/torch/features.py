"""`archdsl.features`: the part of a built module that its inner tensors need, with the same layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from torch import nn

from archdsl.backends.torch import modules
from archdsl.backends.torch.build import FeatureModule, instantiate, network_of
from archdsl.backends.torch.forward import feature_scopes
from archdsl.backends.torch.scope import Leaf
from archdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from archdsl.diagnostics.codes.interop import ChangedModule, NoFeatures, UnknownFeature
from archdsl.graph.features import feature_names, features_of
from archdsl.graph.network import Network
from archdsl.shapes import Shape
from archdsl.shapes.receptive_field import ReceptiveField


def features(module: nn.Module, names: Sequence[str] | Mapping[str, str]) -> FeatureModule:
    """A module that returns inner tensors of `module` as a dictionary: a backbone for detection or segmentation.

    It has the layers of `module` themselves, weights included, under the same names, but only those that the tensors
    need. Nothing that follows overwrites the tensors.

    Args:
        module: made by `build()`; it is left as it was.
        names: parts, layers or taps, by their names in the table, `["layer2", "layer4"]`; as a dictionary with the
            names to return them under, `{"layer4": "out"}`. Of what runs several times, the first run is meant.

    Returns:
        A module with the attributes `channels` and `reductions` (strides), by name, and `out_channels` where all
        have equally many channels.

    Raises:
        SpecError: a name is unknown (E870), none is given or two are alike (E871), or parts of the module have been
            replaced (E872).
    """
    network = network_of(module)
    wanted = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
    _check(network, names, wanted)
    found = features_of(network, wanted)
    result = cast(FeatureModule, instantiate(feature_scopes(network, found), _layers_of(module), base="FeatureModule"))
    shapes = {tap.name: tap.shape for tap in found.outputs}
    fields = found.fields
    result.channels = {name: int(shape[_channel_axis(fields[name])]) for name, shape in shapes.items()}
    strides = {name: _strides(shape, fields[name], network.input_shape) for name, shape in shapes.items()}
    result.reductions = {name: next(iter(both)) for name, both in strides.items() if len(both) == 1}
    if len(set(result.channels.values())) == 1:
        result.out_channels = next(iter(result.channels.values()))
    return result.train(module.training)


def _check(network: Network, names: Sequence[str] | Mapping[str, str], wanted: Mapping[str, str]) -> None:
    if isinstance(names, str):
        raise SpecError([Diagnostic(NoFeatures(f"a list of names is expected, [{names!r}], found a string"))])
    if not wanted:
        raise SpecError([Diagnostic(NoFeatures("the list of names is empty"))])
    if len(set(wanted.values())) != len(names):
        raise SpecError([Diagnostic(NoFeatures("two tensors have the same name"))])
    known = feature_names(network)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SpecError(
            [Diagnostic(UnknownFeature(network.name, name), helps=did_you_mean(name, known)) for name in unknown]
        )


def _layers_of(module: nn.Module) -> Callable[[str, Leaf], nn.Module]:
    """Find the layers of a module for one with another `forward`."""

    def find(path: str, leaf: Leaf) -> nn.Module:
        try:
            if leaf.is_parameter:
                parameter = modules.Parameter((0,))
                parameter.value = module.get_parameter(path)
                return parameter
            layer = module.get_submodule(path)
        except AttributeError:
            raise SpecError([Diagnostic(ChangedModule(path))]) from None
        if getattr(layer, "inplace", False) and not leaf.form.keywords.get("inplace"):
            layer = copy.copy(layer)  # its input may be one of the features
            layer.inplace = False  # type: ignore[assignment]
        return layer

    return find


def _channel_axis(field: ReceptiveField) -> int:
    """The axis of the channels: the one that does not run along the input, or runs along several of its axes.

    It is the last one where axes were permuted, as in Swin, whose patches are merged into the channels.
    """
    apart = [i for i, axes in enumerate(field.axes) if not axes]
    mixed = [i for i, axes in enumerate(field.axes) if len(axes) > 1]
    return next((found[0] for found in (apart, mixed) if len(found) == 1), 0)


def _strides(shape: Shape, field: ReceptiveField, input: Shape) -> set[int]:
    """The strides on the axes of a map in the input; empty where the tensor is no map."""
    channels = _channel_axis(field)
    axes = [(size, *along) for i, (size, along) in enumerate(zip(shape, field.axes, strict=True)) if i != channels]
    if {len(axis) for axis in axes} != {2} or len(axes) != input.rank:
        return set()
    return {_stride(input.spatial[along] / size, field.jump[along]) for size, along in axes}


def _stride(ratio: float, jump: float) -> int:
    """The product of the strides. Not the ratio of the sizes where windows without padding make maps smaller too.

    Windows over all of the map and patches merged into the channels leave only the ratio.
    """
    return round(jump if 2 / 3 < jump / ratio < 3 / 2 else ratio)
