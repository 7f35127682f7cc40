"""Pictures of where a network looks: Grad-CAM, occlusion, receptive fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from archdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from archdsl.diagnostics.codes.pictures import NoSuchClass
from archdsl.drawing.themes import Theme
from archdsl.figures import attribution
from archdsl.figures import receptive as measured
from archdsl.figures.attribution import Heat, class_score, enlarged
from archdsl.figures.colours import SEQUENTIAL, SIGNED, coloured
from archdsl.figures.draw_weights import hwc, sample_name
from archdsl.figures.layers import label, run, title_of
from archdsl.figures.maps import Verdict, verdict
from archdsl.figures.samples import Given, Samples, samples_of
from archdsl.figures.style import figure as made
from archdsl.figures.style import only_ticks, styled
from archdsl.train.losses import class_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: How much of an overlay is the heat.
OVERLAY = 0.6


class Target(NamedTuple):
    """What a network's output for a sample is asked for: a class or unit, or without one the mean of all outputs."""

    number: int | None
    words: str
    told: Verdict


def gradcam(
    module: nn.Module,
    images: Given,
    layers: Sequence[str] = (),
    *,
    target: int | str | None = None,
    classes: bool = True,
    theme: Theme = "light",
) -> Figure:
    """Grad-CAM for the first of some images: which positions of a layer speak for a class.

    Args:
        module: any module; eval mode is used.
        images: as the module takes them, paths of files, or `Samples`.
        layers: names of layers and scopes; by default the last one with positions.
        target: the class, by its name or number; by default the predicted one. Without classes the unit of the output,
            by default the mean of all.
        classes: whether the network's outputs are scores of classes.
        theme: of the page and text.

    Raises:
        SpecError: there is no such layer (E741) or class (E743), or nothing to draw (E742).
    """
    samples = samples_of(module, images)[:1]
    asked = target_of(module, samples, target, classes=classes)
    score = class_score(asked.number)
    found = [attribution.gradcam_maps(module, samples.inputs, score, layer) for layer in layers or (None,)]
    # What speaks for the score, as the paper's ReLU keeps it.
    kept = [[replace(one, values=one.values.clamp(min=0)) for one in heats] for heats in found]
    return _heats("Grad-CAM", module, samples, asked, kept, theme)


def occlusion(
    module: nn.Module,
    images: Given,
    layers: Sequence[str] = (),
    *,
    target: int | str | None = None,
    classes: bool = True,
    theme: Theme = "light",
) -> Figure:
    """Occlusion for the first of some images: how much a score falls where a window is set to the mean colour.

    Args:
        module: any module; eval mode is used.
        images: as the module takes them, paths of files, or `Samples`.
        layers: occlude the outputs of these layers instead of the image.
        target: as in `gradcam`.
        classes: whether the network's outputs are scores of classes.
        theme: of the page and text.

    Raises:
        SpecError: there is no such layer (E741) or class (E743), or nothing to draw (E742).
    """
    samples = samples_of(module, images)[:1]
    asked = target_of(module, samples, target, classes=classes)
    score, shape = class_score(asked.number), image_shape(samples)
    found = [[attribution.occlusion_map(module, samples.inputs, score, layer)] for layer in layers]
    hidden = samples.pictured or (0,)
    image = [
        attribution.occlusion_map(module, samples.inputs, score, shape=shape, hidden=i) for i in hidden if not layers
    ]
    return _heats("Occlusion", module, samples, asked, found or [image], theme)


def image_shape(samples: Samples) -> tuple[int, ...] | None:
    """The image that a vector holds; None for an input with axes of its own."""
    if samples.inputs[0].dim() > 2 or samples.shown is None:
        return None
    shape = tuple(samples.shown.shape[1:])
    return shape if samples.inputs[0][0].numel() == torch.Size(shape).numel() else None


def target_of(module: nn.Module, samples: Samples, target: int | str | None, *, classes: bool) -> Target:
    """The class or output that is asked for.

    Raises:
        SpecError: there is no such one (E743).
    """
    output, _ = run(module, samples.inputs)
    told = verdict(module, samples, 0, output, classes=classes)
    outputs = class_scores(output).shape[1]
    if target is None:
        if told.index is None:
            return Target(None, "the mean of all outputs", told)
        # One score stands for two classes.
        return Target(min(told.index, outputs - 1), f"class {told.predicted}", told)
    number = _class_number(target, samples.classes if classes else (), outputs)
    name = samples.classes[number] if classes and number < len(samples.classes) else str(number)
    return Target(number, f"{'class' if classes else 'output'} {name}", told)


