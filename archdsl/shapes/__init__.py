"""Shapes of tensors, window arithmetic and the receptive field."""

from archdsl.shapes.shape import BYTES, Shape, Tensor, Window, broadcast, in_module_order

__all__ = ["BYTES", "Shape", "Tensor", "Window", "broadcast", "in_module_order"]
