"""Optimizers, parameter groups, frozen parts and initial weights, compared with torch and sums by hand."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from archdsl.diagnostics import SpecError
from archdsl.recipe import FAMILIES, Recipe
from archdsl.recipe.fit import unknown_labels
from archdsl.recipe.optimizers import Adam, AdamW, Sgd
from archdsl.recipe.schedules import Cosine
from archdsl.runs.folder import RunFolder
from archdsl.train.optimizers import OPTIMIZERS, freeze, make_optimizer
from archdsl.train.start import start_from
from archdsl.train.step import Stepper
from tests.train.stub import Recorder, Stub, cnn, mlp, run

CPU = torch.device("cpu")
QUICK = Recipe(max_steps=3, batch=128, device="cpu", optimizer=Sgd(lr=0.1))


class Net(nn.Module):
    """A body with a norm and nested blocks, and a head."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        block = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.features = nn.Sequential(block, nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Dropout(0.5)))
        self.head = nn.Sequential(nn.Flatten(), nn.LayerNorm(256), nn.Linear(256, classes))
        self.scale = nn.Parameter(torch.ones(classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.features(x)) * self.scale
        return found


def test_every_optimizer_of_torch_is_there_or_does_not_suit_every_network() -> None:
    classes = {
        name
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }
    ours = {cls.__name__ for cls in OPTIMIZERS.values()}
    assert classes - ours == {"LBFGS", "SparseAdam", "Muon"} & classes
    assert {part.model_fields["kind"].default for part in OPTIMIZERS} == {name.lower() for name in ours}
    assert set(OPTIMIZERS) == set(FAMILIES["optimizer"].values())


@pytest.mark.parametrize("part", OPTIMIZERS, ids=lambda part: part.__name__)
def test_optimizers_have_torchs_arguments_in_torchs_order_with_torchs_defaults(part: Any) -> None:
    signature = inspect.signature(OPTIMIZERS[part]).parameters
    others = {"params", "foreach", "maximize", "capturable", "differentiable", "fused"}
    others |= {"decoupled_weight_decay"} if part is Adam else set()  # that is AdamW
    assert part.arguments() == [name for name in signature if name not in others]
    for name in part.arguments():
        assert getattr(part(), name) == signature[name].default, name


@pytest.mark.parametrize("part", OPTIMIZERS, ids=lambda part: part.__name__)
def test_an_optimizer_does_what_its_twin_does(part: Any) -> None:
    torch.manual_seed(0)
    ours, twin = mlp(), mlp()
    twin.load_state_dict(ours.state_dict())
    recipe = Recipe(optimizer=part(lr=0.01))
    make: Any = OPTIMIZERS[part]
    first, second = make_optimizer(recipe, ours), make(twin.parameters(), lr=0.01)
    for _ in range(5):
        inputs, labels = torch.randn(8, 1, 8, 8), torch.randint(10, (8,))
        for module, optimizer in ((ours, first), (twin, second)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    for name, tensor in twin.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)


def rates_and_decays(recipe: Recipe) -> dict[str, tuple[float, float]]:
    module = Net()
    names = {id(weight): name for name, weight in module.named_parameters()}
    return {
        names[id(weight)]: (group["lr"], group["weight_decay"])
        for group in make_optimizer(recipe, module).param_groups
        for weight in group["params"]
    }


def test_decay_exempts_norms_and_biases_on_request() -> None:
    optimizer = AdamW(lr=0.1, weight_decay=0.5)
    assert {decay for _, decay in rates_and_decays(Recipe(optimizer=optimizer)).values()} == {0.5}
    found = rates_and_decays(Recipe(optimizer=optimizer, decay="weights"))
    decayed = {name for name, (_, decay) in found.items() if decay == 0.5}
    assert decayed == {"features.0.0.weight", "features.1.0.weight", "head.2.weight"}
    assert {decay for _, decay in found.values()} == {0.0, 0.5}
    assert found.keys() == dict(Net().named_parameters()).keys()


def test_the_longest_label_gives_the_rate() -> None:
    recipe = Recipe(optimizer=Sgd(lr=1.0), rates={"features": 0.1, "features.1": 0.5, "features.1.0.bias": 0.25})
    found = {name: rate for name, (rate, _) in rates_and_decays(recipe).items()}
    assert found == {
        **dict.fromkeys(found, 1.0),
        **{name: 0.1 for name in found if name.startswith("features.0.")},
        "features.1.0.weight": 0.5,
        "features.1.0.bias": 0.25,
    }


def test_rates_of_labels_follow_the_schedule_in_proportion() -> None:
    recipe = Recipe(optimizer=Sgd(lr=0.4), rates={"head": 0.1}, schedule=Cosine(minimum=0.1))
    stepper = Stepper(recipe, Net(), CPU)
    stepper.set_rate(0.2)
    assert sorted(group["lr"] for group in stepper.optimizer.param_groups) == pytest.approx([0.05, 0.2])


def test_an_unknown_label_is_rejected_with_the_nearest(tmp_path: Path) -> None:
    recipe = Recipe(freeze=("featuers",), rates={"features.7": 0.1, "head": 0.1})
    first, second = unknown_labels(recipe, Stub(Net).labels, "net.arch")
    assert (first.code, first.message) == ("E640", "`freeze`: the network has no part labelled `featuers`")
    assert first.helps[0].message == "did you mean `features`?"
    assert second.message == "`rates`: the network has no part labelled `features.7`"
    with pytest.raises(SpecError):
        run(Stub(Net), QUICK.model_copy(update={"freeze": ("body",)}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_frozen_does_not_change_its_running_statistics_included(tmp_path: Path) -> None:
    recipe = QUICK.model_copy(update={"freeze": ("features.0",)})
    run(Stub(Net), recipe, tmp_path)
    before, after = Stub(Net).build(seed=0).state_dict(), RunFolder(tmp_path).weights
    found = load_file(after)
    same = {name for name, tensor in before.items() if torch.equal(found[name], tensor)}
    assert same == {name for name in before if name.startswith("features.0.")}


def test_freezing_takes_whole_labels_only() -> None:
    module = nn.ModuleDict({"conv1": nn.Linear(1, 1), "conv10": nn.Linear(1, 1)})
    assert freeze(module, ["conv1"]) == [module["conv1"]]
    assert [name for name, weight in module.named_parameters() if weight.requires_grad] == [
        "conv10.weight",
        "conv10.bias",
    ]


def test_a_run_starts_from_the_weights_of_another(tmp_path: Path) -> None:
    run(Stub(cnn), QUICK, tmp_path / "first")
    recorder = Recorder()
    recipe = QUICK.model_copy(update={"weights": str(tmp_path / "first"), "max_steps": 1, "optimizer": Sgd(lr=1e-30)})
    run(Stub(cnn), recipe, tmp_path / "second", progress=recorder)
    first, second = (load_file(RunFolder(tmp_path / name).weights) for name in ("first", "second"))
    for name in ("0.weight", "6.weight", "6.bias"):
        torch.testing.assert_close(second[name], first[name])
    assert recorder.notes[0] == f"weights of {tmp_path / 'first'}"


def test_another_head_is_left_fresh_and_another_network_rejected(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_file({**Net(classes=7).state_dict(), "extra.weight": torch.zeros(2)}, path)
    module = Net()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    notes = start_from(module, Recipe(weights=str(path)))
    assert notes == [
        f"weights of {path}",
        "not loaded because they do not fit: scale, head.2.weight, head.2.bias",
        "not used: extra.weight",
    ]
    after = module.state_dict()
    assert torch.equal(after["head.2.weight"], before["head.2.weight"])
    assert not torch.equal(after["features.0.0.weight"], before["features.0.0.weight"])
    with pytest.raises(SpecError) as caught:
        start_from(mlp(), Recipe(weights=str(path)))
    assert caught.value.diagnostics[0].code == "E644"
    with pytest.raises(SpecError):
        start_from(mlp(), Recipe(weights=str(tmp_path / "missing.safetensors")))