def _class_number(target: int | str, classes: Sequence[str], outputs: int) -> int:
    if isinstance(target, str) and target in classes:
        return classes.index(target)
    number = int(target) if isinstance(target, int) or target.isdigit() else -1
    if 0 <= number < outputs:
        return number
    helps = did_you_mean(str(target), classes, otherwise=f"a number from 0 to {outputs - 1}, or the name of a class")
    raise SpecError([Diagnostic(NoSuchClass(str(target), outputs), helps=helps)])


def _heats(
    kind: str, module: nn.Module, samples: Samples, asked: Target, heats: Sequence[Sequence[Heat]], theme: Theme
) -> Figure:
    """The image, and for each heat the image under it, with the scale."""
    subtitle = "; ".join(filter(None, (sample_name(samples, 0), str(asked.told))))
    with styled(theme) as colours:
        title = f"{kind} of {title_of(module)} for {asked.words}"
        image = flat_image(samples)
        ratio = 1.0 if image is None else min(1.0, max(0.4, image.shape[0] / image.shape[1]))
        figure = made(2.9 * (1 + len(heats)) + 0.5, 1.5 + 2.4 * ratio, title, subtitle, colours["soft"])
        first, *others = figure.subplots(1, 1 + len(heats), squeeze=False)[0]
        picture(first, samples)
        first.set_title("input")
        first.set_anchor("N")
        for axes, heat in zip(others, heats, strict=True):
            _heat(figure, axes, samples, heat, signed=kind == "Occlusion")
            axes.set_anchor("N")  # which the scale below it has changed
            axes.set_title(label(module, heat[0].layer) if heat[0].layer else "the image")
        return figure


def _heat(figure: Figure, axes: Axes, samples: Samples, heats: Sequence[Heat], *, signed: bool) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.ticker import MaxNLocator

    values = beside(heats, samples)
    limit = float(values.abs().max()) or 1.0
    low, table = (-limit, SIGNED) if signed else (0.0, SEQUENTIAL)
    overlay(axes, samples, values, low, limit, table)
    norm, shades = Normalize(low, limit), LinearSegmentedColormap.from_list("scale", table)
    words = "weighted maps (ReLU)" if values.any() else "nothing here speaks for it"
    if window := heats[0].window:
        words = f"fall of the score without {'x'.join(map(str, window))} positions"
    bar = figure.colorbar(ScalarMappable(norm, shades), ax=axes, orientation="horizontal", shrink=0.85, pad=0.03)
    bar.set_label(words, fontsize=7)
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
    bar.ax.tick_params(labelsize=6.5)
    bar.outline.set_visible(False)


def beside(heats: Sequence[Heat], samples: Samples) -> Tensor:
    """The heats of the images that are shown, side by side as these are: for each the sum of those that read it."""
    if len(samples.pictured) < 2:
        return heats[-1].values
    assert samples.shown is not None
    height, width = samples.shown.shape[2], samples.shown.shape[3] // len(samples.pictured)
    found = [torch.zeros(height, width) for _ in samples.pictured]
    for heat in heats:
        for total, i in zip(found, samples.pictured, strict=True):
            if heat.reads[i]:
                total += enlarged(heat.values, (height, width))
    return torch.cat(found, 1)


def picture(axes: Axes, samples: Samples) -> None:
    """The first sample: an image, a signal, or the middle slice of a volume."""
    image = flat_image(samples)
    if image is None:
        axes.plot(samples.inputs[0][0].flatten().cpu().numpy(), linewidth=0.7, color="#0072b2")
        axes.set_xlabel("position")
        return
    axes.imshow(image.numpy(), interpolation="nearest")
    only_ticks(axes)


