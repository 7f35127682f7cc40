"""Figures of a network on samples: activations, the largest mistakes, principal components."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archdsl.figures.layers import NO_TENSOR, evaluating, label, leaves, network_or_none, nothing, run, watching
from archdsl.figures.samples import Samples
from archdsl.inference.kinds import finish
from archdsl.train.losses import class_scores

#: Samples whose activations are averaged, and samples in an embedding.
SAMPLES, POINTS = 256, 1000
#: The shares of values below which an activation's quantiles lie, and how many values these are found from.
QUANTILES, VALUES = (0.01, 0.25, 0.5, 0.75, 0.99), 2**17


@dataclass(frozen=True, slots=True)
class Mistake:
    """An image (C x H x W in 0..1) with a wrong prediction, the probability of that class, and the sample's number."""

    image: Tensor
    true: str
    predicted: str
    probability: float
    row: int


@dataclass(frozen=True, slots=True)
class Activation:
    """The distribution of a layer's output over samples, channels and positions.

    zeros      the share of values that are exactly 0
    quantiles  at QUANTILES
    """

    name: str
    label: str
    mean: float
    std: float
    zeros: float
    quantiles: tuple[float, ...]


def activations(module: nn.Module, samples: Samples, layers: Sequence[str] = ()) -> list[Activation]:
    """The activations of layers, by default of all, in the order they run; a layer that runs twice is there twice.

    Each is measured when its layer has run, before the next one may write over it.
    """
    found: list[Activation] = []

    def see(name: str, output: Tensor) -> None:
        if output.is_floating_point() and output.numel():
            found.append(_distribution(name, label(module, name), output.detach().float()))

    names = list(layers) or leaves(module)
    with evaluating(module), watching(module, names, see), torch.inference_mode():
        module(*samples.inputs)
    if not found:
        raise nothing("activations", f"each of these layers {NO_TENSOR}")
    return found


def _distribution(name: str, text: str, output: Tensor) -> Activation:
    mean, std = output.mean(dtype=torch.float64).item(), output.std(correction=0).item()
    zeros = (output == 0).float().mean().item()
    flat = output.flatten()
    every = -(-len(flat) // VALUES) | 1  # an odd number, since rows of maps have even lengths
    flat = flat[::every].sort().values
    places = [round(share * (len(flat) - 1)) for share in QUANTILES]
    return Activation(name, text, mean, std, zeros, tuple(flat[places].tolist()))


def mistakes(module: nn.Module, batches: Iterable[Samples], number: int = 24) -> list[Mistake]:
    """The wrong predictions with the highest probabilities."""
    found: list[Mistake] = []
    for samples in batches:
        images, classes = samples.images("mistakes"), samples.classes
        sure, predicted = probabilities(module, run(module, samples.inputs)[0], len(classes)).max(1)
        assert samples.targets is not None
        wrong = (predicted != samples.targets).nonzero()[:, 0]
        for i in wrong[sure[wrong].argsort(descending=True)[:number]].tolist():
            names = classes[int(samples.targets[i])], classes[int(predicted[i])]
            found.append(Mistake(images[i], *names, float(sure[i]), samples.rows[i]))
    return sorted(found, key=lambda mistake: -mistake.probability)[:number]


def probabilities(module: nn.Module, output: Tensor, classes: int = 0) -> Tensor:
    """The probabilities of the first `classes` classes (0: of all); a network may end in a softmax itself.

    A single score is that of the second of two classes.
    """
    scores = class_scores(output).float().cpu()
    if scores.shape[1] == 1 and classes == 2:
        second = scores[:, 0].sigmoid()
        return torch.stack([1 - second, second], 1)
    network = network_or_none(module)
    found = scores.softmax(1) if network is None else finish(network)(scores)
    return found[:, :classes] if classes else found


def embedding_of(module: nn.Module, samples: Samples, layer: str | None = None) -> Tensor:
    """The outputs of the network, or of a layer, as vectors: samples x features.

    Raises:
        SpecError: there is no such layer (E741), or its output is not a tensor (E742).
    """
    outputs: dict[str, Tensor] = {}
    values = []
    for part_of in split(samples):
        value, outputs = run(module, part_of.inputs, [] if layer is None else [layer])
        if layer is not None:
            if layer not in outputs:
                raise nothing("embedding", f"{layer} {NO_TENSOR}")
            value = outputs[layer]
        values.append(value.flatten(1).float().cpu())
    return torch.cat(values)


def split(samples: Samples, size: int = SAMPLES) -> Iterator[Samples]:
    """The samples in batches that fit into memory."""
    return (samples[slice(start, start + size)] for start in range(0, len(samples), size))


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
