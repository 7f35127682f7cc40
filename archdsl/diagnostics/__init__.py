"""Problems (one class per code), diagnostics (problems with their places), and the exceptions that carry them."""

from archdsl.diagnostics.diagnostic import Diagnostic, Frame, Help, Note
from archdsl.diagnostics.error import SpecError
from archdsl.diagnostics.located import Located, did_you_mean
from archdsl.diagnostics.problem import CODES, RETIRED, Problem, Rejected, Severity

__all__ = [
    "CODES",
    "RETIRED",
    "Diagnostic",
    "Frame",
    "Help",
    "Located",
    "Note",
    "Problem",
    "Rejected",
    "Severity",
    "SpecError",
    "did_you_mean",
    "load_all",
]


def load_all() -> None:
    """Import all modules of problems, so that `CODES` is complete; other commands import only what they need."""
    from importlib import import_module
    from pkgutil import iter_modules

    from archdsl.diagnostics import codes

    for module in iter_modules(codes.__path__):
        import_module(f"{codes.__name__}.{module.name}")
