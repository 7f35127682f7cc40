"""Which inputs a network takes: for each axis the exact rule, with the layers that cause it."""

from archdsl.sizes.axes import Axis, axes_of
from archdsl.sizes.rule import Rule
from archdsl.sizes.sizes import AxisSizes, Reason, input_sizes

__all__ = ["Axis", "AxisSizes", "Reason", "Rule", "axes_of", "input_sizes"]
