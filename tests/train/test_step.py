"""Steps compared with handwritten loops: clipping, accumulation, moving average, precision, memory format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from archdsl.recipe import Recipe
from archdsl.recipe.losses import CrossEntropy, Nll
from archdsl.recipe.optimizers import Adam, Sgd
from archdsl.recipe.schedules import OneCycle
from archdsl.train.schedule import learning_rate
from archdsl.train.step import Stepper, lies_channels_last
from tests.train.stub import cnn, mlp

CPU = torch.device("cpu")
WEIGHT = (1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 1.0, 0.1, 1.0, 1.0)


def batches(count: int = 6, samples: int = 13) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(7)
    for _ in range(count):
        inputs = torch.randn(samples, 1, 8, 8, generator=generator)
        yield inputs, torch.randint(10, (samples,), generator=generator)


def fresh(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    return make()


def stepped(recipe: Recipe, make: Callable[[], nn.Module] = mlp) -> Stepper:
    """After a step on each of the batches."""
    stepper = Stepper(recipe, fresh(make), CPU, classes=10)
    stepper.train_mode()
    for number, (inputs, labels) in enumerate(batches()):
        torch.manual_seed(number)
        stepper.set_rate(learning_rate(recipe.schedule, recipe.optimizer.lr, number, 6, 6))
        stepper.step(inputs, labels)
    return stepper


def by_hand(
    make: Callable[[], nn.Module] = mlp,
    *,
    optimizer: Callable[..., torch.optim.Optimizer] = lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor] = lambda m, x, y: functional.cross_entropy(m(x), y),
    before: Callable[[nn.Module], Any] = lambda module: None,
    after: Callable[[nn.Module], Any] = lambda module: None,
) -> nn.Module:
    """The loop one would write, with something done before and after the optimizer's step."""
    module = fresh(make)
    rule = optimizer(module.parameters())
    for number, (inputs, labels) in enumerate(batches()):
        torch.manual_seed(number)
        rule.zero_grad()
        loss(module, inputs, labels).backward()  # type: ignore[no-untyped-call]
        before(module)
        rule.step()
        after(module)
    return module


PLAIN = Recipe(optimizer=Sgd(lr=0.1, momentum=0.9))


