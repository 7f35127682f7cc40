"""An ONNX file that is complete, checked and compared with the module, or no file at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import onnx
from onnx.printer import to_text

from archdsl.backends.onnx.builder import Array
from archdsl.backends.onnx.contents import DATA_LIMIT, save
from archdsl.backends.onnx.dynamic import Dynamic
from archdsl.backends.onnx.emit import Normalization, emit
from archdsl.backends.onnx.verify import Comparison, Peer, check, compare
from archdsl.files.write import cannot_write, write_atomically
from archdsl.graph.network import Network


def export(
    network: Network,
    peer: Peer,
    path: str | os.PathLike[str],
    *,
    opset: int = 20,
    fold_batchnorm: bool = True,
    normalize: Normalization | None = None,
    tolerance: float = 1e-4,
    data_limit: int = DATA_LIMIT,
    dynamic: Dynamic | None = None,
    others: Sequence[tuple[Network, Peer]] = (),
) -> Comparison:
    """Write the network with the weights of `peer` to `path` as ONNX; returns how it compares with `peer`.

    The file is checked with onnx.checker and compared before it takes the place of an older one. Raises
    SpecError, leaving no new file, where it is rejected or differs. Weights of more than `data_limit` bytes
    go into a second file, PATH.data. `others` are the network for other input sizes with the modules that these are
    compared with. Other arguments: `emit` and `compare`. Returns the comparison with the largest difference.
    """
    writer = partial(emit, network, opset=opset, fold_batchnorm=fold_batchnorm, normalize=normalize, dynamic=dynamic)
    with _replacing(Path(path)) as temporary:
        model = writer(peer.weights)
        if save(model, temporary, data_limit):
            model = writer(peer.weights)  # the weights of the other are in the file
        check(temporary, model, network)
        found = [
            compare(temporary, model, *each, writer, normalize=normalize, tolerance=tolerance)
            for each in ((network, peer), *others)
        ]
        return max(found, key=lambda one: one.difference)


def write(model: onnx.ModelProto, path: str | os.PathLike[str], *, data_limit: int = DATA_LIMIT) -> None:
    """Write a model atomically, without checking it.

    Weights of more than `data_limit` bytes go into a second file, PATH.data, and are taken out of `model`. Raises
    SpecError where a file cannot be written.
    """
    with _replacing(Path(path)) as temporary:
        save(model, temporary, data_limit)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path in a temporary folder; the files written there move to where `path` is if nothing is raised."""
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.name[:40]}.") as folder:
            temporary = Path(folder, path.name)
            yield temporary
            # The weights go first: the file that names them appears only when they are there.
            for file in (Path(f"{temporary}.data"), temporary):
                if file.exists():
                    write_atomically(path.with_name(file.name), partial(copyfile, file))
    except OSError as error:
        raise cannot_write(path, error) from error


def text(network: Network, weights: Mapping[str, Array]) -> str:
    """The ONNX graph as the onnx package prints it, for reading."""
    printed: str = to_text(emit(network, weights))
    return printed
