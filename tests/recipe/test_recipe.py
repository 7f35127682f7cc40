"""Recipes: defaults and argument order as in torch.optim, every error at its place, overrides, JSON."""

import inspect
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from archdsl.api import load
from archdsl.arguments.values import Construct, Entry, RecipeEntries, spec_text
from archdsl.diagnostics import Diagnostic, Problem, SpecError
from archdsl.diagnostics.codes import recipe as problems
from archdsl.recipe import FAMILIES, Recipe, read_recipe, with_overrides
from archdsl.recipe.augmentations import HFlip, Normalize, RandomCrop, RandomResizedCrop
from archdsl.recipe.datasets import Digits, ImageFolder, Mnist
from archdsl.recipe.losses import CrossEntropy
from archdsl.recipe.optimizers import Adam, AdamW, NAdam, RmsProp, Sgd
from archdsl.recipe.parts import Part
from archdsl.recipe.recipe import LISTS
from archdsl.recipe.schedules import Constant, Cosine, MultiStep, OneCycle, Polynomial, Step
from archdsl.text.source import Source, Span


def call(name: str, *args: object, **kwargs: object) -> Construct:
    return Construct(name, args, kwargs)


def entries(**values: object) -> RecipeEntries:
    return {name: Entry(value) for name, value in values.items()}


def read(**values: object) -> Recipe:
    return read_recipe(entries(**values))


def mistakes(found: RecipeEntries) -> list[Diagnostic]:
    with pytest.raises(SpecError) as caught:
        read_recipe(found)
    return list(caught.value.diagnostics)


def mistake(**values: object) -> Diagnostic:
    (diagnostic,) = mistakes(entries(**values))
    return diagnostic


def test_the_example_of_the_language_page() -> None:
    recipe = read(
        dataset=call("imagefolder", "data/imagenet"),
        batch=128,
        epochs=90,
        optimizer=call("sgd", lr=0.01, momentum=0.9, weight_decay=5e-4),
        schedule=call("step", every=30, gamma=0.1),
        augment=[call("random_resized_crop", 224), call("hflip")],
    )
    assert recipe.dataset == ImageFolder(root="data/imagenet")
    assert (recipe.batch, recipe.epochs) == (128, 90)
    assert recipe.optimizer == Sgd(lr=0.01, momentum=0.9, weight_decay=5e-4)
    assert recipe.schedule == Step(every=30, gamma=0.1)
    assert recipe.augment == (RandomResizedCrop(size=(224, 224)), HFlip(p=0.5))
    assert recipe.folder == "data/imagenet"


def test_no_block_at_all_trains_on_the_embedded_digits() -> None:
    recipe = read_recipe(None)
    assert recipe == Recipe()
    assert recipe.dataset == Digits()
    assert (recipe.validation, recipe.max_steps, recipe.device, recipe.folder) == (None, None, "auto", None)


@pytest.mark.parametrize(
    ("part", "twin"), [(Sgd, "SGD"), (Adam, "Adam"), (AdamW, "AdamW"), (RmsProp, "RMSprop")], ids=str
)
def test_optimizers_have_torchs_arguments_in_torchs_order_with_torchs_defaults(part: type[Part], twin: str) -> None:
    import torch

    signature = inspect.signature(getattr(torch.optim, twin)).parameters
    positional = [name for name in signature if name in part.arguments()]
    assert part.arguments() == positional
    for name in positional:
        assert part.model_fields[name].default == signature[name].default, name


def test_cross_entropy_and_crops_have_torchs_defaults() -> None:
    from torch.nn import CrossEntropyLoss
    from torchvision.transforms import RandomHorizontalFlip
    from torchvision.transforms import RandomResizedCrop as Twin

    assert CrossEntropyLoss().label_smoothing == CrossEntropy().label_smoothing
    assert RandomHorizontalFlip().p == HFlip().p
    twin = inspect.signature(Twin).parameters
    ours = RandomResizedCrop(size=(8, 8))
    assert ours.scale == twin["scale"].default
    assert ours.ratio == twin["ratio"].default


