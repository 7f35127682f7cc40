"""From a checked network to a torch.nn.Module whose classes are written for it."""

from __future__ import annotations

import copy
import hashlib
import linecache
import sys
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from torch import nn

from archdsl.backends.torch import modules
from archdsl.backends.torch.forward import scopes
from archdsl.backends.torch.init import freeze, initialise, parametrize, seeded
from archdsl.backends.torch.scope import Leaf, Scope
from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.commands import NotBuiltFromSpec
from archdsl.graph.network import Network
from archdsl.layers.base import TorchForm


def build(network: Network, *, seed: int | None = None, inplace: bool = True) -> nn.Module:
    """The network as a module tree that mirrors the spec, in training mode, freshly initialised.

    A `seed` makes the weights reproducible and leaves torch's own generators as they were. `inplace=False`
    keeps every activation from running in place; results and gradients are the same either way. The
    module takes batches of `network.input_shape`, and is made on the device of `with torch.device(...)`.
    """
    tree = scopes(network, inplace=inplace)
    with seeded(seed):
        module = instantiate(tree, _fresh)
    module.__dict__["__archdsl_network__"] = network
    return module


def network_of(module: nn.Module) -> Network:
    """The network a module was built from.

    Raises:
        SpecError: the module is not what `build` returned, but a part of it, a wrapper, or from elsewhere.
    """
    network = module.__dict__.get("__archdsl_network__")
    if not isinstance(network, Network):
        raise SpecError([Diagnostic(NotBuiltFromSpec(type(module).__name__))])
    return network


class _Definition(NamedTuple):
    """A generated class as data: enough to make it again in another process."""

    name: str
    plain: bool
    forward: str
    base: str = "GeneratedModule"

    @property
    def source(self) -> str:
        if self.plain:
            return f'class {self.name}(GeneratedSequential):\n    """A plain sequence."""\n'
        return f"class {self.name}({self.base}):\n{self.forward}"


class GeneratedModule(nn.Module):
    """Base of the classes written for a network: they pickle by their source, not by their name.

    What it adds begins with two underscores, as no label of a spec can.
    """

    __definition__: ClassVar[_Definition]
    # In the metadata of a state_dict: torchvision's MNASNet takes version 1 for one with another stem.
    _version = 2

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[..., nn.Module], tuple[Any, ...], dict[str, Any]]:
        return _empty, tuple(self.__definition__), self.__dict__

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        network = self.__dict__.get("__archdsl_network__")
        if network is not None:
            memo[id(network)] = network  # frozen, so that copies can share it
        twin = _empty(*self.__definition__)
        memo[id(self)] = twin
        cast("Any", twin).__setstate__(copy.deepcopy(self.__dict__, memo))
        return twin


class GeneratedSequential(GeneratedModule, nn.Sequential):
    """A plain sequence whose class has a name of its own. A slice of it is one too."""


class FeatureModule(GeneratedModule):
    """A part of a network that returns inner tensors by name, made by `archdsl.features`.

    channels      how many channels each has
    reductions    the stride of each map in the input, where it is the same on all axes
    out_channels  the channels, where all have equally many
    """

    if TYPE_CHECKING:  # torch.jit cannot read annotations that are strings
        channels: dict[str, int]
        reductions: dict[str, int]
        out_channels: int


def _empty(name: str, plain: bool, forward: str, base: str = "GeneratedModule") -> nn.Module:
    cls = _class(_Definition(name, plain, forward, base))
    return cls.__new__(cls)


@cache
def _class(definition: _Definition) -> type[nn.Module]:
    """The class of a definition, made once. Its source is where tracebacks and `inspect.getsource` look for it."""
    digest = hashlib.sha256(repr(definition).encode()).hexdigest()[:12]
    module = ModuleType(f"archdsl.backends.torch.generated_{definition.name}_{digest}")
    module.__file__ = f"<archdsl {definition.name} {digest}>"
    names = "FeatureModule, GeneratedModule, GeneratedSequential"
    text = f"import torch\nfrom {__name__} import {names}\n\n{definition.source}"
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    sys.modules[module.__name__] = module
    exec(compile(text, module.__file__, "exec", dont_inherit=True), module.__dict__)
    cls: type[nn.Module] = getattr(module, definition.name)
    cls.__definition__ = definition  # type: ignore[attr-defined]
    return cls


def instantiate(
    scope: Scope, make: Callable[[str, Leaf], nn.Module], *, base: str = "GeneratedModule", path: str = ""
) -> nn.Module:
    """The module of a scope; `make` gives that of a layer from its path, labels with dots between them."""
    children: list[tuple[str, nn.Module]] = []
    for label, child in scope.children.items():
        inner = f"{path}{label}"
        one = make(inner, child) if isinstance(child, Leaf) else instantiate(child, make, path=f"{inner}.")
        children.append((label, one))
    if scope.cls is None:
        return nn.Sequential(OrderedDict(children))
    module = _class(_Definition(scope.cls, scope.plain, "" if scope.plain else scope.forward, base))()
    for label, one in children:
        if isinstance(one, modules.Parameter):
            module.register_parameter(label, one.value)
        else:
            module.add_module(label, one)
    return module


def _fresh(path: str, leaf: Leaf) -> nn.Module:
    """The module of a layer with new weights."""
    module = torch_class(leaf.form)(*leaf.form.arguments, **leaf.form.keywords)
    initialise(module, leaf.node)
    parametrize(module, leaf.node)
    freeze(module, leaf.node)
    return module


def torch_class(form: TorchForm) -> type[nn.Module]:
    """The class that a form names: in torch.nn, in archdsl.backends.torch.modules, or by its full dotted path."""
    where, _, name = form.cls.rpartition(".")
    namespace = {"nn": nn, "modules": modules}.get(where) or import_module(where)
    cls: type[nn.Module] = getattr(namespace, name)
    return cls
