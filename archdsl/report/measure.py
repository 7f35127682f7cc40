"""Measurements on a trained network: outputs of layers, mistakes, principal components."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.datasets.seeds import in_batches
from archdsl.datasets.splits import Batch, each_input
from archdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from archdsl.diagnostics.codes.pictures import NoSuchPart, NothingToDraw
from archdsl.train.losses import class_scores, main_output
from archdsl.train.setup import Setup

#: Images whose activations are averaged, and images in an embedding.
SAMPLES, POINTS = 256, 1000


@dataclass(frozen=True, slots=True)
class Mistake:
    """An image (uint8, C x H x W) with a wrong prediction, and the probability of that class."""

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
    """The layer or scope named `name`. Raises SpecError (E741)."""
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


def shown(batch: Batch) -> Tensor:
    """The images of a batch (uint8, N x C x H x W); those of several inputs side by side if their sizes agree.

    Raises SpecError (E742) where no input is images.
    """
    images = [each for each in each_input(batch) if each.dtype == torch.uint8 and each.ndim == 4]
    if not images:
        raise SpecError([Diagnostic(NothingToDraw("images", "no input of the network is images"))])
    alike = [each for each in images if each.shape == images[0].shape]
    return torch.cat(alike, 3)


def first_images(setup: Setup, number: int) -> tuple[Batch, Tensor]:
    """The first images of the test split as they are stored, and their targets."""
    split = setup.data.test
    rows = torch.arange(min(number, len(split.labels)))
    return next(iter(split.batches([rows])))


def run(module: nn.Module, setup: Setup, images: Batch, names: Iterable[str] = ()) -> tuple[Tensor, dict[str, Tensor]]:
    """Apply the module in eval mode to stored images.

    Returns its main output, and the last output of each named part that is a tensor, in the order they ran.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                outputs[name] = output.detach().clone()

        return hook

    handles = [part(module, name).register_forward_hook(keep(name)) for name in names]
    training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            return main_output(module(*_prepared(setup, images))), outputs
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()


def _prepared(setup: Setup, batch: Any) -> tuple[Tensor, ...]:
    return each_input(setup.preparation.evaluate(batch))


def activations(module: nn.Module, setup: Setup) -> list[Activation]:
    """The mean activation of every layer over SAMPLES test images, in the order they run."""
    leaves = [name for name, each in module.named_modules() if name and not any(True for _ in each.children())]
    _, outputs = run(module, setup, first_images(setup, SAMPLES)[0], leaves)
    return [
        Activation(name, out.float().mean().item(), out.float().std(correction=0).item())
        for name, out in outputs.items()
    ]


def mistakes(module: nn.Module, setup: Setup, number: int = 24) -> list[Mistake]:
    """The wrong predictions on the test split with the highest probabilities."""
    classes, split, found = setup.data.classes, setup.data.test, list[Mistake]()
    for images, labels in split.batches(in_batches(torch.arange(len(split.labels)), 256)):
        scores = class_scores(run(module, setup, images)[0])[:, : len(classes)]
        sure, predicted = scores.softmax(1).max(1)
        wrong = (predicted != labels).nonzero()[:, 0]
        for i in wrong[sure[wrong].argsort(descending=True)[:number]].tolist():
            names = classes[int(labels[i])], classes[int(predicted[i])]
            found.append(Mistake(shown(images)[i].cpu(), *names, float(sure[i])))
    return sorted(found, key=lambda mistake: -mistake.probability)[:number]


def principal_components(features: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """Samples x features projected on their first two principal components, and the explained shares of variance."""
    centred = features.double() - features.double().mean(0)
    _, sizes, directions = torch.linalg.svd(centred, full_matrices=False)
    variances = sizes.square()
    shares = (variances / variances.sum().clamp(min=1e-30)).tolist()
    plane = torch.zeros(len(features), 2, dtype=torch.float64)
    flat = centred @ directions[:2].T
    plane[:, : flat.shape[1]] = flat
    return plane, (shares[0], shares[1] if len(shares) > 1 else 0.0)
