"""Checked graphs made by hand, without a spec: each item is a function of the scope and shape it is put into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from archdsl.graph import (
    AnyNode,
    Aux,
    Dense,
    Group,
    Inception,
    LayerNode,
    Residual,
    Scale,
    Split,
    Sum,
    Tap,
    Use,
)
from archdsl.layers.base import Layer
from archdsl.network import Network
from archdsl.shapes import Shape
from archdsl.source import Source, Span

Array = np.ndarray[Any, np.dtype[Any]]
SPAN = Span(Source("hand.arch", "model hand { }"), 0, 5)


@dataclass
class Place:
    """Where an item stands: its scope, the shape that arrives, the taps so far and its place in the body."""

    scope: str
    x: Shape
    taps: dict[str, Tap] = field(default_factory=dict)
    index: int = 0

    def name(self, label: str | None) -> str:
        if label is None:
            return self.scope
        return f"{self.scope}.{label}" if self.scope else label

    def at(self, label: str | None, x: Shape | None = None, index: int = 0) -> Place:
        return replace(self, scope=self.name(label), x=self.x if x is None else x, index=index)


Item = Callable[[Place], AnyNode]


def layer(kind: Layer, label: str | None = None, *operands: str, shared: bool = False) -> Item:
    def item(place: Place) -> LayerNode:
        own = str(place.index) if label is None else label
        taps = tuple(place.taps[name] for name in operands)
        y = kind.shape(place.x, *(tap.shape for tap in taps))
        common = {"name": place.name(own), "label": own, "input": place.x, "output": y, "span": SPAN}
        return LayerNode(**common, layer=kind, operands=taps, shared=shared)  # type: ignore[arg-type]

    return item


def group(*items: Item, label: str | None = None) -> Callable[[Place], Group]:
    def item(place: Place) -> Group:
        body: list[AnyNode] = []
        inner = place.at(label)
        for index, make in enumerate(items):
            body.append(make(replace(inner, index=index)))
            inner = replace(inner, x=body[-1].output)
        return Group(
            name=place.name(label), label=label, input=place.x, output=inner.x, span=SPAN, body=tuple(body)
        )

    return item


def tapped(make: Item, name: str) -> Item:
    def item(place: Place) -> AnyNode:
        node = make(place)
        place.taps[name] = Tap(len(place.taps), name, node.output)
        return replace(node, taps=(place.taps[name],))

    return item


def use(name: str) -> Item:
    def item(place: Place) -> Use:
        tap = place.taps[name]
        return Use(name=place.scope, label=None, input=place.x, output=tap.shape, span=SPAN, tap=tap)

    return item


def residual(*items: Item, shortcut: Item | None = None, label: str | None = None) -> Item:
    def item(place: Place) -> Residual:
        inner = place.at(label)
        body = group(*items)(inner)
        other = None if shortcut is None else group(shortcut)(inner)
        return Residual(
            name=inner.scope, label=label, input=place.x, output=body.output, span=SPAN, body=body, shortcut=other
        )

    return item


def _on_channels(branches: tuple[AnyNode, ...], x: Shape) -> Shape:
    return branches[0].output.with_channels(sum(branch.output.channels for branch in branches))


def inception(*items: Item, label: str | None = None) -> Item:
    def item(place: Place) -> Inception:
        inner = place.at(label)
        branches = tuple(make(replace(inner, index=i)) for i, make in enumerate(items))
        y = _on_channels(branches, place.x)
        return Inception(name=inner.scope, label=label, input=place.x, output=y, span=SPAN, branches=branches)

    return item


def sum_of(*items: Item, label: str | None = None) -> Item:
    def item(place: Place) -> Sum:
        inner = place.at(label)
        branches = tuple(make(replace(inner, index=i)) for i, make in enumerate(items))
        y = branches[0].output
        return Sum(name=inner.scope, label=label, input=place.x, output=y, span=SPAN, branches=branches)

    return item


def split(*items: Item, label: str | None = None) -> Item:
    def item(place: Place) -> Split:
        inner = place.at(label, place.x.with_channels(place.x.channels // len(items)))
        branches = tuple(make(replace(inner, index=i)) for i, make in enumerate(items))
        y = _on_channels(branches, place.x)
        return Split(name=inner.scope, label=label, input=place.x, output=y, span=SPAN, branches=branches)

    return item


def dense(*items: Item, label: str | None = None) -> Item:
    def item(place: Place) -> Dense:
        inner = place.at(label)
        made: list[AnyNode] = []
        for index, make in enumerate(items):
            made.append(make(replace(inner, index=index)))
            inner = replace(inner, x=inner.x.with_channels(inner.x.channels + made[-1].output.channels))
        return Dense(
            name=inner.scope, label=label, input=place.x, output=inner.x, span=SPAN, items=tuple(made)
        )

    return item


def scale(*items: Item, label: str | None = None) -> Item:
    def item(place: Place) -> Scale:
        body = group(*items)(place.at(label))
        return Scale(name=body.name, label=label, input=place.x, output=place.x, span=SPAN, body=body)

    return item


def aux(*items: Item, label: str = "aux") -> Item:
    def item(place: Place) -> Aux:
        body = group(*items)(place.at(label))
        return Aux(
            name=body.name, label=label, input=place.x, output=place.x, span=SPAN, body=body, output_name=label
        )

    return item


def network(x: tuple[int, ...], *items: Item, outputs: tuple[str, ...] = (), **facts: Any) -> Network:
    """A network called `hand` with these items behind its input; `outputs` are names of taps."""
    place = Place("", Shape(x))
    root = group(*items)(place)
    return Network("hand", facts.pop("settings", {}), root, tuple(place.taps[name] for name in outputs), **facts)


def random_weights(net: Network, seed: int = 0) -> dict[str, Array]:
    """Weights for every entry of the state_dict; running variances are positive."""
    random = np.random.default_rng(seed)
    weights: dict[str, Array] = {}
    for key, tensor in net.state.items():
        values = random.uniform(0.5, 1.5, tensor.shape) if key.endswith("var") else random.normal(size=tensor.shape)
        weights[key] = np.asarray(values * 0.5).astype(tensor.dtype)
    return weights
