"""What the outputs of a network are: known from its run or recipe, from its card in the zoo, or from their shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from archdsl.cards import index as zoo
from archdsl.diagnostics import SpecError
from archdsl.graph.network import Network
from archdsl.inference.results import Embedding, Found, Mask, Outputs, Picture, Prediction, Score, Values
from archdsl.recipe import Recipe, read_recipe
from archdsl.recipe.fit import image_of
from archdsl.recipe.losses import Bce, CrossEntropy, Nll, PairwiseDistance
from archdsl.runs.folder import RunFolder
from archdsl.shapes import Shape
from archdsl.train.losses import class_scores, main_output

Kind = Literal["classes", "scores", "values", "embedding", "image", "segmentation", "outputs"]
#: Layers that leave the scores of classes unchanged.
SHAPE_ONLY = {"flatten", "dropout", "reshape", "squeeze"}


class Reading(NamedTuple):
    """How outputs are read.

    finish     the function from the network's output for a batch to what is told
    is_scaled  whether an image was trained to be in 0..1
    image      the shape of an image that the network gives as a vector
    """

    kind: Kind
    finish: Callable[[Any], Tensor] = main_output
    is_scaled: bool = False
    image: Shape | None = None

    def results(self, output: Any, names: Sequence[str], top: int) -> Iterator[Found]:
        """What each sample of a batch gives."""
        if self.kind == "outputs":
            tensors = {name: t.float().cpu() for name, t in _all_outputs(output).items()}
            count = len(next(iter(tensors.values())))
            yield from (Outputs({name: tensor[i] for name, tensor in tensors.items()}) for i in range(count))
            return
        for found in self.finish(output).float().cpu():
            yield self._result(found, tuple(names), top)

    def _result(self, found: Tensor, names: tuple[str, ...], top: int) -> Found:
        match self.kind:
            case "classes":
                return [Prediction(i, names[i], value) for i, value in _largest(found[: len(names)], top)]
            case "scores":
                return [Score(i, names[i], value) for i, value in _largest(found[: len(names)], top)]
            case "values":
                return Values(tuple(found.flatten().tolist()), names)
            case "embedding":
                return Embedding(found.flatten())
            case "segmentation":
                return Mask(found.long(), names)
            case _:
                return Picture(found if self.image is None else found.view(*self.image), self.is_scaled)


def _largest(found: Tensor, top: int) -> list[tuple[int, float]]:
    best = found.topk(min(top, len(found)))
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))


def _all_outputs(output: Any) -> dict[str, Tensor]:
    return dict(output) if isinstance(output, dict) else {"out": output}


def reading_of(network: Network, run: RunFolder | None) -> Reading:
    """How the network's outputs are read, with the weights of `run` if there is one."""
    classes, recipe = None, None
    if run is not None:
        classes = run.read_info().classes
        recipe = run.read_recipe() if run.recipe.is_file() else None
    elif network.recipe is not None:
        recipe = _recipe(network)
    if recipe is not None:
        found = _by_recipe(network, recipe, classes)
        if found is not None:
            return found
    return _by_task(network, zoo.task(network.name, network.path)) or _by_shape(network)


def _recipe(network: Network) -> Recipe | None:
    """The recipe of the spec, None for one with errors, which is not used here."""
    try:
        return read_recipe(network.recipe)
    except SpecError:
        return None


def _by_recipe(network: Network, recipe: Recipe, classes: Sequence[str] | None) -> Reading | None:
    """By what the outputs were, or are to be, compared with; `classes` is None where the data are not known."""
    output, loss = network.output_shape, recipe.loss
    if recipe.target != "class":
        finish = _sigmoid if isinstance(loss, Bce) else main_output
        image = image_of(output) if output.rank == 0 else None
        is_image = image is not None or _is_image(output)
        return Reading("image", finish, is_scaled=True, image=image) if is_image else Reading("outputs")
    if isinstance(loss, PairwiseDistance):
        return Reading("embedding")
    if isinstance(loss, CrossEntropy | Nll):
        return Reading("classes", _chances(network)) if _is_vector(output) else None
    if not _is_vector(output):
        return None
    is_values = not classes if classes is not None else recipe.dataset.kind in ("arrays", "external")
    if is_values:
        return Reading("values", _independent if isinstance(loss, Bce) else class_scores)
    if isinstance(loss, Bce):
        return Reading("classes", _both if output.channels == 1 else _independent)
    return Reading("scores" if output.channels > 1 else "values", class_scores)


def _by_task(network: Network, task: str) -> Reading | None:
    """By the task on the card of the zoo."""
    output = network.output_shape
    if task == "classification" and _is_vector(output):
        return Reading("classes", _chances(network))
    if task == "segmentation" and output.rank == 2:
        return _segments()
    if task == "generation" and _is_image(output):
        return Reading("image")
    return Reading("outputs") if task in {"detection", "generation"} else None


def _by_shape(network: Network) -> Reading:
    """By the shape of the output: a vector is scores of classes, a single number a value.

    A map is an image if it has one channel or the shape of an input, else scores of classes for each pixel.
    """
    output = network.output_shape
    if _is_vector(output):
        return Reading("classes", _chances(network)) if output.channels > 1 else Reading("values", class_scores)
    if network.outputs or output.rank != 2:
        return Reading("outputs")
    is_like_input = any(tuple(shape) == tuple(output) for shape in network.inputs.values())
    return Reading("image") if _is_image(output) and (output.channels == 1 or is_like_input) else _segments()


def _segments() -> Reading:
    return Reading("segmentation", _mask)


def _is_vector(output: Shape) -> bool:
    return all(size == 1 for size in output[1:])


def _is_image(output: Shape) -> bool:
    return output.rank == 2 and image_of(output) is not None


def _sigmoid(output: Any) -> Tensor:
    return main_output(output).sigmoid()


def _independent(output: Any) -> Tensor:
    """The probability of each class by itself: they do not add up to 1."""
    return class_scores(output).sigmoid()


def _both(output: Any) -> Tensor:
    """The probabilities of two classes from a single logit."""
    second = class_scores(output).sigmoid()
    return torch.cat([1 - second, second], 1)


def _mask(output: Any) -> Tensor:
    return main_output(output).argmax(1)


def _chances(network: Network) -> Callable[[Any], Tensor]:
    chances = finish(network)
    return lambda output: chances(class_scores(output))


def finish(network: Network) -> Callable[[Tensor], Tensor]:
    """The function from the network's output to probabilities; the network may end in a softmax itself."""
    kinds = [layer.kind for layer in network.layers if not layer.aux and layer.kind not in SHAPE_ONLY]
    match kinds[-1] if kinds else "":
        case "softmax":
            return lambda scores: scores
        case "log_softmax":
            return torch.exp
        case _:
            return lambda scores: scores.softmax(1)
