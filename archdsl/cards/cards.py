"""Cards: what is known about the networks of the zoo from outside, one TOML file for each spec.

A card never holds a number that archdsl worked out: the tests compare the checker with it. Each figure says
where it comes from, or is written out as a sum that can be added up by hand.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, PositiveFloat

from archdsl.cards.folders import cards_folder

#: In percent.
Percent = Annotated[FiniteFloat, Field(ge=0, le=100)]
Task = Literal["classification", "segmentation", "video", "generation", "audio"]


class _Table(BaseModel):
    """A TOML table: no key that is not known, no value that would have to be converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Result(_Table):
    """An accuracy that was published, in percent. `weights` is torchvision's name for the weights that reach it.

    miou, pixel_accuracy  for segmentation: mean intersection over union, and share of pixels that are right
    """

    dataset: str
    top1: Percent | None = None
    top5: Percent | None = None
    miou: Percent | None = None
    pixel_accuracy: Percent | None = None
    weights: str = ""
    source: str


class Reached(_Table):
    """An accuracy that was reached by training from the spec alone, in percent, and how to reach it again.

    metric   what was measured, `test accuracy`
    runs     with how many seeds; `value` is their mean, `spread` the distance of the best from the worst
    minutes  of one run on `machine`
    """

    dataset: str
    metric: str
    value: Percent
    runs: Annotated[int, Field(ge=1)] = 1
    spread: Percent = 0.0
    command: str
    minutes: PositiveFloat
    machine: str


class ModelCard(_Table):
    """What is known about one network.

    params       trainable values, all auxiliary heads included
    params_eval  the same without the auxiliary heads
    derivation   the sum behind `params`, where it was worked out by hand
    gmacs        10^9 multiply-adds of one forward pass at the default input
    torchvision  the name of torchvision's own, whose weights load unchanged
    timm         the name of timm's own, which has as many parameters
    task         what it is for: torchvision keeps its builders by task
    note         what a reader has to know about the figures: why a library's differ, why its weights do not load
    source       where the figures come from
    paper, authors, year, url  where this network has another paper than its family
    """

    params: NonNegativeInt
    params_eval: NonNegativeInt | None = None
    derivation: str = ""
    gmacs: PositiveFloat | None = None
    torchvision: str = ""
    timm: str = ""
    task: Task = "classification"
    note: str = ""
    source: str
    paper: str = ""
    authors: str = ""
    year: int | None = None
    url: str = ""
    results: Annotated[tuple[Result, ...], Field(strict=False)] = ()
    reached: Annotated[tuple[Reached, ...], Field(strict=False)] = ()


class Card(_Table):
    """A family: one spec, its paper (empty for an exercise) and its networks by their names."""

    title: str
    paper: str = ""
    authors: str = ""
    year: int | None = None
    url: str = ""
    models: dict[str, ModelCard]


@cache
def cards() -> Mapping[str, Card]:
    """Every card by the name of its spec: `cards()["resnet"].models["resnet18"].params`."""
    return MappingProxyType(
        {path.stem: _read(path.read_text("utf-8")) for path in sorted(cards_folder().glob("*.toml"))}
    )


def _read(text: str) -> Card:
    return Card.model_validate(tomllib.loads(text))
