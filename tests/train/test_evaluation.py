"""Evaluations compared with scikit-learn, losses with torch, schedules with torch's schedulers."""

import json
from typing import Any

import pytest
import torch
from sklearn import metrics
from torch import nn
from torch.optim import lr_scheduler

from archdsl.datasets.splits import InMemory
from archdsl.recipe.losses import L1, AnyLoss, Bce, CrossEntropy, Huber, Mse, Nll, PairwiseDistance, SmoothL1
from archdsl.recipe.schedules import (
    AnySchedule,
    Constant,
    Cosine,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Step,
)
from archdsl.train.evaluation import evaluate
from archdsl.train.losses import class_scores, loss_function
from archdsl.train.schedule import Reductions, learning_rate

GENERATOR = torch.Generator().manual_seed(0)
#: The "pictures" are the scores themselves, so that the module is the identity; class 3 never occurs.
SCORES = torch.randint(0, 256, (97, 4), dtype=torch.uint8, generator=GENERATOR)
LABELS = torch.randint(0, 3, (97,), generator=GENERATOR)


def found(batch: int = 10, classes: int = 4) -> Any:
    split = InMemory(SCORES, LABELS)
    loss = loss_function(CrossEntropy())
    names = [f"c{i}" for i in range(classes)]
    return evaluate(nn.Identity(), split, lambda x: x.float() / 64, loss, classes=names, batch=batch)


def test_the_figures_are_scikit_learns() -> None:
    predicted = SCORES.argmax(1)
    evaluation = found()
    assert evaluation.accuracy == pytest.approx(metrics.accuracy_score(LABELS, predicted))
    assert evaluation.samples == 97
    labels = [0, 1, 2, 3]
    assert [list(row) for row in evaluation.confusion] == metrics.confusion_matrix(
        LABELS, predicted, labels=labels
    ).tolist()
    twin = metrics.precision_recall_fscore_support(LABELS, predicted, labels=labels, zero_division=0)
    ours = [(c.precision, c.recall, c.f1, c.support) for c in evaluation.per_class]
    for figures, expected in zip(ours, zip(*twin, strict=True), strict=True):
        assert figures == pytest.approx(expected)


@pytest.mark.parametrize("batch", [1, 10, 97, 1000])
def test_the_loss_is_the_mean_over_all_samples_whatever_the_batches(batch: int) -> None:
    expected = nn.functional.cross_entropy(SCORES.double() / 64, LABELS).item()
    assert found(batch).loss == pytest.approx(expected, rel=1e-6)


def test_outputs_beyond_the_classes_are_not_predicted() -> None:
    evaluation = found(classes=3)
    assert evaluation.accuracy == int((SCORES[:, :3].argmax(1) == LABELS).sum()) / 97
    assert len(evaluation.confusion) == 3


def test_an_evaluation_leaves_the_module_as_it_was_and_is_json() -> None:
    module = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.9))
    for mode in (True, False):
        module.train(mode)
        evaluation = evaluate(
            module, InMemory(SCORES, LABELS), lambda x: x.float(), loss_function(Nll()), classes="abcd", batch=50
        )
        assert module.training is mode
    assert module[0].num_batches_tracked == 0
    facts = json.loads(json.dumps(evaluation.to_dict()))
    assert facts["accuracy"] == evaluation.accuracy
    assert facts["classes"][1]["name"] == "b"


def test_losses_are_torchs() -> None:
    scores, labels = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    smooth = nn.CrossEntropyLoss(label_smoothing=0.2)(scores, labels)
    torch.testing.assert_close(loss_function(CrossEntropy(label_smoothing=0.2))(scores, labels), smooth)
    plain = nn.CrossEntropyLoss()(scores, labels)
    torch.testing.assert_close(loss_function(Nll())(scores.log_softmax(1), labels), plain)
    targets = torch.eye(4)[labels]
    torch.testing.assert_close(loss_function(Mse())(scores, labels), ((scores - targets) ** 2).mean())


@pytest.mark.parametrize(
    ("loss", "twin"),
    [
        (Mse(), nn.MSELoss()),
        (L1(), nn.L1Loss()),
        (Huber(delta=0.5), nn.HuberLoss(delta=0.5)),
        (SmoothL1(beta=0.25), nn.SmoothL1Loss(beta=0.25)),
        (Bce(pos_weight=(1.0, 2.0, 3.0, 4.0)), nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0, 4.0]))),
    ],
    ids=lambda part: getattr(part, "kind", ""),
)
def test_losses_of_values_are_torchs_for_classes_and_for_tensors(loss: AnyLoss, twin: nn.Module) -> None:
    scores, labels, values = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2]), torch.rand(5, 4)
    torch.testing.assert_close(loss_function(loss)(scores, labels), twin(scores, torch.eye(4)[labels]))
    torch.testing.assert_close(loss_function(loss)(scores, values), twin(scores, values))