def test_arguments_go_by_position_as_well() -> None:
    assert read(optimizer=call("sgd", 0.1, 0.9)).optimizer == Sgd(lr=0.1, momentum=0.9)
    assert read(schedule=call("multistep", [3, 6], gamma=0.5)).schedule == MultiStep(milestones=(3, 6), gamma=0.5)
    assert read(schedule=call("constant")).schedule == Constant()
    assert read(augment=[call("normalize", 0.5, [0.25])]).normalize == Normalize(mean=(0.5,), std=(0.25,))


def test_sizes_are_numbers_or_pairs_and_a_bare_word_names_a_construct() -> None:
    assert read(augment=[call("random_crop", (24, 32), padding=4)]).augment == (
        RandomCrop(size=(24, 32), padding=(4, 4)),
    )
    assert read(dataset="mnist").dataset == Mnist()
    assert read(augment=["hflip"]).augment == (HFlip(),)


def test_an_integer_does_for_a_number_but_nothing_else_is_converted() -> None:
    assert read(optimizer=call("sgd", lr=1)).optimizer == Sgd(lr=1.0)
    for value in ("64", 64.0, True, None, [64]):
        assert mistake(batch=value).code == "E207"
    assert mistake(optimizer=call("sgd", lr=True)).code == "E207"
    assert mistake(root=3).code == "E207"


