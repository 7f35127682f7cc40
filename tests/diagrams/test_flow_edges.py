"""Every line of a picture is where a tensor goes, and nowhere else: compared with the built module as it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl import zoo
from archdsl.api import Network
from archdsl.diagrams.flow import flow_scene
from tests.diagrams.geometry import Picture, Placed
from tests.diagrams.truth import INPUT, OUTPUT, seen_edges

Edges = set[tuple[str, str]]


class Drawn:
    """The boxes and lines of a picture, by the modules that they stand for."""

    def __init__(self, network: Network, **options: Any) -> None:
        picture = Picture(flow_scene(network, **options))
        assert picture.faults() == []
        self.boxes = {box.data["box"]: box for box in picture.boxes}
        self.lines = {(line.data["from"], line.data["to"]) for line in picture.lines}
        repeated = [one.data["scopes"].split() for one in (*picture.boxes, *picture.frames) if "scopes" in one.data]
        self.runs = sorted(repeated, key=lambda scopes: scopes[0].count("."))
        self.home: dict[str, str] = {}
        for name, box in self.boxes.items():
            for module in modules_of(box):
                self.home.setdefault(module, name.partition("#")[0])
        for kind in (INPUT, OUTPUT):
            ends = [name for name in self.boxes if name.partition(" ")[0] == kind]
            self.home |= {f"{kind} {i}": name for i, name in enumerate(ends)}

    def named(self) -> list[str]:
        """All modules that the boxes stand for, also in scopes that are drawn once."""
        own = [name for name in self.home if not name.startswith((f"{INPUT} ", f"{OUTPUT} "))]
        for scopes in reversed(self.runs):
            for one, *others in zip(*(scope.split("+") for scope in scopes), strict=True):
                inside = [name for name in own if within(name, one)]
                own += [scope + name.removeprefix(one) for scope in others for name in inside]
        return list(dict.fromkeys(own))

    def place(self, name: str) -> tuple[str | None, list[int]]:
        """The box that a module is drawn in, and which of a run's scopes it is in, for each run around."""
        units = []
        for scopes in self.runs:
            found = [
                (i, one, scope)
                for i, unit in enumerate(scopes)
                for one, scope in zip(scopes[0].split("+"), unit.split("+"), strict=True)
                if within(name, scope)
            ]
            units.append(found[0][0] if found else -1)
            if found:
                name = found[0][1] + name.removeprefix(found[0][2])
        return self.home.get(name), units

    def edges(self) -> Edges:
        """The lines between boxes of modules, through signs."""
        found: Edges = set()
        for start in self.boxes:
            if not self.is_sign(start):
                found |= {(start.partition("#")[0], end.partition("#")[0]) for end in self.readers(start)}
        return {(a, b) for a, b in found if a != b}

    def readers(self, name: str) -> Iterator[str]:
        for start, end in self.lines:
            if start == name:
                yield from self.readers(end) if self.is_sign(end) else [end]

    def is_sign(self, name: str) -> bool:
        """Whether no module is drawn there: a join by `+` or `torch.cat`, a split."""
        return name.partition(" ")[0] not in (INPUT, OUTPUT) and not modules_of(self.boxes[name])


def within(name: str, scope: str) -> bool:
    """Whether a module is a scope or in it."""
    return name == scope or name.startswith(f"{scope}.")


def modules_of(box: Placed) -> list[str]:
    if "layers" in box.data:
        return box.data["layers"].split()
    return [box.data["prefix"]] if "prefix" in box.data else []


def truth(network: Network, drawn: Drawn) -> Edges:
    """The pairs of boxes between which a tensor goes when the module runs."""
    module = network.build(seed=0).train()
    inputs = [random_input(shape) for shape in network.inputs.values()]
    found: Edges = set()
    for start, end in seen_edges(module, drawn.named(), inputs):
        (one, units), (other, others) = drawn.place(start), drawn.place(end)
        apart = any(i != j for i, j in zip(units, others, strict=True) if i >= 0 and j >= 0)
        if one and other and one != other and not apart:
            found.add((one, other))
    return found


