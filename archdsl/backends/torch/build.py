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
from typing import Any, ClassVar, NamedTuple, cast

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
        module = _instantiate(tree)
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

    @property
    def source(self) -> str:
        if self.plain:
            return f'class {self.name}(GeneratedSequential):\n    """A plain sequence."""\n'
        return f"class {self.name}(GeneratedModule):\n{self.forward}"


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


def _empty(name: str, plain: bool, forward: str) -> nn.Module:
    cls = _class(_Definition(name, plain, forward))
    return cls.__new__(cls)


@cache
def _class(definition: _Definition) -> type[nn.Module]:
    """The class of a definition, made once. Its source is where tracebacks and `inspect.getsource` look for it."""
    digest = hashlib.sha256(repr(definition).encode()).hexdigest()[:12]
    module = ModuleType(f"archdsl.backends.torch.generated_{definition.name}_{digest}")
    module.__file__ = f"<archdsl {definition.name} {digest}>"
    text = f"import torch\nfrom {__name__} import GeneratedModule, GeneratedSequential\n\n{definition.source}"
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    sys.modules[module.__name__] = module
    exec(compile(text, module.__file__, "exec", dont_inherit=True), module.__dict__)
    cls: type[nn.Module] = getattr(module, definition.name)
    cls.__definition__ = definition  # type: ignore[attr-defined]
    return cls


def _instantiate(scope: Scope) -> nn.Module:
    children = ((label, _child(child)) for label, child in scope.children.items())
    if scope.cls is None:
        return nn.Sequential(OrderedDict(children))
    module = _class(_Definition(scope.cls, scope.plain, "" if scope.plain else scope.forward))()
    for label, child in children:
        if isinstance(child, modules.Parameter):
            module.register_parameter(label, child.value)
        else:
            module.add_module(label, child)
    return module


def _child(child: Leaf | Scope) -> nn.Module:
    if isinstance(child, Scope):
        return _instantiate(child)
    module = torch_class(child.form)(*child.form.arguments, **child.form.keywords)
    initialise(module, child.node)
    parametrize(module, child.node)
    freeze(module, child.node)
    return module


def torch_class(form: TorchForm) -> type[nn.Module]:
    """The class that a form names: in torch.nn, in archdsl.backends.torch.modules, or by its full dotted path."""
    where, _, name = form.cls.rpartition(".")
    namespace = {"nn": nn, "modules": modules}.get(where) or import_module(where)
    cls: type[nn.Module] = getattr(namespace, name)
    return cls
