"""Which integers a network takes: those that its embeddings have a row for."""

from __future__ import annotations

from collections.abc import Mapping

from archdsl.graph.lower import Program, Value
from archdsl.graph.nodes import LayerNode
from archdsl.shapes import IntegerShape, Shape


def integer_limits(program: Program, inputs: Mapping[str, Shape]) -> dict[str, int]:
    """For each of the `inputs` whose integers are limited, the smallest limit of the layers that read them.

    Layers between, which only move integers, pass their limit on.
    """
    names: dict[Value, str] = dict(zip(program.inputs, inputs, strict=True))
    limits: dict[str, int] = {}
    for step in program.operations:
        for value in step.inputs:
            name = names.get(value.source)
            if name is None or not isinstance(value.shape, IntegerShape):
                continue
            limit = step.node.layer.index_limit if isinstance(step.node, LayerNode) else None
            if limit is not None:
                limits[name] = min(limit, limits.get(name, limit))
            names.update(dict.fromkeys(step.outputs, name))
    return limits
