"""What `archdsl predict` prints and writes, for each kind of output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from archdsl.inference.results import Embedding, Found, Mask, Outputs, Picture, Prediction, Score, Values

if TYPE_CHECKING:
    from torch import Tensor

    from archdsl.view.tables import Column

#: A vector of so many values is printed with its norm.
SHORT = 8
#: The kinds of results, as the JSON form names them.
KINDS: dict[type[Any], str] = {
    Prediction: "classes",
    Score: "scores",
    Values: "values",
    Embedding: "embedding",
    Picture: "image",
    Mask: "segmentation",
    Outputs: "outputs",
}


def kind(found: Sequence[Found]) -> str:
    """The kind of all results, which are alike."""
    first = found[0]
    return KINDS[type(first[0] if isinstance(first, list) else first)]


def write_files(images: Sequence[str], found: Sequence[Found], output: str) -> list[str]:
    """Write images or masks: one to the path `output`, several into that folder; returns their paths."""
    if len(found) == 1:
        paths = [Path(output)]
    else:
        Path(output).mkdir(parents=True, exist_ok=True)
        paths = []
        for image in images:
            names = (f"{Path(image).stem}{f'-{i}' if i else ''}.png" for i in count())
            paths.append(next(path for name in names if (path := Path(output, name)) not in paths))
    for path, one in zip(paths, found, strict=True):
        assert isinstance(one, Picture | Mask)
        one.save(path)
    return [str(path) for path in paths]


# JSON


def facts(images: Sequence[str], found: Sequence[Found], files: Sequence[str | None]) -> list[dict[str, Any]]:
    """One object for each sample (docs/json.md)."""
    return [
        {"image": image, "kind": kind([one])} | _facts(one, file)
        for image, one, file in zip(images, found, files, strict=True)
    ]


def _facts(found: Found, file: str | None) -> dict[str, Any]:
    match found:
        case Values():
            return {"values": [{"name": n, "value": v} for n, v in zip(found.names, found.values, strict=True)]}
        case Embedding():
            return {"norm": found.norm, "vector": found.vector.tolist()}
        case Picture():
            return {"shape": list(found.pixels.shape), "low": found.low, "high": found.high, "file": file}
        case Mask():
            shares = [{"class": one.name, "index": one.index, "share": one.share} for one in found.shares]
            return {"shape": list(found.classes.shape), "classes": shares, "file": file}
        case Outputs():
            return {"outputs": {name: _range(tensor) for name, tensor in found.tensors.items()}}
        case _:
            return {"predictions": [_class(one) for one in found]}


def _class(one: Prediction | Score) -> dict[str, Any]:
    value = {"probability": one.probability} if isinstance(one, Prediction) else {"score": one.score}
    return {"class": one.name, "index": one.index} | value


def _range(tensor: Tensor) -> dict[str, Any]:
    low, mean, high = float(tensor.min()), float(tensor.mean()), float(tensor.max())
    return {"shape": list(tensor.shape), "low": low, "mean": mean, "high": high}


# Tables


def draw_found(images: Sequence[str], found: Sequence[Found], files: Sequence[str | None], top: int) -> None:
    """Print a table; images are named if there are several."""
    from archdsl.view.tables import Column, draw, terminal_width

    columns, rows = _table(images, found, top)
    first = 0 if len(images) > 1 else 1
    columns = [Column("image", fold=16), *columns]
    draw(columns[first:], [row[first:] for row in rows], file=sys.stdout, width=terminal_width())
    if files[0] is not None:
        print("\n" + "\n".join(f"wrote {file}{_scaling(one)}" for file, one in zip(files, found, strict=True)))


def _scaling(found: Found) -> str:
    """What was done to an image whose values are not in 0..1."""
    if not isinstance(found, Picture) or found.fits:
        return ""
    return (
        ", cut off at 0 and 1" if found.is_scaled else ", scaled from the lowest value (black) to the highest (white)"
    )


def _table(images: Sequence[str], found: Sequence[Found], top: int) -> tuple[list[Column], list[list[str]]]:
    """The columns after that of the image, and the rows with the image's name first."""
    if isinstance(found[0], Embedding):
        return _embeddings(images, [one for one in found if isinstance(one, Embedding)])
    columns = _columns(found[0])
    rows = []
    for image, one in zip(images, found, strict=True):
        for place, cells in enumerate(_rows(one, top)):
            rows.append([image if place == 0 else "", *cells])
    return columns, rows


def _columns(found: Found) -> list[Column]:
    from archdsl.view.tables import Column

    def columns(first: str, *others: str) -> list[Column]:
        return [Column(first, fold=16), *(Column(title, right=True) for title in others)]

    match found:
        case Values():
            return columns("output", "value")
        case Picture():
            return columns("kind", "shape", "lowest", "highest")
        case Mask():
            return columns("class", "pixels")
        case Outputs():
            return columns("output", "shape", "lowest", "mean", "highest")
        case Embedding():
            return columns("kind", "values", "norm")
        case _:
            return columns("class", "probability" if isinstance(found[0], Prediction) else "score")


def _rows(found: Found, top: int) -> list[list[str]]:
    match found:
        case Values():
            return [[name, f"{value:.6g}"] for name, value in zip(found.names, found.values, strict=True)]
        case Picture():
            return [["image", _sizes(found.pixels), f"{found.low:.4g}", f"{found.high:.4g}"]]
        case Mask():
            return [[one.name, f"{one.share:.2%}"] for one in found.shares[:top]]
        case Outputs():
            return [[name, *_statistics(tensor)] for name, tensor in found.tensors.items()]
        case Embedding():
            raise AssertionError("embeddings have a table of their own")
        case _:
            return [_class_cells(one) for one in found]


def _class_cells(one: Prediction | Score) -> list[str]:
    match one:
        case Prediction():
            return [one.name, f"{one.probability:.2%}"]
        case Score():
            return [one.name, f"{one.score:.4f}"]
        case _:
            assert_never(one)


def _statistics(tensor: Tensor) -> list[str]:
    known = _range(tensor)
    return [_sizes(tensor), *(f"{known[name]:.4g}" for name in ("low", "mean", "high"))]


def _sizes(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _embeddings(images: Sequence[str], found: Sequence[Embedding]) -> tuple[list[Column], list[list[str]]]:
    """The length of each vector, and of several images the one whose vector is nearest."""
    from archdsl.view.tables import Column

    columns = [Column("values", right=True), Column("norm", right=True)]
    rows = [[image, str(len(one.vector)), f"{one.norm:.4f}"] for image, one in zip(images, found, strict=True)]
    if len(found[0].vector) <= SHORT:
        columns.append(Column("vector", fold=16))
        rows = [[*row, " ".join(f"{x:.4f}" for x in one.vector)] for row, one in zip(rows, found, strict=True)]
    if len(found) > 1:
        columns += [Column("nearest", fold=12), Column("distance", right=True), Column("cosine", right=True)]
        rows = [[*row, *_nearest(images, found, place)] for place, row in enumerate(rows)]
    return columns, rows


def _nearest(images: Sequence[str], found: Sequence[Embedding], place: int) -> list[str]:
    """The image with the nearest vector, its Euclidean distance and the cosine of the angle."""
    one = found[place]
    others = [i for i in range(len(found)) if i != place]
    best = min(others, key=lambda i: one.distance(found[i]))
    return [images[best], f"{one.distance(found[best]):.4f}", f"{one.cosine(found[best]):.4f}"]
