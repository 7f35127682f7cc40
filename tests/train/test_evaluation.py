"""Evaluations against scikit-learn's figures, losses against torch's, schedules against torch's schedulers."""

import json
from typing import Any

import pytest
import torch
from sklearn import metrics
from torch import nn
from torch.optim import lr_scheduler

from archdsl.recipe import AnySchedule, Constant, Cosine, CrossEntropy, Mse, MultiStep, Nll, Step
from archdsl.train.evaluation import evaluate
from archdsl.train.losses import class_scores, loss_function
from archdsl.train.schedule import learning_rate
from archdsl.train.splits import InMemory

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


def test_scores_are_the_main_output_as_vectors() -> None:
    scores = torch.randn(2, 10)
    assert class_scores(scores) is scores
    assert class_scores({"out": scores, "aux1": scores + 1}) is scores
    assert torch.equal(class_scores(scores[..., None, None]), scores)


STEPS, EPOCHS = 5, 8


def rates(schedule: AnySchedule) -> list[float]:
    return [learning_rate(schedule, 0.4, step, STEPS, EPOCHS) for step in range(STEPS * EPOCHS)]


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
        (Cosine(minimum=0.01), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS * EPOCHS, 0.01), True),
    ],
)
def test_schedules_are_torchs(schedule: AnySchedule, make: Any, each_step: bool) -> None:
    assert rates(schedule) == pytest.approx(torch_rates(make, each_step=each_step))


def test_the_warm_up_rises_linearly_and_the_cosine_starts_behind_it() -> None:
    warm = rates(Constant(warmup=1.6))
    assert warm[:8] == pytest.approx([0.4 * (i + 1) / 8 for i in range(8)])
    assert warm[8:] == [0.4] * 32
    cosine = rates(Cosine(warmup=2))
    assert cosine[:10] == pytest.approx([0.4 * (i + 1) / 10 for i in range(10)])
    shorter = [learning_rate(Cosine(), 0.4, step, STEPS, EPOCHS - 2) for step in range(30)]
    assert cosine[10:] == pytest.approx(shorter)
