"""An ONNX file that is complete, checked and compared with the module, or no file at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx.printer import to_text

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.runtime import CannotWrite
from archdsl.network import Network
from archdsl.onnx.builder import Array
from archdsl.onnx.emit import Normalization, emit
from archdsl.onnx.verify import Reference, check, compare

#: Protobuf holds no message of 2 GB or more; from here on the weights go into a file of their own.
DATA_LIMIT = 2_000_000_000


def export(
    network: Network,
    weights: Mapping[str, Array],
    path: str | os.PathLike[str],
    reference: Reference,
    *,
    opset: int = 20,
    fold_batchnorm: bool = True,
    normalize: Normalization | None = None,
    tolerance: float = 1e-4,
    batches: tuple[int, ...] = (1, 3),
    seed: int = 0,
    data_limit: int = DATA_LIMIT,
) -> float:
    """Write the network to `path` as ONNX; returns the largest absolute difference from `reference`.

    `reference` gives the module's outputs by the file's names (`output`, then the named ones) for a batch.
    The file is checked with onnx.checker and run in ONNX Runtime on one random batch of each size before it
    takes the place of an older one. Raises SpecError, leaving no new file, where it is refused or where the
    difference is over `tolerance` * max(1, largest output). Weights of more than `data_limit` bytes go
    beside the file, into PATH.data. Other arguments: `emit`.
    """
    model = emit(network, weights, opset=opset, fold_batchnorm=fold_batchnorm, normalize=normalize)
    with _replacing(Path(path)) as temporary:
        _save(model, temporary, data_limit)
        check(temporary, network)
        return compare(
            temporary, network, reference, normalize=normalize, batches=batches, tolerance=tolerance, seed=seed
        )


def write(model: onnx.ModelProto, path: str | os.PathLike[str], *, data_limit: int = DATA_LIMIT) -> None:
    """Write a model without checking it; atomically, its weights beside it (PATH.data) above `data_limit` bytes.

    Raises SpecError where the file cannot be written. Takes the weights out of `model` when they go beside it.
    """
    with _replacing(Path(path)) as temporary:
        _save(model, temporary, data_limit)


def _save(model: onnx.ModelProto, path: Path, data_limit: int) -> None:
    beside = sum(len(array.raw_data) for array in model.graph.initializer) > data_limit
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=beside,
        all_tensors_to_one_file=True,
        location=f"{path.name}.data" if beside else None,
        size_threshold=1024,
    )


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path in a temporary folder beside `path`; what is written there moves to its place if nothing is raised."""
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            temporary = Path(folder, path.name)
            yield temporary
            # The weights go first: the file that names them appears only when they are there.
            for file in (Path(f"{temporary}.data"), temporary):
                if file.exists():
                    file.replace(path.with_name(file.name))
    except OSError as error:
        problem = CannotWrite(str(path), error.strerror or str(error))
        raise SpecError([Diagnostic(problem, path=str(path))]) from error


def text(network: Network, weights: Mapping[str, Array]) -> str:
    """The ONNX graph as the onnx package prints it, for reading."""
    printed: str = to_text(emit(network, weights))
    return printed
