"""Shapes of tensors, window arithmetic and the receptive field."""

from archdsl.shapes.shape import BYTES, InputSizes, IntegerShape, Shape, Tensor, Window, broadcast, in_module_order

__all__ = ["BYTES", "InputSizes", "IntegerShape", "Shape", "Tensor", "Window", "broadcast", "in_module_order"]