def test_bce_of_one_output_takes_classes_as_no_and_yes() -> None:
    logits, labels = torch.randn(6, 1), torch.tensor([0, 1, 1, 0, 1, 0])
    expected = nn.BCEWithLogitsLoss()(logits[:, 0], labels.float())
    torch.testing.assert_close(loss_function(Bce())(logits, labels), expected)
    split = InMemory(torch.tensor([[0], [255], [255], [0]], dtype=torch.uint8), torch.tensor([0, 1, 0, 0]))
    found = evaluate(
        nn.Identity(), split, lambda x: x.float() - 128, loss_function(Bce()), classes=["no", "yes"], batch=3
    )
    assert found.confusion == ((2, 1), (0, 1))


def test_shares_of_classes_are_torchs_for_cross_entropy_and_its_like_for_nll() -> None:
    scores, shares, weight = torch.randn(5, 4), torch.rand(5, 4).softmax(1), (1.0, 2.0, 0.5, 1.0)
    expected = nn.CrossEntropyLoss(weight=torch.tensor(weight))(scores, shares)
    torch.testing.assert_close(loss_function(CrossEntropy(weight=weight))(scores, shares), expected)
    torch.testing.assert_close(loss_function(Nll(weight=weight))(scores.log_softmax(1), shares), expected)


WEIGHTED: list[tuple[AnyLoss, nn.Module]] = [
    (CrossEntropy(weight=(1.0, 2.0, 0.5, 3.0)), nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 0.5, 3.0]))),
    (
        CrossEntropy(weight=(1.0, 2.0, 0.5, 3.0), label_smoothing=0.1),
        nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 0.5, 3.0]), label_smoothing=0.1),
    ),
    (CrossEntropy(ignore_index=1), nn.CrossEntropyLoss(ignore_index=1)),
    (Nll(weight=(1.0, 2.0, 0.5, 3.0), ignore_index=2), nn.NLLLoss(torch.tensor([1.0, 2.0, 0.5, 3.0]), ignore_index=2)),
]


@pytest.mark.parametrize(("loss", "twin"), WEIGHTED)
@pytest.mark.parametrize("batch", [20, 97])
def test_a_weighted_loss_is_the_same_mean_whatever_the_batches(loss: AnyLoss, twin: nn.Module, batch: int) -> None:
    def prepare(x: torch.Tensor) -> torch.Tensor:
        return (x.float() / 64).log_softmax(1)

    split, function = InMemory(SCORES, LABELS), loss_function(loss)
    evaluation = evaluate(nn.Identity(), split, prepare, function, classes="abcd", batch=batch)
    assert evaluation.loss == pytest.approx(twin(prepare(SCORES), LABELS).item(), rel=1e-6)


def test_the_pairwise_loss_is_its_sum_over_pairs() -> None:
    outputs, labels = torch.randn(7, 3, requires_grad=True), torch.tensor([0, 5, 5, 2, 9, 1, 0])
    terms = [(torch.dist(outputs[i], outputs[j]) - abs(labels[i] - labels[j])) ** 2 for i in range(7) for j in range(i)]
    found = loss_function(PairwiseDistance())(outputs, labels)
    torch.testing.assert_close(found, torch.stack(terms).mean())
    same = torch.zeros(3, 2, requires_grad=True)  # the distance has no slope at 0, but must not give NaN
    loss_function(PairwiseDistance())(same, labels[:3]).backward()  # type: ignore[no-untyped-call]
    assert same.grad is not None
    assert same.grad.isfinite().all()
    assert loss_function(PairwiseDistance())(outputs[:1], labels[:1]).item() == 0


def test_without_classes_there_is_a_loss_alone() -> None:
    values = torch.rand(97, 4)
    split = InMemory(SCORES, values)
    evaluation = evaluate(nn.Identity(), split, lambda x: x.float() / 64, loss_function(L1()), classes=(), batch=10)
    assert evaluation.loss == pytest.approx((SCORES.float() / 64 - values).abs().mean().item(), rel=1e-6)
    assert (evaluation.accuracy, evaluation.samples, evaluation.f1) == (None, 97, None)


def test_top5_and_f1_are_scikit_learns() -> None:
    generator = torch.Generator().manual_seed(1)
    scores = torch.randperm(97 * 8, generator=generator).view(97, 8) % 251
    labels = torch.randint(0, 8, (97,), generator=generator)
    split, loss = InMemory(scores.to(torch.uint8), labels), loss_function(CrossEntropy())
    evaluation = evaluate(nn.Identity(), split, lambda x: x.double(), loss, classes="abcdefgh", batch=10, top5=True)
    assert evaluation.top5 == pytest.approx(metrics.top_k_accuracy_score(labels, scores.numpy(), k=5))
    assert evaluation.f1 == pytest.approx(metrics.f1_score(labels, scores.argmax(1), average="macro"))


