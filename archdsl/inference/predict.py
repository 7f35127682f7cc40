"""What networks give for images, prepared as those that the weights were trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError
from torch import nn

from archdsl.backends.torch import network_of
from archdsl.diagnostics import Diagnostic, Help, Problem, SpecError
from archdsl.diagnostics.codes.data import DamagedPicture
from archdsl.diagnostics.codes.prediction import (
    NoPicture,
    NotAClassifier,
    NotForPictures,
    OtherInputs,
    WrongClassNames,
)
from archdsl.graph.network import Network
from archdsl.inference.inputs import Inputs, Statistics, inputs_of, run_behind, takes_image
from archdsl.inference.kinds import reading_of
from archdsl.runs.folder import RunFolder

#: The path of an image, or of an array.
File = str | Path
#: Images in one pass through the network.
BATCH = 32
#: What has names for its outputs.
NAMED = ("classes", "scores", "values", "segmentation")


def predict(
    module: nn.Module,
    images: File | Mapping[str, File] | Sequence[File | Mapping[str, File]],
    *,
    top: int = 5,
    classes: Sequence[str] | None = None,
    normalize: Statistics | None = None,
    run: RunFolder | None = None,
) -> list[Any]:
    """What the network gives for each image: of a classifier the `top` likeliest classes, the likeliest first.

    A classifier gives a list of Prediction (`index`, `name`, `probability`); with a loss whose scores are no
    probabilities, of Score. Others give Values, an Embedding, a Picture, a Mask or Outputs
    (archdsl.inference.results). Which, is known from the run or the recipe, from the network's card in the zoo, or
    from the output's shape.

    Images are prepared, and classes named, as the module's weights need it: those of torchvision by its own
    preprocessing, those of a run as in the run. For others, images are scaled to cover the input, cropped to its
    centre and, where they have colours, normalized by ImageNet's mean and standard deviation, with a warning.

        module = zoo.build("resnet18", weights="DEFAULT")
        [[best, *others]] = archdsl.predict(module, "cat.jpg")

    Args:
        module: made by `build()`; its device is used. It is left in the mode it was in.
        images: paths of image files. For a network with several inputs a dictionary for each sample, with a path for
            each input by its name: an image, or an `.npy` file for an input that is none.
        top: how many classes.
        classes: other names, one for each output.
        normalize: another mean and standard deviation, for pixels in 0..1.
        run: the run that the weights are for, if they are in a file elsewhere.

    Raises:
        SpecError: the network does not take images, or an image cannot be read.
    """
    network = network_of(module)
    samples = check_samples(network, [images] if isinstance(images, str | Path | Mapping) else images)
    run = run_behind(module, run)
    inputs = inputs_of(module, network, normalize, run)
    reading = reading_of(network, run)
    if classes is not None and reading.kind not in NAMED:
        raise SpecError([Diagnostic(NotAClassifier(network.name, str(network.output_shape)), path=network.path)])
    names: Sequence[str] = ()
    if reading.kind in NAMED:
        names = _names(network, inputs.classes if classes is None else classes, given=classes is not None)
    outputs = _outputs(module, inputs, samples)
    return [one for output in outputs for one in reading.results(output, names, top)]


def sample_of(network: Network, given: File | Mapping[str, File]) -> dict[str, Path]:
    """The file of each input for one sample.

    Raises:
        SpecError: an input has none, or there is no input of that name (E734).
    """
    names = list(network.inputs)
    if not isinstance(given, Mapping) and len(names) == 1:
        return {names[0]: Path(given)}
    found = dict(given) if isinstance(given, Mapping) else {}
    if set(found) != set(names):
        has = ", ".join(f"`{name}`" if name else "a file without a name" for name in found or ("",))
        problem = OtherInputs(network.name, ", ".join(f"`{name}`" for name in names), has)
        helps = (Help("name each file: " + " ".join(f"{name}=FILE" for name in names)),)
        raise SpecError([Diagnostic(problem, helps=helps, path=network.path)])
    return {name: Path(found[name]) for name in names}


def check_samples(network: Network, given: Sequence[File | Mapping[str, File]]) -> list[dict[str, Path]]:
    """The files of each sample; rejects (E731, E732, E734, E617) what cannot be read before anything is computed."""
    samples = [sample_of(network, one) for one in given]
    [first, *others] = network.inputs
    if not others and not takes_image(network, first) and any(one[first].suffix != ".npy" for one in samples):
        raise SpecError([Diagnostic(NotForPictures(network.name, str(network.input_shape)), path=network.path)])
    check_images([path for sample in samples for name, path in sample.items() if takes_image(network, name)])
    return samples


def check_images(paths: Sequence[Path]) -> None:
    """Reject (E732, E617) everything that is not an image file before anything is computed."""
    problems = [problem for path in paths if (problem := _problem(path))]
    if problems:
        raise SpecError([Diagnostic(problem) for problem in problems])


def _problem(path: Path) -> Problem | None:
    try:
        if path.is_dir():
            return NoPicture(str(path), "it is a folder; give the files in it")
        with Image.open(path):
            return None
    except FileNotFoundError:
        return NoPicture(str(path), "there is no such file")
    except UnidentifiedImageError:
        return DamagedPicture(str(path), "Pillow does not support its format")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return NoPicture(str(path), getattr(error, "strerror", None) or str(error))


def _names(network: Network, names: Sequence[str], *, given: bool) -> Sequence[str]:
    """One name for each class; a run may leave outputs unused, names that are given may not."""
    outputs = network.output_shape.channels
    if not names and not given:
        return [str(index) for index in range(outputs)]
    if len(names) > outputs or (given and len(names) != outputs):
        problem = WrongClassNames("the list of classes", len(names), network.name, outputs)
        raise SpecError([Diagnostic(problem)])
    return names


def _outputs(module: nn.Module, inputs: Inputs, samples: Sequence[Mapping[str, Path]]) -> Iterator[Any]:
    """The outputs of the network, batch by batch."""
    device = next((tensor.device for tensor in module.state_dict().values()), torch.device("cpu"))
    training = module.training
    module.eval()
    try:
        for start in range(0, len(samples), BATCH):
            some = samples[start : start + BATCH]
            batch = [
                torch.stack([prepare(sample[name]) for sample in some]).to(device)
                for name, prepare in inputs.prepare.items()
            ]
            with torch.inference_mode():
                yield module(*batch)
    finally:
        module.train(training)