def test_the_root_entry_goes_before_the_data_sets_own() -> None:
    assert read(dataset=call("mnist", "a")).folder == "a"
    assert read(dataset=call("mnist", "a"), root="b").folder == "b"
    assert read(dataset=call("imagefolder"), root="b").folder == "b"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown entry": ({"colour": 1}, "E601 there is no recipe entry `colour`"),
    "text for an integer": ({"batch": "64"}, 'E207 `batch` of `train` must be an integer, found "64"'),
    "text for a number": ({"optimizer": call("sgd", lr="big")}, 'E207 `lr` of `sgd` must be a number, found "big"'),
    "number for a flag": (
        {"optimizer": call("sgd", nesterov=1)},
        "E207 `nesterov` of `sgd` must be `true` or `false`, found 1",
    ),
    "number for a construct": (
        {"optimizer": 3},
        "E207 `optimizer` of `train` must be the name of an optimizer, found 3",
    ),
    "construct for a list": ({"augment": call("hflip")}, "E207 `augment` of `train` must be a list, found `hflip`"),
    "number in a list": ({"augment": [3]}, "E207 `augment[0]` of `train` must be the name of an augmentation, found 3"),
    "three sizes": (
        {"augment": [call("random_crop", (1, 2, 3))]},
        "E207 `size` of `random_crop` must be a size such as 32 or 32x32, found the tuple (1, 2, 3)",
    ),
    "one beta": ({"optimizer": call("adam", betas=0.9)}, "E207 `betas` of `adam` must be a pair of numbers, found 0.9"),
    "no batch": ({"batch": 0}, "E207 `batch` of `train` must be greater than 0, found 0"),
    "negative seed": ({"seed": -1}, "E207 `seed` of `train` must be at least 0, found -1"),
    "share of all": ({"validation": 1.0}, "E207 `validation` of `train` must be less than 1, found 1.0"),
    "negative rate": ({"optimizer": call("sgd", lr=-0.1)}, "E207 `lr` of `sgd` must be greater than 0, found -0.1"),
    "endless rate": (
        {"optimizer": call("sgd", lr=float("inf"))},
        "E207 `lr` of `sgd` must be a finite number, found inf",
    ),
    "beta of 1": (
        {"optimizer": call("adam", betas=(0.9, 1.0))},
        "E207 `betas` of `adam` must be less than 1, found 1.0",
    ),
    "nesterov alone": (
        {"optimizer": call("sgd", nesterov=True)},
        "E207 `nesterov` of `sgd` must be false without momentum or with dampening, found true",
    ),
    "falling milestones": (
        {"schedule": call("multistep", [6, 3])},
        "E207 `milestones` of `multistep` must be one or more rising epochs, found the list [6, 3]",
    ),
    "scale from high to low": (
        {"augment": [call("random_resized_crop", 8, scale=(1.0, 0.5))]},
        "E207 `scale` of `random_resized_crop` must be a range (low, high), found the tuple (1.0, 0.5)",
    ),
    "no such device": (
        {"device": "gpu"},
        'E207 `device` of `train` must be one of "auto", "cpu", "cuda", "cuda:0", "mps", found "gpu"',
    ),
    "unknown optimizer": (
        {"optimizer": call("sdg", lr=0.1)},
        "E604 there is no optimizer `sdg`; expected one of sgd, adam, adamw, rmsprop, adadelta, adafactor, adagrad, "
        "adamax, asgd, nadam, radam, rprop",
    ),
    "unknown data set": (
        {"dataset": call("imagenet")},
        "E604 there is no data set `imagenet`; expected one of digits, fashion_mnist, mnist, cifar10, cifar100, "
        "imagefolder, arrays, torchvision, external, pairs",
    ),
    "unknown argument": (
        {"loss": call("cross_entropy", smoothing=0.1)},
        "E203 `cross_entropy` has no argument `smoothing`",
    ),
    "argument for none": ({"loss": call("mse", weight=1)}, "E203 `mse` has no argument `weight`"),
    "missing argument": ({"schedule": call("step")}, "E205 `step` requires `every`"),
    "no folder": ({"dataset": call("imagefolder")}, "E205 `imagefolder` requires `root`"),
    "argument twice": ({"optimizer": call("sgd", 0.1, lr=0.2)}, "E204 `sgd` is given `lr` twice"),
    "both lengths": (
        {"epochs": 3, "steps": 100},
        "E207 `steps` of `train` must be none where epochs are given, found 100",
    ),
    "no length": ({"epochs": None}, "E207 `epochs` of `train` must be given where steps are not, found none"),
    "no steps": ({"steps": 0}, "E207 `steps` of `train` must be greater than 0, found 0"),
    "unknown precision": (
        {"precision": call("fp8")},
        'E207 `precision` of `train` must be "fp32", "bf16" or "fp16", found `fp8`',
    ),
    "decay as a number": ({"decay": 0.01}, 'E207 `decay` of `train` must be "all" or "weights", found 0.01'),
    "a rate below 0": ({"rates": {"features": -0.1}}, "E207 `rates` of `train` must be greater than 0, found -0.1"),
    "rates in a list": (
        {"rates": [0.1]},
        "E207 `rates` of `train` must be a dictionary of labels and numbers, found the list [0.1]",
    ),
    "one label alone": ({"freeze": "features"}, 'E207 `freeze` of `train` must be a list of labels, found "features"'),
    "average of all": ({"ema": 1.0}, "E207 `ema` of `train` must be less than 1, found 1.0"),
    "unknown figure": (
        {"metrics": [call("recall")]},
        'E207 `metrics` of `train` must be a list of "accuracy", "top5" and "f1", found the list [recall]',
    ),
    "interval without a unit": (
        {"checkpoint_every": "10"},
        "E207 `checkpoint_every` of `train` must be a number of steps, "
        'or a time such as "90s", "10min", "2h", found "10"',
    ),
    "interval of nothing": (
        {"checkpoint_every": 0},
        'E207 `checkpoint_every` of `train` must be a number of steps, or a time such as "90s", "10min", "2h", found 0',
    ),
    "two warm-ups": (
        {"schedule": call("cosine", warmup=1, warmup_steps=10)},
        "E207 `warmup_steps` of `cosine` must be 0 where warmup is given in epochs, found 10",
    ),
    "one weight": (
        {"loss": call("cross_entropy", weight=1)},
        "E207 `weight` of `cross_entropy` must be a list of numbers, one for each output of the network, found 1",
    ),
    "too many": (
        {"loss": call("huber", 0.1, 0.2)},
        "E206 `huber` takes at most 1 argument by position, but got 2",
    ),
}


@pytest.mark.parametrize(("values", "expected"), WRONG.values(), ids=WRONG)
def test_each_mistake_is_named(values: dict[str, Any], expected: str) -> None:
    found = mistake(**values)
    assert f"{found.code} {found.message}" == expected