def test_scores_are_the_main_output_as_vectors() -> None:
    scores = torch.randn(2, 10)
    assert class_scores(scores) is scores
    assert class_scores({"out": scores, "aux1": scores + 1}) is scores
    assert torch.equal(class_scores(scores[..., None, None]), scores)


STEPS, EPOCHS = 5, 8


def rates(schedule: AnySchedule) -> list[float]:
    return [learning_rate(schedule, 0.4, step, STEPS, STEPS * EPOCHS) for step in range(STEPS * EPOCHS)]


def torch_rates(make: Any, *, each_step: bool) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler, found = make(optimizer), []
    for step in range(STEPS * EPOCHS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if each_step or (step + 1) % STEPS == 0:
            scheduler.step()
    return found


@pytest.mark.parametrize(
    ("schedule", "make", "each_step"),
    [
        (Constant(), lambda o: lr_scheduler.ConstantLR(o, 1.0), False),
        (Step(every=3, gamma=0.5), lambda o: lr_scheduler.StepLR(o, 3, 0.5), False),
        (MultiStep(milestones=(2, 3, 6)), lambda o: lr_scheduler.MultiStepLR(o, [2, 3, 6], 0.1), False),
        (Exponential(gamma=0.8), lambda o: lr_scheduler.ExponentialLR(o, 0.8), False),
        (Linear(end_factor=0.1), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, STEPS * EPOCHS), True),
        (Polynomial(power=2.0), lambda o: lr_scheduler.PolynomialLR(o, STEPS * EPOCHS, 2.0), True),
        (Cosine(minimum=0.01), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS * EPOCHS, 0.01), True),
    ],
)
def test_schedules_are_torchs(schedule: AnySchedule, make: Any, each_step: bool) -> None:
    assert rates(schedule) == pytest.approx(torch_rates(make, each_step=each_step))


@pytest.mark.parametrize(
    ("schedule", "arguments"),
    [
        (OneCycle(), {}),
        (OneCycle(pct_start=0.5, anneal_strategy="linear", div_factor=10.0, final_div_factor=100.0),
         {"pct_start": 0.5, "anneal_strategy": "linear", "div_factor": 10.0, "final_div_factor": 100.0}),
    ],
)  # fmt: skip
def test_one_cycle_is_torchs(schedule: OneCycle, arguments: dict[str, Any]) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler = lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=STEPS * EPOCHS, cycle_momentum=False, **arguments)
    expected = []
    for step in range(STEPS * EPOCHS):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step + 1 < STEPS * EPOCHS:
            scheduler.step()
    assert rates(schedule) == pytest.approx(expected)


@pytest.mark.parametrize(
    "schedule", [Constant(warmup_steps=8, warmup_start=0.25), Constant(warmup=1.6, warmup_start=0.25)]
)
def test_a_warm_up_from_a_share_is_torchs(schedule: Constant) -> None:
    expected = torch_rates(lambda o: lr_scheduler.LinearLR(o, 0.25, 1.0, 8), each_step=True)
    assert rates(schedule) == pytest.approx(expected)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("schedule", [Plateau(patience=1, factor=0.5, cooldown=2), Plateau(patience=0, min_lr=0.01)])
def test_a_plateau_is_torchs(mode: Any, schedule: Plateau) -> None:
    values = torch.rand(60, generator=torch.Generator().manual_seed(3)).tolist()
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4)
    names = ("factor", "patience", "threshold", "cooldown", "min_lr")
    arguments: dict[str, Any] = {name: getattr(schedule, name) for name in names}
    twin = lr_scheduler.ReduceLROnPlateau(optimizer, mode, **arguments)
    ours, found, expected = Reductions(), [], []
    for value in values:
        ours.observe(schedule, value, 0.4, higher_is_better=mode == "max")
        twin.step(value)
        found.append(0.4 * ours.factor)
        expected.append(optimizer.param_groups[0]["lr"])
    assert found[:40] == pytest.approx(expected[:40], abs=1e-8)
    assert len(set(found)) > 2


def test_the_warm_up_rises_linearly_and_the_cosine_starts_behind_it() -> None:
    warm = rates(Constant(warmup=1.6))
    assert warm[:8] == pytest.approx([0.4 * (i + 1) / 8 for i in range(8)])
    assert warm[8:] == [0.4] * 32
    cosine = rates(Cosine(warmup=2))
    assert cosine[:10] == pytest.approx([0.4 * (i + 1) / 10 for i in range(10)])
    shorter = [learning_rate(Cosine(), 0.4, step, STEPS, STEPS * (EPOCHS - 2)) for step in range(30)]
    assert cosine[10:] == pytest.approx(shorter)
