"""Losses by their names in a recipe: means over the batch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from archdsl.recipe.parts import AtLeastZero, Part, Rate, Share, listed

Weights = Annotated[
    tuple[AtLeastZero, ...] | None,
    BeforeValidator(listed),
    Field(description="a list of numbers, one for each output of the network"),
]


class CrossEntropy(Part):
    """`torch.nn.CrossEntropyLoss`: the network gives unnormalised scores.

    weight        of each class, in the order of the network's outputs
    ignore_index  samples of this class are ignored
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Share = 0.0
    weight: Weights = None
    ignore_index: int = -100


class Nll(Part):
    """`torch.nn.NLLLoss`: the network ends in log_softmax."""

    kind: Literal["nll"] = "nll"
    weight: Weights = None
    ignore_index: int = -100


class Mse(Part):
    """`torch.nn.MSELoss`; where the targets are classes, against 1 for the class and 0 for the others."""

    kind: Literal["mse"] = "mse"


class L1(Part):
    """`torch.nn.L1Loss`; classes are taken as in `mse`."""

    kind: Literal["l1"] = "l1"


class Huber(Part):
    """`torch.nn.HuberLoss`; classes are taken as in `mse`."""

    kind: Literal["huber"] = "huber"
    delta: Rate = 1.0


class SmoothL1(Part):
    """`torch.nn.SmoothL1Loss`; classes are taken as in `mse`."""

    kind: Literal["smooth_l1"] = "smooth_l1"
    beta: AtLeastZero = 1.0


class Bce(Part):
    """`torch.nn.BCEWithLogitsLoss`: each output is the logit of a yes or no.

    Classes are taken as in `mse`; a network with one output takes two classes as 0 and 1.

    pos_weight  weight of a yes, for each output
    """

    kind: Literal["bce"] = "bce"
    pos_weight: Weights = None


class PairwiseDistance(Part):
    """The distance of two samples' outputs against the difference of their class numbers.

    The mean squared error of the Euclidean distances over all pairs within the batch.
    """

    kind: Literal["pairwise_distance"] = "pairwise_distance"


AnyLoss = CrossEntropy | Nll | Mse | L1 | Huber | SmoothL1 | Bce | PairwiseDistance
