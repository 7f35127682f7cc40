"""What can be wrong with a spec: problems (one class per code), and diagnostics that place them in the text."""

from archdsl.diagnostics.diagnostic import Diagnostic, Frame, Help, Note, SpecError
from archdsl.diagnostics.problem import CODES, Problem, Refused

__all__ = ["CODES", "Diagnostic", "Frame", "Help", "Note", "Problem", "Refused", "SpecError"]