def random_input(shape: Any) -> Tensor:
    size = (2, *shape)
    return torch.rand(size) if shape.dtype == "float32" else torch.zeros(size, dtype=torch.int64)


#: Smaller inputs, so that it takes no time.
SMALL: Mapping[str, tuple[int, ...]] = {
    "resnet18": (3, 32, 32),
    "googlenet": (3, 64, 64),
    "unet_padded": (3, 32, 32),
    "hrnet_w18_small": (3, 64, 64),
    "yolov3_tiny": (3, 32, 32),
    "densenet_40_12": (3, 16, 16),
}


#: Networks with the depths at which they are compared by default; the rest is slow.
QUICK = [("siamese_resnet", 2), ("unet_padded", 1), ("resnet18", 2), ("hrnet_w18_small", 2), ("yolov3_tiny", 9)]


def assert_lines(name: str, depth: int) -> None:
    network = zoo.load(name, input=SMALL.get(name))
    drawn = Drawn(network, depth=depth)
    assert drawn.edges() == truth(network, drawn)


@pytest.mark.parametrize(("name", "depth"), QUICK)
def test_the_lines_are_where_tensors_go(name: str, depth: int) -> None:
    assert_lines(name, depth)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet", "siamese_resnet", "swin_t", "vit_b_32", *SMALL])
@pytest.mark.parametrize("depth", [1, 2, 3, 9])
def test_the_lines_at_every_depth(name: str, depth: int) -> None:
    assert_lines(name, depth)


class Specs:
    """Random specs of small blocks: residuals, branches, scales, chains, taps, parts and repeats, nested."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.taps = 0

    def text(self) -> str:
        return f"model m {{ input(4x8x8)\n{self.body(3)}\nflatten; linear(2) }}"

    def body(self, depth: int) -> str:
        return "\n".join(self.part(depth) for _ in range(self.random.randint(1, 3)))

    def part(self, depth: int) -> str:
        """Something from 4 channels to 4."""
        one = self.random.choice(["layer", "layer", *self.nested()] if depth else ["layer"])
        inner = self.body(depth - 1) if depth else ""
        label = f"s{self.random.randint(0, 10**9)}: " if self.random.random() < 0.6 else ""
        match one:
            case "layer":
                return self.random.choice(
                    ["conv(4, 3, padding=1)", "batchnorm; relu", "conv(4, 1); relu", "dropout(0.5)"]
                )
            case "repeat":
                name = f"r{self.random.randint(0, 10**9)}_{{i}}"
                return f"for i in 1..{self.random.randint(2, 3)} {{ {name}: {{ {inner} }} }}"
            case "residual" | "scale":
                return f"{label}{one} {{ {inner} }}"
            case "sum":
                return f"{label}sum {{ {{ {inner} }}; {{ {self.body(depth - 1)} }}; {{ }} }}"
            case "inception" | "dense":
                return f"{label}{one} {{ conv(2, 1); {{ conv(4, 1); {inner} }} }}; conv(4, 1)"
            case "split":
                return f"{label}split(2) {{ conv(2, 1); {{ }} }}"
            case "tap":
                self.taps += 1
                tap = self.taps
                return f"{{ {inner} }} -> t{tap}; {self.body(depth - 1)}; add(t{tap})"
            case _:
                self.taps += 2
                a, b = self.taps - 1, self.taps
                return f"chunk(2) -> t{a}, t{b}; use(t{a}); conv(2, 1); concat(t{b})"

    def nested(self) -> list[str]:
        return ["repeat", "residual", "scale", "sum", "inception", "dense", "split", "tap", "chunk"]


def assert_true(seed: int) -> None:
    text = Specs(seed).text()
    network = archdsl.load(text)
    for depth in (1, 2, 5):
        drawn = Drawn(network, depth=depth, direction=(None, "right", "down")[seed % 3])
        assert drawn.edges() == truth(network, drawn), f"{text}\nat depth {depth}"


@pytest.mark.parametrize("seed", range(5))
def test_the_lines_of_random_networks(seed: int) -> None:
    assert_true(seed)


@pytest.mark.slow
def test_the_lines_of_many_random_networks() -> None:
    for seed in range(100, 1000):
        assert_true(seed)
