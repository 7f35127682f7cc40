"""Training: data, optimizer, loop and evaluation. Imports torch; the recipe itself is archdsl.recipe."""

from archdsl.diagnostics.extras import needed_for

with needed_for("archdsl.train"):
    from archdsl.runs.folder import EpochMetrics
    from archdsl.train.evaluation import ClassFigures, Evaluation
    from archdsl.train.loop import Result
    from archdsl.train.run import run_training
    from archdsl.train.trained import recipe_of_run, run_evaluation, trained

__all__ = [
    "ClassFigures",
    "EpochMetrics",
    "Evaluation",
    "Result",
    "recipe_of_run",
    "run_evaluation",
    "run_training",
    "trained",
]
