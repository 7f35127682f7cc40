"""The training recipe: the typed form of a `train { }` block. Works without torch.

Optimizers, schedules, losses, data sets and augmentations are classes whose `kind` is their name in a spec
and whose other fields are their arguments, in order. A new one is a class in its family's union below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic import model_validator as check_together
from pydantic_core import ErrorDetails, PydanticCustomError

from archdsl.diagnostics import Diagnostic, Help, Problem, SpecError
from archdsl.diagnostics.recipe import (
    ArgumentTwice,
    MissingArgument,
    OutOfRange,
    TooManyArguments,
    UnknownArgument,
    UnknownChoice,
    UnknownEntry,
    WrongType,
)
from archdsl.source import Span
from archdsl.values import Construct, Entry, RecipeEntries, spec_text

CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


def _listed(value: object) -> object:
    """A list is as good as a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _pair(value: object) -> object:
    """One number stands for a pair of them."""
    return (value, value) if _is_number(value) else _listed(value)


def _several(value: object) -> object:
    """One number stands for itself alone."""
    return (value,) if _is_number(value) else _listed(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _broken(name: str, rule: str, found: object) -> PydanticCustomError:
    """A value that breaks a rule of ours: reported as E603."""
    facts = {"name": name, "rule": rule, "found": spec_text(found)}
    return PydanticCustomError("broken_rule", "must be {rule}", facts)


def _rising(value: tuple[int, ...]) -> tuple[int, ...]:
    if not value or any(a >= b for a, b in pairwise(value)):
        raise _broken("", "one or more rising epochs", list(value))
    return value


def _low_to_high(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise _broken("", "a range (low, high)", value)
    return value


def _device_name(value: str) -> str:
    kind, _, number = value.partition(":")
    if kind not in {"auto", "cpu", "mps", "cuda"} or (":" in value and not (kind == "cuda" and number.isdecimal())):
        raise _broken("", 'one of "auto", "cpu", "cuda", "cuda:0", "mps"', value)
    return value


Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
AtLeastZero = Annotated[float, Field(ge=0)]
Size = Annotated[tuple[Positive, Positive], BeforeValidator(_pair), Field(description="a size such as 32 or 32x32")]
Margin = Annotated[
    tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]],
    BeforeValidator(_pair),
    Field(description="a number of cells, or one for the height and one for the width"),
]
Betas = Annotated[tuple[Decay, Decay], BeforeValidator(_listed), Field(description="a pair of numbers")]
Numbers = Annotated[
    tuple[float, ...], BeforeValidator(_several), Field(description="a number, or one for each channel", min_length=1)
]


class Part(BaseModel):
    """A construct of a recipe with its arguments bound. `kind` is its name, the other fields its arguments."""

    model_config = CONFIG

    kind: str

    @classmethod
    def arguments(cls) -> list[str]:
        """The names of the arguments, in the order in which positions fill them."""
        return [name for name in cls.model_fields if name != "kind"]

    def __str__(self) -> str:
        return spec_text(_construct(self))


class Digits(Part):
    """scikit-learn's 1,797 digits of 8x8 cells, ten classes; every fifth picture of a class is for testing."""

    kind: Literal["digits"] = "digits"


class FileSet(Part):
    """A data set in files. `root` is their folder, None for the usual places."""

    root: str | None = None


class FashionMnist(FileSet):
    """70,000 grey pictures of clothing, 28x28, ten classes (Xiao, Rasul, Vollgraf 2017)."""

    kind: Literal["fashion_mnist"] = "fashion_mnist"


class Mnist(FileSet):
    """70,000 grey pictures of handwritten digits, 28x28, ten classes (LeCun, Cortes, Burges)."""

    kind: Literal["mnist"] = "mnist"


class Cifar10(FileSet):
    """60,000 colour pictures, 32x32, ten classes (Krizhevsky 2009)."""

    kind: Literal["cifar10"] = "cifar10"


class Cifar100(FileSet):
    """60,000 colour pictures, 32x32, a hundred classes (Krizhevsky 2009)."""

    kind: Literal["cifar100"] = "cifar100"