def test_every_entry_in_the_words_of_a_spec() -> None:
    network = load("""
let smooth = 0.1
block features { conv(8, 3) }
model m { input(1x8x8); features(); flatten; linear(10) }
train {
  steps = 500; batch = 64; accumulate = 2
  optimizer = nadam(lr=0.002, momentum_decay=0.01); decay = weights
  rates = {features: 0.1, "layer4.1": 0.5}; freeze = [features, "layer4.0"]; weights = "runs/first"
  schedule = onecycle(pct_start=0.2, anneal_strategy=linear, warmup_steps=5, warmup_start=0.1)
  loss = cross_entropy(label_smoothing=smooth, weight=[1, 2.5], ignore_index=0)
  metrics = [accuracy, top5]; monitor = loss; patience = 3
  clip_norm = 1; clip_value = 0.5; ema = 0.999; precision = bf16; channels_last = true; compile = true
  keep = 3; checkpoint_every = "10min"; tensorboard = true
}
""")
    recipe = read_recipe(network.recipe)
    assert (recipe.steps, recipe.epochs, recipe.accumulate) == (500, None, 2)
    assert recipe.optimizer == NAdam(lr=0.002, momentum_decay=0.01)
    assert (recipe.decay, recipe.rates) == ("weights", {"features": 0.1, "layer4.1": 0.5})
    assert (recipe.freeze, recipe.weights) == (("features", "layer4.0"), "runs/first")
    assert recipe.schedule == OneCycle(pct_start=0.2, anneal_strategy="linear", warmup_steps=5, warmup_start=0.1)
    assert recipe.loss == CrossEntropy(label_smoothing=0.1, weight=(1.0, 2.5), ignore_index=0)
    assert (recipe.metrics, recipe.monitor, recipe.patience) == (("accuracy", "top5"), "loss", 3)
    assert (recipe.clip_norm, recipe.clip_value, recipe.ema, recipe.precision) == (1, 0.5, 0.999, "bf16")
    assert (recipe.channels_last, recipe.compile, recipe.tensorboard, recipe.keep) == (True, True, True, 3)
    assert Recipe.model_validate_json(recipe.to_json()) == recipe
    assert read_recipe(recipe.to_entries()) == recipe


def test_the_length_is_in_epochs_or_in_steps() -> None:
    assert (Recipe().epochs, Recipe().steps) == (10, None)
    assert (Recipe(steps=100).epochs, Recipe(steps=100).steps) == (None, 100)
    assert Recipe(steps=100).total_steps(7) == 100
    assert Recipe(epochs=3).total_steps(7) == 21
    assert read(steps=5) == Recipe(steps=5)


def test_the_length_laid_over_takes_the_place_of_the_other() -> None:
    def over(base: Recipe, **changes: object) -> Recipe:
        return read_recipe(with_overrides(base.to_entries(), entries(**changes)))

    assert (over(Recipe(steps=100), epochs=3).epochs, over(Recipe(steps=100), epochs=3).steps) == (3, None)
    assert (over(Recipe(epochs=3), steps=100).epochs, over(Recipe(epochs=3), steps=100).steps) == (None, 100)
    assert over(Recipe(steps=100), batch=3).steps == 100
    assert with_overrides(None, entries(steps=4))["epochs"].value is None


def test_an_override_names_a_label() -> None:
    changed = with_overrides(entries(rates={"head": 0.5}), {"rates.layer4.1": Entry(0.1), "rates.head": Entry(0.2)})
    assert read_recipe(changed).rates == {"head": 0.2, "layer4.1": 0.1}
    assert read_recipe(with_overrides(None, {"rates.head": Entry(0.2)})).rates == {"head": 0.2}


@pytest.mark.parametrize(
    ("given", "steps", "seconds"),
    [(500, 500, None), ("90s", None, 90.0), ("1.5 min", None, 90.0), ("2h", None, 7200.0), (None, None, None)],
)
def test_checkpoints_come_by_steps_or_by_time(given: Any, steps: int | None, seconds: float | None) -> None:
    recipe = read(checkpoint_every=given)
    assert (recipe.checkpoint_steps, recipe.checkpoint_seconds) == (steps, seconds)