def assert_same(stepper: Stepper, module: nn.Module, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    found = stepper.result.state_dict()
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(found[name], tensor, rtol=rtol, atol=atol)


def changed(**changes: Any) -> Recipe:
    return PLAIN.model_copy(update=changes)


@pytest.mark.parametrize("make", [mlp, cnn])
def test_a_plain_step(make: Callable[[], nn.Module]) -> None:
    assert_same(stepped(PLAIN, make), by_hand(make))


def test_clipping_by_norm() -> None:
    clipped = by_hand(before=lambda module: nn.utils.clip_grad_norm_(module.parameters(), 0.2))
    assert_same(stepped(changed(clip_norm=0.2)), clipped)
    assert not torch.equal(clipped.state_dict()["1.weight"], by_hand().state_dict()["1.weight"])


def test_clipping_by_value() -> None:
    clipped = by_hand(before=lambda module: nn.utils.clip_grad_value_(module.parameters(), 0.01))
    assert_same(stepped(changed(clip_value=0.01)), clipped)
    assert not torch.equal(clipped.state_dict()["1.weight"], by_hand().state_dict()["1.weight"])


def test_a_schedule() -> None:
    schedule = OneCycle(anneal_strategy="linear")
    rates = iter([learning_rate(schedule, 0.1, step, 6, 6) for step in range(6)])

    class Scheduled(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            self.param_groups[0]["lr"] = next(rates)
            super().step(closure)

    twin = by_hand(optimizer=lambda weights: Scheduled(weights, lr=0.1, momentum=0.9))
    assert_same(stepped(changed(schedule=schedule)), twin)


@pytest.mark.parametrize("parts", [2, 3, 5, 100])
def test_a_batch_in_parts_takes_the_same_step(parts: int) -> None:
    assert_same(stepped(changed(accumulate=parts)), by_hand())


@pytest.mark.parametrize("parts", [2, 5])
@pytest.mark.parametrize("loss", [CrossEntropy(weight=WEIGHT, ignore_index=3), Nll(weight=WEIGHT)])
def test_weighted_losses_take_the_same_step_in_parts(loss: Any, parts: int) -> None:
    weight = torch.tensor(WEIGHT)
    ignored = loss.ignore_index

    def twin(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        scores = module(inputs)
        if isinstance(loss, Nll):
            return functional.nll_loss(scores, labels, weight)
        return functional.cross_entropy(scores, labels, weight, ignore_index=ignored)

    assert_same(stepped(changed(loss=loss, accumulate=parts)), by_hand(loss=twin))


def test_the_loss_and_the_hits_of_parts_are_those_of_the_whole() -> None:
    (inputs, labels), *_ = batches(1)
    whole, parts = (Stepper(changed(accumulate=n), fresh(mlp), CPU, classes=10).step(inputs, labels) for n in (1, 4))
    torch.testing.assert_close(parts[0], whole[0])
    assert whole[1] is not None
    assert torch.equal(torch.as_tensor(parts[1]), whole[1])
    assert whole[1].item() == fresh(mlp)(inputs).argmax(1).eq(labels).sum().item()


def test_the_moving_average_is_torchs_and_is_what_counts() -> None:
    average: list[AveragedModel] = []

    def update(module: nn.Module) -> None:
        if not average:
            function = get_ema_multi_avg_fn(0.9)  # type: ignore[no-untyped-call]
            average.append(AveragedModel(module, multi_avg_fn=function, use_buffers=True))
        average[0].update_parameters(module)

    module = by_hand(cnn, after=update)
    stepper = stepped(changed(ema=0.9), cnn)
    assert_same(stepper, average[0].module)
    assert not torch.equal(stepper.result.state_dict()["6.weight"], module.state_dict()["6.weight"])


def test_the_moving_average_is_the_sum_by_hand() -> None:
    path: list[Tensor] = []
    by_hand(after=lambda module: path.append(module.state_dict()["3.bias"].clone()))
    expected = path[0]
    for weight in path[1:]:
        expected = 0.9 * expected + 0.1 * weight
    torch.testing.assert_close(stepped(changed(ema=0.9)).result.state_dict()["3.bias"], expected)


def test_bf16_is_autocast() -> None:
    def twin(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            scores = module(inputs)
        return functional.cross_entropy(scores.float(), labels)

    half = by_hand(cnn, loss=twin)
    assert_same(stepped(changed(precision="bf16", channels_last=False), cnn), half)
    assert not torch.equal(half.state_dict()["6.weight"], by_hand(cnn).state_dict()["6.weight"])
    assert half.state_dict()["6.weight"].dtype == torch.float32


def test_fp16_scales_the_loss_and_clips_what_is_unscaled() -> None:
    scaler = torch.amp.GradScaler("cpu")
    module = fresh(mlp)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for number, (inputs, labels) in enumerate(batches()):
        torch.manual_seed(number)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            scores = module(inputs)
        scaler.scale(functional.cross_entropy(scores.float(), labels)).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(module.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
    assert_same(stepped(changed(precision="fp16", clip_norm=0.5, optimizer=Adam(lr=0.01))), module)


def test_pictures_lie_as_the_recipe_says_or_else_as_the_device_is_faster() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert lies_channels_last(Recipe(), cpu)
    assert not lies_channels_last(Recipe(channels_last=False), cpu)
    assert not lies_channels_last(Recipe(), gpu)
    assert lies_channels_last(Recipe(precision="bf16"), gpu)
    assert lies_channels_last(Recipe(channels_last=True), gpu)


def test_channels_last_changes_the_memory_and_not_the_result() -> None:
    stepper = stepped(changed(channels_last=True), cnn)
    assert stepper.module.get_parameter("0.weight").is_contiguous(memory_format=torch.channels_last)
    assert_same(stepper, by_hand(cnn), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_compiled_network_takes_the_same_steps_under_the_same_names() -> None:
    stepper = stepped(changed(compile=True, ema=0.9))
    assert list(stepper.module.state_dict()) == list(fresh(mlp).state_dict())
    assert_same(stepper, stepped(changed(ema=0.9)).result, rtol=1e-4, atol=1e-5)
