"""Pairs of images of a data set with classes, for networks that compare two images."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from archdsl.datasets.prepare import plan_fit
from archdsl.datasets.seeds import generator
from archdsl.datasets.source import Source, Wanted, read_source
from archdsl.datasets.splits import Rows, Several, Split
from archdsl.diagnostics import Rejected
from archdsl.diagnostics.codes.data import InputsDoNotFit, TooFewSamples
from archdsl.recipe.datasets import Pairs

CLASSES = ("different", "same")


def read(dataset: Pairs, wanted: Wanted) -> Source:
    """Each image of the data set with a second one, which for a share `same` of them is another one of its class.

    The pairs are drawn with the data set's `seed` and stay the same in all epochs.
    """
    shapes = list(wanted.inputs.values())
    if len(shapes) != 2:
        listed = ", ".join(wanted.inputs) or "one without a name"
        raise Rejected(InputsDoNotFit(dataset.kind, "pairs of images", listed), argument="dataset")
    found = read_source(dataset.of, replace(wanted, input=shapes[0], inputs={}))
    fits = tuple(found.fit or plan_fit(found.name, found.train.shape, shape) for shape in shapes)

    def paired(split: Split | None, name: str) -> Several | None:
        if split is None:
            return None
        seconds, same = _partners(split.labels, dataset, f"{name} of {found.name}")
        return Several((split, Rows(split, seconds)), same.long())

    train = paired(found.train, "the training set")
    assert train is not None
    validation, test = paired(found.validation, "the validation set"), paired(found.test, "the test set")
    return Source(f"pairs of {found.name}", CLASSES, train, test, validation, fits=fits, place=found.place)


def _partners(labels: Tensor, dataset: Pairs, where: str) -> tuple[Tensor, Tensor]:
    """For each row the row of its partner, and whether that is of the same class.

    Raises Rejected where a class has a single image, or where there is one class only.
    """
    draw = generator(dataset.seed, f"pairs {where}")
    same = torch.rand(len(labels), generator=draw) < dataset.same
    partners = torch.empty_like(labels)
    for label in sorted(set(labels.tolist())):
        own, others = (labels == label).nonzero()[:, 0], (labels != label).nonzero()[:, 0]
        if len(own) < 2 or not len(others):
            reason = f"{where} has {len(own)} images of class {label} and {len(others)} of others"
            raise Rejected(TooFewSamples(dataset.kind, f"a pair needs two of each: {reason}"), argument="dataset")
        # A step to another image of the class: never the image itself.
        places = torch.arange(len(own))
        steps = torch.randint(1, len(own), (len(own),), generator=draw)
        alike = own[(places + steps) % len(own)]
        unlike = others[torch.randint(len(others), (len(own),), generator=draw)]
        partners[own] = torch.where(same[own], alike, unlike)
    return partners, same
