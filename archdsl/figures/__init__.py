"""Pictures of trained networks as matplotlib figures.

    from archdsl import figures

    figure = figures.gradcam(module, "cat.jpg")
    figures.save(figure, "cat.svg")

Each function takes a module and samples: a batch as the module takes it, paths of image files, or `Samples`. Matplotlib
and torch are imported when they are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.figures.draw_attribution import field, gradcam, occlusion
    from archdsl.figures.draw_curves import curves
    from archdsl.figures.draw_results import confusion, embedding, mistakes, outputs
    from archdsl.figures.draw_weights import activations, features, filters
    from archdsl.figures.samples import Samples, first_samples, test_batches, test_samples
    from archdsl.figures.style import save

__all__ = [
    "Samples",
    "activations",
    "confusion",
    "curves",
    "embedding",
    "features",
    "field",
    "filters",
    "first_samples",
    "gradcam",
    "mistakes",
    "occlusion",
    "outputs",
    "save",
    "test_batches",
    "test_samples",
]

_HOMES = {
    "Samples": "samples",
    "activations": "draw_weights",
    "confusion": "draw_results",
    "curves": "draw_curves",
    "embedding": "draw_results",
    "features": "draw_weights",
    "field": "draw_attribution",
    "filters": "draw_weights",
    "first_samples": "samples",
    "gradcam": "draw_attribution",
    "mistakes": "draw_results",
    "occlusion": "draw_attribution",
    "outputs": "draw_results",
    "save": "style",
    "test_batches": "samples",
    "test_samples": "samples",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'archdsl.figures' has no attribute {name!r}")
    return getattr(import_module(f"archdsl.figures.{_HOMES[name]}"), name)
