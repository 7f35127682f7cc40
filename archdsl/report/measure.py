"""What is measured on a trained network for its pictures: outputs of layers, mistakes, features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.datasets.seeds import in_batches
from archdsl.datasets.splits import Split
from archdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from archdsl.diagnostics.codes.pictures import NoSuchPart
from archdsl.train.losses import class_scores
from archdsl.train.setup import Setup

#: Pictures whose activations are averaged, and those whose features are drawn as points.
SAMPLES, POINTS = 256, 1000


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture (uint8, C x H x W) that was taken for another class, with that class's probability."""

    image: Tensor
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True, slots=True)
class Activation:
    """Mean and standard deviation of a layer's output over samples, channels and positions."""

    name: str
    mean: float
    std: float


def part(module: nn.Module, name: str) -> nn.Module:
    """The layer or scope called `name`. Raises SpecError (E752) with a near name where there is none."""
    try:
        return module.get_submodule(name)
    except AttributeError:
        names = [key for key, _ in module.named_modules() if key]
        helps = did_you_mean(name, names, otherwise=f"there are {', '.join(names[:12])}, ...")
        raise SpecError([Diagnostic(NoSuchPart(name), helps=helps)]) from None


def convolutions(module: nn.Module) -> list[str]:
    """The names of the convolutions, in the order of the modules."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return [name for name, each in module.named_modules() if isinstance(each, kinds)]


@contextmanager
def recorded(module: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """The last output of each named part, by name, of whatever runs inside; in the order they ran."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                outputs[name] = output.detach().clone()

        return hook

    handles = [part(module, name).register_forward_hook(keep(name)) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode without gradients inside; afterwards the mode it was in."""
    mode = module.training
    module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        module.train(mode)


def pictures(setup: Setup, number: int, *, test: bool = True) -> tuple[Tensor, Tensor]:
    """The first pictures of the test (or validation) split as they are stored, and their targets."""
    split = setup.data.test if test else setup.data.validation
    rows = torch.arange(min(number, len(split.labels)))
    return next(iter(split.batches([rows])))


def outputs_of(module: nn.Module, setup: Setup, names: Sequence[str], number: int) -> Mapping[str, Tensor]:
    """The outputs of the named parts for the first `number` test pictures."""
    images, _ = pictures(setup, number)
    with evaluating(module), recorded(module, names) as outputs:
        module(setup.preparation.evaluate(images))
    return {name: outputs[name] for name in names if name in outputs}


def activations(module: nn.Module, setup: Setup) -> list[Activation]:
    """Every layer's mean activation over SAMPLES test pictures, in the order they run."""
    leaves = [name for name, each in module.named_modules() if name and not any(True for _ in each.children())]
    images, _ = pictures(setup, SAMPLES)
    with evaluating(module), recorded(module, leaves) as outputs:
        module(setup.preparation.evaluate(images))
    return [
        Activation(name, out.float().mean().item(), out.float().std(correction=0).item())
        for name, out in outputs.items()
    ]


def mistakes(module: nn.Module, setup: Setup, number: int = 24) -> list[Mistake]:
    """The wrong predictions that the network was surest of, on the test split."""
    classes, split, found = setup.data.classes, setup.data.test, list[tuple[float, Mistake]]()
    with evaluating(module):
        for images, labels in _batches(split):
            shares = class_scores(module(setup.preparation.evaluate(images)))[:, : len(classes)].softmax(1)
            sure, predicted = shares.max(1)
            wrong = (predicted != labels).nonzero()[:, 0]
            best = wrong[sure[wrong].argsort(descending=True)[:number]]
            for i in best.tolist():
                names = classes[int(labels[i])], classes[int(predicted[i])]
                found.append((float(sure[i]), Mistake(images[i].cpu(), *names, float(sure[i]))))
        found.sort(key=lambda pair: -pair[0])
    return [mistake for _, mistake in found[:number]]


def _batches(split: Split) -> Iterator[tuple[Tensor, Tensor]]:
    return split.batches(in_batches(torch.arange(len(split.labels)), 256))


def principal_components(features: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """Samples x features in the plane of their two largest variances, and the shares of variance these explain."""
    centred = features.double() - features.double().mean(0)
    _, sizes, directions = torch.linalg.svd(centred, full_matrices=False)
    variances = sizes.square()
    shares = (variances / variances.sum().clamp(min=1e-30)).tolist()
    plane = torch.zeros(len(features), 2, dtype=torch.float64)
    flat = centred @ directions[:2].T
    plane[:, : flat.shape[1]] = flat
    return plane, (shares[0], shares[1] if len(shares) > 1 else 0.0)
