"""The ONNX back end: the checked graph as an ONNX file, compared with the module in ONNX Runtime."""

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.commands import MissingPackage

try:
    import onnx as _onnx  # noqa: F401
except ImportError as error:
    raise SpecError([Diagnostic(MissingPackage("the ONNX export", "onnx", "onnx"))]) from error

from archdsl.backends.onnx.contents import DATA_LIMIT
from archdsl.backends.onnx.dynamic import dynamic
from archdsl.backends.onnx.emit import OPSETS, emit, node_count, output_names
from archdsl.backends.onnx.export import export, text, write
from archdsl.backends.onnx.verify import Comparison, verify

__all__ = [
    "DATA_LIMIT",
    "OPSETS",
    "Comparison",
    "dynamic",
    "emit",
    "export",
    "node_count",
    "output_names",
    "text",
    "verify",
    "write",
]
