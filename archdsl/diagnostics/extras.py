"""The packages that archdsl needs for more than checking, by the extras that install them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from archdsl.diagnostics.codes.commands import MissingPackage
from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.error import SpecError

#: The extras that install a package.
EXTRAS = dict.fromkeys(("onnx", "onnxruntime"), "onnx") | dict.fromkeys(("pygls", "lsprotocol"), "lsp")
EXTRAS["huggingface_hub"] = "hub"
EXTRAS |= dict.fromkeys(
    ("torch", "torchvision", "numpy", "safetensors", "sklearn", "matplotlib", "jinja2", "markupsafe", "PIL"), "torch"
)


@contextmanager
def needed_for(purpose: str) -> Iterator[None]:
    """Imports for a purpose.

    Raises:
        SpecError: a package of an extra is not installed (E701).
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_package(purpose, error) from error


def missing_package(purpose: str, error: ModuleNotFoundError) -> Exception:
    """The error that says what to install (E701); the given one for a package that no extra installs."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return error
    return SpecError([Diagnostic(MissingPackage(purpose, package, EXTRAS[package]))])