def flat_image(samples: Samples) -> Tensor | None:
    """The first sample as H x W x 3 in 0..1; None for a signal or a vector."""
    if samples.shown is not None:
        return hwc(samples.shown[0])
    sample = samples.inputs[0][0].detach().float().cpu()
    if sample.dim() == 4:
        sample = sample[:, sample.shape[1] // 2]
    if sample.dim() != 3:
        return None
    low, high = sample.min(), sample.max()
    unit = (sample - low) / (high - low).clamp(min=1e-12)
    return hwc(unit if unit.shape[0] in {1, 3} else unit.mean(0, keepdim=True))


def overlay(axes: Axes, samples: Samples, values: Tensor, low: float, high: float, table: tuple[str, ...]) -> None:
    """A heat over the first sample: over the grey image, or below a signal."""
    image = flat_image(samples)
    if image is None:
        signal = samples.inputs[0][0].flatten().cpu()
        heat = coloured(enlarged(values, (len(signal),))[None], low, high, table)
        bottom, top = float(signal.min()), float(signal.max())
        axes.imshow(heat.numpy(), extent=(0, len(signal), bottom, top), aspect="auto", alpha=OVERLAY)
        axes.plot(signal.numpy(), linewidth=0.7, color="#17202b")
        axes.set_xlabel("position")
        return
    if values.dim() == 3:
        values = values[values.shape[0] // 2]
    heat = coloured(enlarged(values, image.shape[:2]), low, high, table)
    grey = image.mean(2, keepdim=True).expand(-1, -1, 3)
    axes.imshow(((1 - OVERLAY) * grey + OVERLAY * heat).clamp(0, 1).numpy(), interpolation="nearest")
    only_ticks(axes)


def field(
    module: nn.Module,
    images: Given,
    layer: str | None = None,
    *,
    position: Sequence[int] | None = None,
    theme: Theme = "light",
) -> Figure:
    """The receptive field of a unit on an image, and how much of it the trained weights use.

    Args:
        module: any module; eval mode is used.
        images: as the module takes them, paths of files, or `Samples`; gradients are means over 8.
        layer: the name of a layer or scope; by default the last convolution.
        position: of the unit on the layer's maps, by default in their centre.
        theme: of the page and text.

    Raises:
        SpecError: there is no such layer (E741), or no such unit (E742).
    """
    samples = samples_of(module, images)
    found = measured.receptive_field(module, samples.inputs, layer, position, image_shape(samples))
    if samples.shown is not None and len(samples.pictured) > 1:  # the field is in the first input
        width = samples.shown.shape[3] // len(samples.pictured)
        samples = replace(samples, shown=samples.shown[..., :width], pictured=samples.pictured[:1])
    with styled(theme) as colours:
        at = ", ".join(map(str, found.position))
        unit = f"the unit at ({at})" if at else "all units"
        words = f"{unit} of {label(module, found.layer)}: {field_words(found)}"
        figure = made(7.4, 4.4, f"Receptive field of {title_of(module)}", words, colours["soft"])
        first, second = figure.subplots(1, 2)
        picture(first, samples)
        first.set_title("all that the unit depends on")
        high = float(found.effective.max()) or 1.0
        overlay(second, samples, found.effective.sqrt(), 0, high**0.5, SEQUENTIAL)
        second.set_title("size of the gradient with these weights")
        for axes in (first, second):
            _outline(axes, found)
        return figure


def field_words(found: measured.Field) -> str:
    """The size of a field in words."""
    extent = tuple(found.effective.shape)
    size = " x ".join(map(str, found.size))
    if found.size == extent:
        words = f"the whole input, {size} positions"
    else:
        words = f"{size} of {' x '.join(map(str, extent))} positions"
    if found.computed is not None and found.computed != found.size:
        words += f"; {' x '.join(map(str, found.computed))} at most, with padding"
    return words


def _outline(axes: Axes, found: measured.Field) -> None:
    """The border of the field."""
    from matplotlib.patches import Rectangle

    if len(found.size) == 1:
        axes.axvspan(found.start[0], found.stop[0], facecolor="none", edgecolor="#d55e00", linewidth=1.6)
        return
    (top, left), (high, wide) = found.start[-2:], found.size[-2:]
    box: Any = {"facecolor": "none", "edgecolor": "#ff5a1f", "linewidth": 1.8, "clip_on": False}
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), wide, high, **box))