def test_the_warm_up_comes_behind_a_schedules_own_arguments() -> None:
    for cls in FAMILIES["schedule"].values():
        assert cls.arguments()[-3:] == ["warmup", "warmup_steps", "warmup_start"]
    assert read(schedule=call("polynomial", 2, 1)).schedule == Polynomial(power=2, warmup=1)


def test_losses_have_torchs_arguments_and_defaults() -> None:
    from torch import nn

    twins = {"nll": nn.NLLLoss, "huber": nn.HuberLoss, "smooth_l1": nn.SmoothL1Loss, "bce": nn.BCEWithLogitsLoss}
    for kind, twin in {"cross_entropy": nn.CrossEntropyLoss, "mse": nn.MSELoss, "l1": nn.L1Loss, **twins}.items():
        signature = inspect.signature(twin).parameters
        part = FAMILIES["loss"][kind]
        for name in part.arguments():
            assert part.model_fields[name].default == signature[name].default, (kind, name)


def test_schedules_have_torchs_defaults_where_they_share_arguments() -> None:
    from torch.optim import lr_scheduler

    twins = {"onecycle": lr_scheduler.OneCycleLR, "plateau": lr_scheduler.ReduceLROnPlateau}
    for kind, twin in {"polynomial": lr_scheduler.PolynomialLR, **twins}.items():
        signature = inspect.signature(twin).parameters
        part = FAMILIES["schedule"][kind]
        for name in set(part.arguments()) & set(signature):
            assert part.model_fields[name].default == signature[name].default, (kind, name)


def test_every_mistake_is_reported_at_its_place() -> None:
    source = Source("net.arch", 'train {\n  epoch = 5\n  batch = "x"\n  optimizer = sgd(lr=-1, momentun=0.9)\n}\n')

    def at(text: str) -> Span:
        start = source.text.index(text)
        return Span(source, start, start + len(text))

    places: dict[int | str, Span] = {"lr": at("-1"), "momentun": at("momentun=0.9")}
    sgd = Construct("sgd", (), {"lr": -1, "momentun": 0.9}, at("sgd(lr=-1, momentun=0.9)"), places)
    found = mistakes(
        {
            "epoch": Entry(5, at("epoch = 5")),
            "batch": Entry("x", at('batch = "x"')),
            "optimizer": Entry(sgd, at("optimizer = sgd(lr=-1, momentun=0.9)")),
        }
    )
    where = {(d.code, d.span.line, d.span.column) for d in found if d.span is not None}
    assert where == {("E601", 2, 3), ("E207", 3, 3), ("E207", 4, 22), ("E203", 4, 26)}
    edits = [(h.message, h.span and h.span.text, h.replacement) for d in found for h in d.helps]
    assert ("did you mean `epochs`?", "epoch", "epochs") in edits
    assert ("did you mean `momentum`?", "momentun", "momentum") in edits


def test_a_lone_argument_is_told_where_it_belongs() -> None:
    (help,) = mistake(lr=0.1).helps
    assert help.message == "`lr` is an argument: optimizer = sgd(lr=...), or --set optimizer.lr=..."


def test_overrides_replace_entries_and_reach_into_constructs() -> None:
    spec = entries(
        batch=64,
        optimizer=call("sgd", 0.1, momentum=0.9),
        augment=[call("hflip"), call("random_crop", 28, padding=2)],
    )
    changed = with_overrides(
        spec,
        entries(batch=32)
        | {
            "optimizer.lr": Entry(0.5),
            "augment.random_crop.padding": Entry(4),
            "schedule": Entry(call("cosine")),
            "schedule.warmup": Entry(1),
            "loss.label_smoothing": Entry(0.1),
        },
    )
    recipe = read_recipe(changed)
    assert recipe.batch == 32
    assert recipe.optimizer == Sgd(lr=0.5, momentum=0.9)
    assert recipe.augment == (HFlip(), RandomCrop(size=(28, 28), padding=(4, 4)))
    assert recipe.schedule == Cosine(warmup=1.0)
    assert recipe.loss == CrossEntropy(label_smoothing=0.1)
    assert read_recipe(spec).optimizer == Sgd(lr=0.1, momentum=0.9)


