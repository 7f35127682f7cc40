"""Runs printed networks in a process that has neither archdsl nor torchvision: `python -I standalone.py FOLDER MODE`.

The tests import the same functions and compare what they say of the modules that archdsl builds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BLOCKED = ("archdsl", "torchvision", "timm")


def main(folder: str, mode: str) -> None:
    sys.modules.update(dict.fromkeys(BLOCKED))  # type: ignore[arg-type]
    facts = {}
    for path in sorted(Path(folder).glob("*.py")):
        made: dict[str, Any] = {"__name__": "printed"}
        exec(compile(path.read_text(), str(path), "exec"), made)
        classes = [value for value in made.values() if isinstance(value, type) and value.__module__ == "printed"]
        inputs = json.loads(path.with_suffix(".json").read_text())
        facts[path.stem] = facts_of(classes[-1], inputs, mode)
    torch.save(facts, Path(folder) / "facts.pt")


#: The sizes and the type of the elements of each input.
Inputs = Sequence[tuple[Sequence[int], str]]


def facts_of(make: Any, inputs: Inputs, mode: str) -> dict[str, Any]:
    """What there is to compare: the state and the outputs' shapes, which cost little.

    Where it is to `run`: the state, fresh weights, and outputs on the same weights, in both modes of a module.
    `sizes` are the type of the elements and the sizes of a sample.
    """
    if mode == "state":
        with torch.device("meta"), torch.no_grad():
            module = make()
            output = module.eval()(*(torch.zeros(2, *sizes, dtype=getattr(torch, dtype)) for sizes, dtype in inputs))
        outputs = output if isinstance(output, dict) else {"out": output}
        return {"state": state(module), "shapes": {key: tuple(tensor.shape) for key, tensor in outputs.items()}}
    with same_draws():
        module = make()
    facts = {"state": state(module), "fresh": fresh(module)}
    refill(module)
    given = samples(inputs)
    with torch.no_grad():
        for name in ("train", "eval"):  # norms take the statistics of the first run, so that no signal fades
            torch.manual_seed(2)
            facts[name] = module.train(name == "train")(*(x.clone() for x in given))
            for layer in module.modules():
                if isinstance(layer, _BatchNorm) and layer.running_var is not None:
                    layer.running_var.clamp_(min=0.1)  # a channel that is dead so far must not explode
    return facts


def samples(inputs: Inputs) -> list[torch.Tensor]:
    """Two samples of each input; integers are less than 7."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randint(7, (2, *sizes), generator=generator)
        if dtype == "int64"
        else torch.randn(2, *sizes, generator=generator)
        for sizes, dtype in inputs
    ]


def state(module: nn.Module) -> list[tuple[str, tuple[int, ...], str, bool]]:
    """Keys, shapes and types in their order, and what training changes."""
    found = module.state_dict(keep_vars=True)
    return [(key, tuple(tensor.shape), str(tensor.dtype), tensor.requires_grad) for key, tensor in found.items()]


def fresh(module: nn.Module) -> dict[str, tuple[float, float]]:
    return {
        key: (tensor.double().sum().item(), tensor.double().abs().max().item())
        for key, tensor in module.state_dict().items()
    }


@contextmanager
def same_draws() -> Iterator[None]:
    """Inside, random numbers depend on the distribution and the size alone, not on what was drawn before.

    Weights are equal, then, where they were drawn from the same distribution, in whatever order.
    """

    def fixed(name: str) -> Any:
        draw = getattr(torch.Tensor, name)

        def again(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            kwargs["generator"] = torch.Generator().manual_seed(len(name) + sum(self.shape))
            return draw(self, *args, **kwargs)  # type: ignore[no-any-return]

        return mock.patch.object(torch.Tensor, name, again)

    permuted = torch.randperm  # what `sparse` chooses with

    def same_order(n: int) -> torch.Tensor:
        return permuted(n, generator=torch.Generator().manual_seed(n))

    with fixed("uniform_"), fixed("normal_"), mock.patch.object(torch, "randperm", same_order):
        yield


def refill(module: nn.Module) -> None:
    """Other weights than fresh ones, so that nothing is zero and no norm does nothing."""
    generator = torch.Generator().manual_seed(0)
    for key, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            size = max(tensor[0].numel(), 1) ** -0.5 if tensor.dim() > 1 else 0.5
            tensor.normal_(0.0, size, generator=generator)
            if key.endswith("running_var"):
                tensor.abs_().add_(0.5)
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.momentum = 1.0


if __name__ == "__main__":
    main(*sys.argv[1:])
