"""Cards: published facts about the networks of the zoo, one TOML file for each spec.

No number on a card comes from archdsl, because the tests compare archdsl with them. Each figure has its source, or is
a sum that can be checked by hand.
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
Task = Literal["classification", "segmentation", "detection", "video", "generation", "audio", "text", "matching"]


class _Table(BaseModel):
    """A TOML table. Unknown keys and values of another type are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Result(_Table):
    """A published accuracy in percent. `weights` is torchvision's name of the weights that have it.

    miou, pixel_accuracy  for segmentation: mean intersection over union, and fraction of correct pixels
    box_map               for detection: mean average precision of the boxes
    """

    dataset: str
    top1: Percent | None = None
    top5: Percent | None = None
    miou: Percent | None = None
    pixel_accuracy: Percent | None = None
    box_map: Percent | None = None
    weights: str = ""
    source: str


class Reached(_Table):
    """An accuracy in percent, reached by training with the recipe of the spec, and the command that repeats it.

    metric   what was measured, `test accuracy`
    runs     number of seeds; `value` is the mean, `spread` the best minus the worst
    minutes  duration of one run on `machine`
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
    """One network.

    params       trainable parameters, including auxiliary heads
    params_eval  the same without auxiliary heads
    derivation   the sum that gives `params`, if it was computed by hand
    gmacs        10^9 multiply-adds of one forward pass at the default input
    torchvision  name of the same network in torchvision, whose weights load unchanged
    timm         name of the same network in timm, which has as many parameters
    task         what it is for; torchvision groups its builders by task
    note         remarks on the figures: why a library's differ, why its weights do not load
    source       source of the figures
    paper, authors, year, url  if this network has another paper than its family
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
    """A family: the networks of one spec by name, and their paper (empty for an exercise)."""

    title: str
    paper: str = ""
    authors: str = ""
    year: int | None = None
    url: str = ""
    models: dict[str, ModelCard]


@cache
def cards() -> Mapping[str, Card]:
    """All cards by the name of their spec: `cards()["resnet"].models["resnet18"].params`."""
    return MappingProxyType(
        {path.stem: _read(path.read_text("utf-8")) for path in sorted(cards_folder().glob("*.toml"))}
    )


def _read(text: str) -> Card:
    return Card.model_validate(tomllib.loads(text))
