"""A stand-in for a checked network: what training needs of one, with a handwritten module."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from archdsl.recipe import Recipe
from archdsl.runs.plan import Outcome, Plan
from archdsl.runs.progress import Progress
from archdsl.shapes import Shape
from archdsl.train import Result
from archdsl.train.run import run_training

INPUT, OUTPUT = Shape((1, 8, 8)), Shape((10,))


@dataclass(frozen=True)
class Stub:
    """Has the attributes of archdsl.graph.network.Network that training reads."""

    make: Callable[[], nn.Module]
    input_shape: Shape = INPUT
    output_shape: Shape = OUTPUT
    name: str = "stub"
    settings: dict[str, Any] = field(default_factory=lambda: {"classes": 10})
    spec: str = "model stub { input(1x8x8) }\n"
    path: str = "specs/stub.arch"
    aux: Sequence[Any] = ()

    @property
    def title(self) -> str:
        return f"{self.name}(classes=10)"

    @property
    def inputs(self) -> dict[str, Shape]:
        return {"input": self.input_shape}

    @property
    def integer_limits(self) -> dict[str, int]:
        return {}

    @property
    def input_sizes(self) -> tuple[int, ...]:
        return tuple(self.input_shape)

    @property
    def labels(self) -> set[str]:
        module = self.build()
        return {name for name, _ in (*module.named_modules(), *module.named_parameters())}

    @property
    def trained(self) -> list[str]:
        return [name for name, weight in self.build().named_parameters() if weight.requires_grad]

    def build(self, *, seed: int | None = None) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.manual_seed(seed)
            return self.make()


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def cnn() -> nn.Module:
    """Batch norm and dropout: both have a state of their own that a resumption must not lose."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(128, 10),
    )


def layouts() -> nn.Module:
    """Convolutions whose weights lie in many ways: one input channel, depthwise, 1x1, 3x1, transposed, 3D."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.Conv2d(6, 8, 1),
        nn.PReLU(8),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 4, (3, 1)),
        nn.ConvTranspose2d(4, 4, (2, 1)),
        nn.GroupNorm(2, 4),
        nn.Unflatten(1, (2, 2)),
        nn.Conv3d(2, 2, (1, 2, 3), padding=(0, 0, 1)),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(32, 10),
    )


class Recorder(Progress):
    """Keeps the notes, and calls `at_step` at each step."""

    def __init__(self, at_step: Callable[[int, int], None] | None = None) -> None:
        self.notes: list[str] = []
        self.plan: Plan | None = None
        self.outcome: Outcome | None = None
        self.at_step = at_step

    def note(self, text: str) -> None:
        self.notes.append(text)

    def start(self, plan: Plan) -> None:
        self.plan = plan

    def end(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def step(self, epoch: int, step: int, loss: float, accuracy: float | None, images_per_second: float) -> None:
        if self.at_step is not None:
            self.at_step(epoch, step)


def run(network: Stub, recipe: Recipe | None, out: Path | None, **options: Any) -> Result:
    return run_training(network, recipe, out=out, **{"progress": Recorder(), **options})


def save_picture(path: Path, cells: Tensor) -> None:
    """Write uint8 cells (C x H x W) as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = cells.squeeze(0).numpy() if len(cells) == 1 else cells.permute(1, 2, 0).numpy()
    Image.fromarray(array).save(path)