@pytest.mark.parametrize("key", ["batch.size", "optimizr.lr", "augment.hflip.p", "optimizer.betas.0"])
def test_an_override_that_reaches_nothing_is_rejected(key: str) -> None:
    (found,) = mistakes(with_overrides(None, {key: Entry(1)}))
    assert found.code == "E601"
    assert f"`{key}`" in found.message


def test_an_override_of_an_unknown_argument_is_rejected_by_the_construct() -> None:
    (found,) = mistakes(with_overrides(None, {"optimizer.momentum": Entry(0.9)}))
    assert found.code == "E203"  # the default optimizer is adam
    recipe = read_recipe(with_overrides(None, {"optimizer": Entry("sgd"), "optimizer.momentum": Entry(0.9)}))
    assert recipe.optimizer == Sgd(momentum=0.9)


def every_part() -> Recipe:
    return Recipe(
        dataset=Mnist(root="x"),
        validation=0.1,
        augment=(
            RandomCrop(size=(28, 28), padding=(2, 0)),
            RandomResizedCrop(size=(28, 28), ratio=(1, 2)),
            Normalize(mean=(0.5,), std=(0.1,)),
        ),
        optimizer=AdamW(betas=(0.8, 0.9)),
        schedule=MultiStep(milestones=(2, 4), warmup=0.5),
        loss=CrossEntropy(label_smoothing=0.1),
        max_steps=7,
        device="cuda:1",
    )


def test_json_and_entries_give_the_recipe_back() -> None:
    for recipe in (Recipe(), every_part()):
        assert Recipe.model_validate_json(recipe.to_json()) == recipe
        assert read_recipe(recipe.to_entries()) == recipe
    assert every_part() != Recipe()
    with pytest.raises(ValidationError):
        Recipe.model_validate_json('{"batch": "64"}')


def test_every_construct_prints_as_a_spec_writes_it() -> None:
    assert str(RandomCrop(size=(28, 28), padding=(2, 0))) == "random_crop(size=[28, 28], padding=[2, 0])"
    assert str(HFlip()) == "hflip"
    assert spec_text([True, None, 'say "x"', (1,), {"a": 0.5}]) == '[true, none, "say \\"x\\"", (1,), {a: 0.5}]'


def test_kinds_are_unique_and_every_field_is_frozen() -> None:
    kinds = [kind for family in FAMILIES.values() for kind in family]
    assert len(kinds) == len(set(kinds))
    with pytest.raises(ValidationError):
        Sgd().lr = 3


TEXT_PROBLEMS = [cls for cls in vars(problems).values() if getattr(cls, "wrong", "") and cls.code.startswith("E60")]


@pytest.mark.parametrize("problem", TEXT_PROBLEMS, ids=lambda cls: cls.code)
def test_the_examples_of_each_code_fail_and_pass(problem: type[Problem]) -> None:
    read_recipe(load(problem.right).recipe)
    (found,) = mistakes(load(problem.wrong).recipe)
    assert found.code == problem.code
    assert found.span is not None


def test_there_is_an_example_for_each_code_that_the_text_alone_can_have() -> None:
    assert {cls.code for cls in TEXT_PROBLEMS} == {"E601", "E604"}


def test_the_recipe_needs_no_torch() -> None:
    code = "import sys, archdsl.recipe; archdsl.recipe.Recipe(); print({'torch', 'numpy', 'onnx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("value", [3, -1.5, True, "x", [1], [], {"a": "b"}, [[1]]])
def test_no_message_is_pydantics(value: object) -> None:
    """Every entry and argument with values of other types."""
    entries = [{name: Entry(value)} for name in Recipe.model_fields if name not in FAMILIES]
    for family, kinds in FAMILIES.items():
        for kind, cls in kinds.items():
            constructs = [Construct(kind, kwargs={name: value}) for name in cls.arguments()]
            entries += [{family: Entry([one] if family in LISTS else one)} for one in constructs]
    for given in entries:
        try:
            read_recipe(given)
        except SpecError as error:
            messages = [each.message for each in error.diagnostics]
            assert not [one for one in messages if "nput should" in one or "Value should" in one]
