"""What can be wrong with a spec: problems (one class per code), and diagnostics that place them in the text."""

from archdsl.diagnostics.diagnostic import Diagnostic, Frame, Help, Note
from archdsl.diagnostics.error import SpecError
from archdsl.diagnostics.located import Located, did_you_mean
from archdsl.diagnostics.problem import CODES, RETIRED, Problem, Rejected

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
    "SpecError",
    "did_you_mean",
    "load_all",
]


def load_all() -> None:
    """Import every module of problems, so that `CODES` holds all codes; a normal run imports only what it needs."""
    from importlib import import_module
    from pkgutil import iter_modules

    from archdsl.diagnostics import codes

    for module in iter_modules(codes.__path__):
        import_module(f"{codes.__name__}.{module.name}")
