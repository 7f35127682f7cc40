"""The base class of the constructs of a recipe, and the types of their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from archdsl.arguments.describe import is_number
from archdsl.arguments.values import Construct, spec_text

CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


def listed(value: object) -> object:
    """A list as a tuple."""
    return tuple(value) if isinstance(value, list) else value


def paired(value: object) -> object:
    """One number as a pair, a list as a tuple."""
    return (value, value) if is_number(value) else listed(value)


def several(value: object) -> object:
    """One number or a list as a tuple."""
    return (value,) if is_number(value) else listed(value)


def worded(value: object) -> object:
    """A bare name as a string: `precision = bf16`."""
    return value.name if isinstance(value, Construct) and not value.args and not value.kwargs else value


def all_worded(value: object) -> object:
    """The same for each item of a list."""
    return tuple(map(worded, value)) if isinstance(value, list | tuple) else value


Word = BeforeValidator(worded)
Words = BeforeValidator(all_worded)
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
AtLeastZero = Annotated[float, Field(ge=0)]
Size = Annotated[tuple[Positive, Positive], BeforeValidator(paired), Field(description="a size such as 32 or 32x32")]
Margin = Annotated[
    tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]],
    BeforeValidator(paired),
    Field(description="a number of pixels, or one for the height and one for the width"),
]
Betas = Annotated[tuple[Decay, Decay], BeforeValidator(listed), Field(description="a pair of numbers")]
Numbers = Annotated[
    tuple[float, ...], BeforeValidator(several), Field(description="a number, or one for each channel", min_length=1)
]


class Part(BaseModel):
    """A construct of a recipe with its arguments bound. `kind` is its name, the other fields its arguments."""

    model_config = CONFIG

    #: The arguments that are constructs themselves, and the families they are from.
    parts: ClassVar[Mapping[str, str]] = {}

    kind: str

    @classmethod
    def arguments(cls) -> list[str]:
        """The names of the arguments, in the order in which positions fill them."""
        return [name for name in cls.model_fields if name != "kind"]

    def __str__(self) -> str:
        return spec_text(as_construct(self))


def as_construct(part: Part) -> Construct:
    """The construct of this part, without arguments that have their defaults."""
    given = {name: getattr(part, name) for name in part.arguments()}
    fields = type(part).model_fields
    kwargs = {name: value for name, value in given.items() if value != fields[name].default}
    return Construct(part.kind, kwargs={name: plain(value) for name, value in kwargs.items()})


def plain(value: object) -> object:
    """A recipe's value as the value of a spec."""
    match value:
        case Part():
            return as_construct(value)
        case tuple():
            return [plain(item) for item in value]
    return value
