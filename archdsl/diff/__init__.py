"""What differs between two networks: layers, shapes, figures, and the entries of a checkpoint that still fit."""

from archdsl.diff.changes import Change
from archdsl.diff.difference import Difference
from archdsl.diff.fit import Fit, Verdict
from archdsl.diff.parts import Part

__all__ = ["Change", "Difference", "Fit", "Part", "Verdict"]