class ImageFolder(FileSet):
    """A folder of pictures for each class, below ROOT/train and ROOT/val (or test), or below ROOT itself."""

    kind: Literal["imagefolder"] = "imagefolder"


class Sgd(Part):
    """`torch.optim.SGD`."""

    kind: Literal["sgd"] = "sgd"
    lr: Rate = 1e-3
    momentum: AtLeastZero = 0.0
    dampening: AtLeastZero = 0.0
    weight_decay: AtLeastZero = 0.0
    nesterov: bool = False

    @check_together(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise _broken("nesterov", "false without momentum or with dampening", True)
        return self


class Adam(Part):
    """`torch.optim.Adam`."""

    kind: Literal["adam"] = "adam"
    lr: Rate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: AtLeastZero = 1e-8
    weight_decay: AtLeastZero = 0.0
    amsgrad: bool = False


class AdamW(Part):
    """`torch.optim.AdamW`."""

    kind: Literal["adamw"] = "adamw"
    lr: Rate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: AtLeastZero = 1e-8
    weight_decay: AtLeastZero = 0.01
    amsgrad: bool = False


class RmsProp(Part):
    """`torch.optim.RMSprop`."""

    kind: Literal["rmsprop"] = "rmsprop"
    lr: Rate = 1e-2
    alpha: AtLeastZero = 0.99
    eps: AtLeastZero = 1e-8
    weight_decay: AtLeastZero = 0.0
    momentum: AtLeastZero = 0.0
    centered: bool = False


class Constant(Part):
    """The optimizer's learning rate throughout. `warmup` epochs of linear rise come first."""

    kind: Literal["constant"] = "constant"
    warmup: AtLeastZero = 0.0


class Step(Part):
    """The rate times `gamma` after every `every` epochs (`StepLR`)."""

    kind: Literal["step"] = "step"
    every: Positive
    gamma: Rate = 0.1
    warmup: AtLeastZero = 0.0


class MultiStep(Part):
    """The rate times `gamma` after each of the epochs `milestones` (`MultiStepLR`)."""

    kind: Literal["multistep"] = "multistep"
    milestones: Annotated[
        tuple[Positive, ...], BeforeValidator(_listed), AfterValidator(_rising), Field(description="a list of epochs")
    ]
    gamma: Rate = 0.1
    warmup: AtLeastZero = 0.0


class Cosine(Part):
    """Half a cosine from the optimizer's rate to `minimum`, step by step (`CosineAnnealingLR`)."""

    kind: Literal["cosine"] = "cosine"
    minimum: AtLeastZero = 0.0
    warmup: AtLeastZero = 0.0


class CrossEntropy(Part):
    """`torch.nn.CrossEntropyLoss`: the network gives unnormalised scores."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Share = 0.0


class Nll(Part):
    """`torch.nn.NLLLoss`: the network ends in log_softmax."""

    kind: Literal["nll"] = "nll"


class Mse(Part):
    """`torch.nn.MSELoss` against 1 for the class and 0 for all others."""

    kind: Literal["mse"] = "mse"


class RandomCrop(Part):
    """A window of `size` at a random place of the picture with `padding` black cells around it."""

    kind: Literal["random_crop"] = "random_crop"
    size: Size
    padding: Margin = (0, 0)


class HFlip(Part):
    """Left and right exchanged, with probability `p`."""

    kind: Literal["hflip"] = "hflip"
    p: Share = 0.5


class VFlip(Part):
    """Top and bottom exchanged, with probability `p`."""

    kind: Literal["vflip"] = "vflip"
    p: Share = 0.5


class RandomResizedCrop(Part):
    """A window of a random share `scale` of the area and a random `ratio` of width to height, resampled to `size`."""

    kind: Literal["random_resized_crop"] = "random_resized_crop"
    size: Size
    scale: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]],
        BeforeValidator(_listed),
        AfterValidator(_low_to_high),
        Field(description="a pair of shares of the area"),
    ] = (0.08, 1.0)
    ratio: Annotated[
        tuple[Rate, Rate],
        BeforeValidator(_listed),
        AfterValidator(_low_to_high),
        Field(description="a pair of ratios"),
    ] = (3 / 4, 4 / 3)


class Normalize(Part):
    """(x - mean) / std for pictures in 0..1, in training and evaluation; else the training set's own figures."""

    kind: Literal["normalize"] = "normalize"
    mean: Numbers
    std: Annotated[
        tuple[Rate, ...],
        BeforeValidator(_several),
        Field(description="a number, or one for each channel", min_length=1),
    ]


AnyDataSet = Digits | FashionMnist | Mnist | Cifar10 | Cifar100 | ImageFolder
AnyOptimizer = Sgd | Adam | AdamW | RmsProp
AnySchedule = Constant | Step | MultiStep | Cosine
AnyLoss = CrossEntropy | Nll | Mse
AnyAugmentation = RandomCrop | HFlip | VFlip | RandomResizedCrop | Normalize


def _by_kind(union: Any) -> dict[str, type[Part]]:
    return {cls.model_fields["kind"].default: cls for cls in get_args(union)}


#: The entries that are constructs, and what each may be.
FAMILIES: dict[str, dict[str, type[Part]]] = {
    "dataset": _by_kind(AnyDataSet),
    "optimizer": _by_kind(AnyOptimizer),
    "schedule": _by_kind(AnySchedule),
    "loss": _by_kind(AnyLoss),
    "augment": _by_kind(AnyAugmentation),
}
FAMILY_NAMES = {"dataset": "data set", "augment": "augmentation"}
LISTS = {"augment"}


class Recipe(BaseModel):
    """How a network is trained; see docs/training.md for each entry.

    validation   share of the training set held back for validation; None validates on the test set
    epochs       passes over the training set; `max_steps` ends the run earlier
    aux_weight   weight of the loss of each auxiliary output (0.3: Szegedy et al. 2014, section 5)
    workers      processes that read pictures, where a folder is too large for memory
    """

    model_config = CONFIG

    dataset: AnyDataSet = Field(default=Digits(), discriminator="kind")
    root: str | None = None
    validation: Annotated[float, Field(gt=0, lt=1)] | None = None
    augment: tuple[Annotated[AnyAugmentation, Field(discriminator="kind")], ...] = ()
    batch: Positive = 64
    epochs: Positive = 10
    max_steps: Positive | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    optimizer: AnyOptimizer = Field(default=Adam(), discriminator="kind")
    schedule: AnySchedule = Field(default=Constant(), discriminator="kind")
    loss: AnyLoss = Field(default=CrossEntropy(), discriminator="kind")
    aux_weight: AtLeastZero = 0.3
    device: Annotated[str, AfterValidator(_device_name)] = "auto"
    workers: Annotated[int, Field(ge=0)] = 2

    _places: dict[str, Span] = PrivateAttr(default_factory=dict)

    @classmethod
    def from_entries(cls, entries: Mapping[str, Entry] | None) -> Recipe:
        """The recipe that a `train` block's entries describe (None: all defaults).

        Raises SpecError with every mistake, each at its place in the text.
        """
        reader = _Reader()
        values = {name: reader.entry(name, entry) for name, entry in (entries or {}).items()}
        recipe = reader.build(values, entries or {})
        if reader.found:
            raise SpecError(reader.found)
        return recipe

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote. Raises pydantic's ValidationError for anything else."""
        return cls.model_validate_json(text)

    def to_json(self) -> str:
        """All entries with their values, defaults included, as a JSON object."""
        return self.model_dump_json(indent=2)

    def to_entries(self) -> RecipeEntries:
        """The entries of a `train` block that gives this recipe, so that overrides can be laid over them."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: Entry(_value(value), self.place(name)) for name, value in values}

    def place(self, entry: str) -> Span | None:
        """Where the entry stands in the text; None for a default."""
        return self._places.get(entry)

    @property
    def folder(self) -> str | None:
        """The data set's root: the entry `root`, else the one the data set was given."""
        given = self.dataset.root if isinstance(self.dataset, FileSet) else None
        return self.root if self.root is not None else given

    @property
    def normalize(self) -> Normalize | None:
        """The normalisation that is given, None where the training set's figures are to be used."""
        return next((part for part in self.augment if isinstance(part, Normalize)), None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]


def with_overrides(entries: Mapping[str, Entry] | None, overrides: Mapping[str, Entry]) -> RecipeEntries:
    """The entries with others laid over them, as `--set key=value` does.

    A key with a dot reaches into a construct or a list of constructs: `optimizer.lr`,
    `augment.random_crop.padding`. A key that reaches nothing is kept; `Recipe.from_entries` refuses it.
    """
    merged = dict(entries or {})
    for key, entry in overrides.items():
        name, *path = key.split(".")
        reached = _reach(name, _base(merged, name), path, entry) if path else entry.value
        if reached is None and path:
            merged[key] = entry
        else:
            merged[name] = Entry(reached, merged[name].span if path and name in merged else entry.span)
    return merged


def _base(entries: Mapping[str, Entry], name: str) -> object:
    """What an override reaches into: the entry's value, or its default's."""
    if name in entries:
        return entries[name].value
    return _value(Recipe.model_fields[name].default) if name in FAMILIES else None


def _reach(family: str, base: object, path: list[str], entry: Entry) -> object:
    """`base` with the value at `path` changed; None where there is no such path."""
    match base, path:
        case Construct(), [argument]:
            return _with_argument(family, base, argument, entry)
        case str(), [argument] if family in FAMILIES:
            return _with_argument(family, Construct(base), argument, entry)
        case list(), [name, *rest]:
            matches = [i for i, item in enumerate(base) if isinstance(item, Construct) and item.name == name]
            reached = _reach(family, base[matches[0]], rest, entry) if matches else None
            return None if reached is None else [*base[: matches[0]], reached, *base[matches[0] + 1 :]]
    return None


def _with_argument(family: str, base: Construct, argument: str, entry: Entry) -> Construct:
    cls = FAMILIES.get(family, {}).get(base.name)
    names = cls.arguments() if cls else []
    named = dict(zip(names, base.args, strict=False))
    args = base.args[len(named) :]
    places = {names[key] if isinstance(key, int) and key < len(names) else key: s for key, s in base.places.items()}
    places |= {argument: entry.span} if entry.span is not None else {}
    return Construct(base.name, args, named | base.kwargs | {argument: entry.value}, base.span, places)


def _value(value: object) -> object:
    """A recipe's value as the plain value that a spec would give."""
    match value:
        case Part():
            return _construct(value)
        case tuple():
            return [_value(item) for item in value]
    return value


def _construct(part: Part) -> Construct:
    given = {name: getattr(part, name) for name in part.arguments()}
    fields = type(part).model_fields
    kwargs = {name: value for name, value in given.items() if value != fields[name].default}
    return Construct(part.kind, kwargs={name: list(v) if isinstance(v, tuple) else v for name, v in kwargs.items()})


class _Reader:
    """Turns entries into a recipe's values and collects what is wrong on the way."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def report(self, problem: Problem, span: Span | None, help: Help | None = None) -> None:
        self.found.append(Diagnostic(problem, span, helps=(help,) if help else ()))

    def entry(self, name: str, entry: Entry) -> object:
        """The entry's value; None, with a report, where it is wrong."""
        if name not in Recipe.model_fields:
            self.report(UnknownEntry(name), entry.span, _entry_help(name, entry.span))
            return None
        if name not in FAMILIES:
            return entry.value
        if name not in LISTS:
            return self.part(name, name, entry.value, entry.span)
        if not isinstance(entry.value, list | tuple):
            help = Help(f"write it in brackets: {name} = [{spec_text(entry.value)}]")
            self.report(WrongType(name, "a list", spec_text(entry.value)), entry.span, help)
            return None
        parts = [self.part(name, f"{name}[{i}]", item, entry.span) for i, item in enumerate(entry.value)]
        return tuple(part for part in parts if part is not None)

    def part(self, family: str, name: str, value: object, span: Span | None) -> Part | None:
        """A construct with its arguments bound and checked."""
        construct = Construct(value, span=span) if isinstance(value, str) else value
        kinds = FAMILIES[family]
        family_name = FAMILY_NAMES.get(family, family)
        if not isinstance(construct, Construct):
            expected = f"the name of {'an' if family_name[0] in 'aeiou' else 'a'} {family_name}"
            self.report(WrongType(name, expected, spec_text(value)), span)
            return None
        place = construct.span or span
        cls = kinds.get(construct.name)
        if cls is None:
            problem = UnknownChoice(family_name, construct.name, ", ".join(kinds))
            self.report(problem, place, _rename(construct.name, kinds, place))
            return None
        return self.bind(cls, construct, place)

    def bind(self, cls: type[Part], construct: Construct, place: Span | None) -> Part | None:
        """The class with the construct's arguments, in PyTorch's way: positions first, then names."""
        names = cls.arguments()
        before = len(self.found)
        if len(construct.args) > len(names):
            most = f"{len(names)} argument{'s' * (len(names) != 1)}"
            self.report(TooManyArguments(construct.name, most, len(construct.args)), place)
        values = dict(zip(names, construct.args, strict=False))
        places = {name: construct.places.get(i) for i, name in enumerate(names)} | dict(construct.places)
        for name, value in construct.kwargs.items():
            at = places.get(name) or place
            if name in values:
                self.report(ArgumentTwice(construct.name, name), at)
            elif name not in names:
                problem = UnknownArgument(construct.name, name, ", ".join(names) or "none")
                self.report(problem, at, _rename(name, names, at))
            else:
                values[name] = value
        try:
            part = cls.model_validate(values)
        except ValidationError as error:
            for details in error.errors():
                self.refuse(cls, details, {name: places.get(name) or place for name in names}, place)
            return None
        return part if len(self.found) == before else None

    def build(self, values: Mapping[str, object], entries: Mapping[str, Entry]) -> Recipe:
        """The recipe, or its defaults where something is wrong and reported."""
        places = {name: entry.span for name, entry in entries.items()}
        given = {n: v for n, v in values.items() if n in Recipe.model_fields and not (v is None and n in FAMILIES)}
        recipe = Recipe()
        try:
            recipe = Recipe.model_validate(given)
        except ValidationError as error:
            for details in error.errors():
                self.refuse(Recipe, details, places, None)
        if isinstance(recipe.dataset, ImageFolder) and recipe.folder is None:
            self.report(MissingArgument("imagefolder", "root"), places.get("dataset"))
        recipe._places = {name: span for name, span in places.items() if span is not None}
        return recipe

    def refuse(
        self, cls: type[BaseModel], details: ErrorDetails, places: Mapping[str, Span | None], place: Span | None
    ) -> None:
        """Say one of pydantic's errors in our words, at the place of the entry or argument."""
        context = details.get("ctx", {})
        name = str(details["loc"][0]) if details["loc"] else str(context.get("name", ""))
        span = places.get(name) or place
        found = spec_text(details["input"])
        if details["type"] == "missing" and len(details["loc"]) == 1:
            construct = cls.model_fields["kind"].default
            self.report(MissingArgument(construct, name), span)
        elif details["type"] == "broken_rule":
            self.report(OutOfRange(name, str(context["rule"]), str(context["found"])), span)
        elif (rule := _range_rule(context)) is not None:
            self.report(OutOfRange(name, rule, found), span)
        else:
            expected = cls.model_fields[name].description or EXPECTED.get(details["type"], details["msg"])
            self.report(WrongType(name, expected, found), span)


EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "finite_number": "a finite number",
}
RULES = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


def _range_rule(context: Mapping[str, Any]) -> str | None:
    return next((f"{words} {context[key]:g}" for key, words in RULES.items() if key in context), None)


def _entry_help(name: str, span: Span | None) -> Help | None:
    """A near name, or for an argument that stands alone (`lr = 0.1`) where it belongs."""
    if (help := _rename(name, Recipe.model_fields, span)) is not None:
        return help
    for family, kinds in FAMILIES.items():
        for kind, cls in kinds.items():
            if name in cls.arguments():
                return Help(f"`{name}` is an argument: {family} = {kind}({name}=...), or --set {family}.{name}=...")
    return None


def _rename(name: str, names: Iterable[str], span: Span | None) -> Help | None:
    """`did you mean`, as an edit where the span starts with the name."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(names), 1)
    if not near:
        return None
    message = f"did you mean `{near[0]}`?"
    if span is None or not span.text.startswith(name):
        return Help(message)
    return Help(message, Span(span.source, span.start, span.start + len(name)), near[0])
