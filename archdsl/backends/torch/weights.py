"""Weights on disk: safetensors, or PyTorch's own format read without running code."""

from __future__ import annotations

import pickle
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.diagnostics import Diagnostic, Help, Problem, SpecError
from archdsl.diagnostics.codes.commands import MissingWeight, UnexpectedWeight, WrongWeightShape
from archdsl.diagnostics.codes.weights import NotWeights, NoWeights
from archdsl.files.tensors import write_tensors
from archdsl.shapes import Shape

#: The file in a run folder.
WEIGHTS_FILE = "weights.safetensors"
#: Where checkpoints of other programs keep the state_dict.
_WRAPPERS = ("state_dict", "model")
#: At most so many keys are named in one report.
_SHOWN = 8
#: The prefix of published weights of torchvision, given instead of a path.
PREFIX = "torchvision:"
#: Keys in files that torchvision published years ago, those of torch.nn.utils.weight_norm and spectral_norm before they
#: were parametrizations, and what they are now.
_OLDER_KEYS = (
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\."), r"\1\2."),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
    (re.compile(r"\bweight_g$"), "parametrizations.weight.original0"),
    (re.compile(r"\bweight_v$"), "parametrizations.weight.original1"),
    (re.compile(r"\bweight_orig$"), "parametrizations.weight.original"),
    (re.compile(r"\bweight_u$"), "parametrizations.weight.0._u"),
    (re.compile(r"\bweight_v$"), "parametrizations.weight.0._v"),
)
#: Batch norms count batches since PyTorch 0.4.1; nothing in eval mode depends on it.
_COUNTER = "num_batches_tracked"


def origin_of(module: nn.Module) -> str:
    """The origin of a module's weights, as given to `load_weights`; empty if that was not called."""
    origin: str = module.__dict__.get("__archdsl_weights__", "")
    return origin


def set_origin(module: nn.Module, origin: str) -> None:
    """Note where a module's weights are from: a run's normalisation and classes are those that they need."""
    module.__dict__["__archdsl_weights__"] = origin


def copy_into(module: nn.Module, state: Mapping[str, Tensor], origin: str, skip: Collection[str] = ()) -> None:
    """Copy a state_dict from `origin` into a module; every key and shape has to fit but those in `skip`."""
    own = module.state_dict()
    state = {key: tensor for key, tensor in _modern(state, own).items() if key not in skip}
    problems = _differences({key: tensor for key, tensor in own.items() if key not in skip}, state)
    if problems:
        raise SpecError([Diagnostic(problem, path=origin) for problem in problems[:_SHOWN]] + _rest(problems, origin))
    module.load_state_dict(state, strict=not skip, assign=any(tensor.is_meta for tensor in own.values()))
    set_origin(module, origin)


def _modern(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state_dict with keys of older files renamed and missing counters added, as torchvision reads it."""
    modern = {}
    for key, tensor in state.items():
        names = [key, *(pattern.sub(now, key) for pattern, now in _OLDER_KEYS)]
        modern[next((name for name in names if name in own), key)] = tensor
    counters = {key: torch.zeros((), dtype=torch.long) for key in own if key.endswith(f".{_COUNTER}")}
    return counters | modern


def save_weights(module: nn.Module, path: str | Path) -> None:
    """Write a module's state_dict as safetensors; an older file is replaced only by a complete one.

    Raises:
        SpecError: the file cannot be written.
    """
    write_tensors(Path(path), module.state_dict(), {"format": "pt"})


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in a file of weights, or in that of a run's folder. Raises SpecError where it cannot be read."""
    path = path / WEIGHTS_FILE if path.is_dir() else path
    try:
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise SpecError([Diagnostic(NoWeights(str(path), reason(error)), path=str(path))]) from None
    if path.suffix in {".pt", ".pth"}:
        return _read_torch(path)
    return _read_safetensors(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _not_weights(path, reason(error)) from None


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        why = "it is not a PyTorch file, or contains objects other than tensors, which are not unpickled"
        raise _not_weights(path, why) from None
    except Exception as error:  # a damaged file can fail in any way
        raise _not_weights(path, reason(error)) from None
    return _unwrap(content, path)


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    """The state_dict, also from a checkpoint that holds it under a common key."""
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if isinstance(content, Mapping) and all(isinstance(value, Tensor) for value in content.values()):
        return dict(content)
    raise _not_weights(path, "expected a dictionary of tensors", Help("save `module.state_dict()`"))


def _not_weights(path: Path, why: str, *helps: Help) -> SpecError:
    return SpecError([Diagnostic(NotWeights(str(path), why), path=str(path), helps=helps)])


def _differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[Problem]:
    problems: list[Problem] = []
    for key, tensor in expected.items():
        if key not in found:
            problems.append(MissingWeight(key, _sizes(tensor)))
        elif found[key].shape != tensor.shape:
            problems.append(WrongWeightShape(key, _sizes(found[key]), _sizes(tensor)))
    problems += [UnexpectedWeight(key, _sizes(tensor)) for key, tensor in found.items() if key not in expected]
    return problems


def _rest(problems: list[Problem], path: str) -> list[Diagnostic]:
    """The last diagnostic of a long list, with the number of those left out."""
    more = len(problems) - _SHOWN
    if more <= 0:
        return []
    help = Help(f"and {more - 1} more similar errors" if more > 1 else "the weights belong to another model")
    return [Diagnostic(problems[_SHOWN], path=path, helps=(help,))]


def _sizes(tensor: Tensor) -> str:
    return str(Shape(tensor.shape))


def reason(error: Exception) -> str:
    """The reason for an error, in one line of at most 200 characters."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__
