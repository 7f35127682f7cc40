"""Pictures of trained networks as matplotlib figures; nothing here imports matplotlib before one is made.

    from archdsl import figures

    figure = figures.gradcam(module, "cat.jpg")
    figures.save(figure, "cat.svg")

Each function takes a module and samples: a batch as the module takes it, paths of image files, or `Samples`.
"""

from archdsl.figures.draw_attribution import field, gradcam, occlusion
from archdsl.figures.draw_results import confusion, curves, embedding, mistakes, outputs
from archdsl.figures.draw_weights import activations, features, filters
from archdsl.figures.samples import Samples
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
    "gradcam",
    "mistakes",
    "occlusion",
    "outputs",
    "save",
]
