"""Where in an image a network looks: Grad-CAM and occlusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from archdsl.figures.layers import evaluating, leaves, maps, network_or_none, nothing, places_of, watching
from archdsl.train.losses import main_output

#: Occluded samples in one pass through the network.
BATCH = 16
#: Windows of an occlusion along the shorter side of the image, and strides in a window.
WINDOWS, OVERLAP = 7, 2

#: From a network's main output to one score for each sample.
Score = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Heat:
    """How much each position matters for a score.

    values  on the positions of the layer (Grad-CAM) or of what is occluded
    layer   the layer, empty for the image itself
    score   the network's score for the sample
    window  what is occluded at once
    reads   for each of the network's inputs whether the layer depends on it
    """

    values: Tensor
    layer: str
    score: float
    window: tuple[int, ...] = ()
    reads: tuple[bool, ...] = (True,)


def class_score(number: int | None) -> Score:
    """The score of a class, of a map the sum over its positions; without a number the mean of all outputs."""
    if number is None:
        return lambda output: output.float().flatten(1).mean(1)
    return lambda output: output[:, number].float().reshape(len(output), -1).sum(1)


def gradcam_map(module: nn.Module, inputs: Sequence[Tensor], score: Score, layer: str | None = None) -> Heat:
    """The last of `gradcam_maps`, for a layer that runs once."""
    return gradcam_maps(module, inputs, score, layer)[-1]


def gradcam_maps(module: nn.Module, inputs: Sequence[Tensor], score: Score, layer: str | None = None) -> list[Heat]:
    """Grad-CAM for one sample: the layer's maps, each weighted by the mean gradient of the score over its positions.

    Selvaraju and others, "Grad-CAM", 2017, https://arxiv.org/abs/1610.02391, equations 1 and 2 without the ReLU.

    Args:
        module: in any mode; eval mode is used.
        inputs: of one sample.
        score: of the network's main output.
        layer: by default the last one with positions on which the score depends.

    Returns:
        One map for each time that the layer runs.

    Raises:
        SpecError: there is no such layer (E741), it has no positions, or the score does not depend on it (E742).
    """
    kept: list[tuple[str, Tensor]] = []

    def keep(name: str, output: Tensor) -> Tensor | None:
        if not output.is_floating_point():
            return None
        kept.append((name, output if output.requires_grad else output.requires_grad_()))
        # The next layer may write over its input, which would change what is kept and its gradient.
        return output.clone()

    names = [layer] if layer is not None else leaves(module)
    given = [each.detach().clone().requires_grad_(each.is_floating_point()) for each in inputs]
    with evaluating(module), watching(module, names, keep), torch.enable_grad():
        found = score(main_output(module(*(each.clone() for each in given)))).sum()
        outputs = [output for _, output in kept]
        slopes = (
            torch.autograd.grad(found, outputs, retain_graph=True, allow_unused=True) if found.requires_grad else ()
        )
    heats: list[Heat] = []
    for (name, output), slope in reversed(list(zip(kept, slopes, strict=False))):
        if heats and name != heats[0].layer:
            break
        heat = _weighted(module, name, output, slope, asked=layer is not None)
        if heat is not None:
            heats.insert(0, Heat(heat, name, float(found.detach()), (), _reads(output, given)))
    if heats:
        return heats
    if layer is None:
        raise nothing("gradcam", "the score depends on no layer with positions of the image; `occlusion` needs none")
    raise nothing("gradcam", f"the score does not depend on {layer}, or its output is not a tensor")


def _reads(output: Tensor, inputs: Sequence[Tensor]) -> tuple[bool, ...]:
    """For each input whether a tensor depends on it; all of them for a single one."""
    if len(inputs) == 1:
        return (True,)
    known = [each for each in inputs if each.requires_grad]
    slopes = iter(torch.autograd.grad(output.sum(), known, retain_graph=True, allow_unused=True))
    return tuple(each.requires_grad and next(slopes) is not None for each in inputs)


def _weighted(module: nn.Module, name: str, output: Tensor, gradient: Tensor | None, *, asked: bool) -> Tensor | None:
    """The sum of the maps, weighted by their mean gradients; None where there are none to weigh."""
    if gradient is None:
        return None
    shown, slopes = maps(module, name, output.detach()), maps(module, name, gradient)
    if shown is None or slopes is None or shown.dim() < 3:
        if asked:
            raise nothing("gradcam", f"the output of {name} has no positions of the image")
        return None
    if not asked and (torch.Size(shown.shape[2:]).numel() == 1 or not bool(slopes.any())):
        return None
    weights = slopes.flatten(2).mean(2)
    return torch.einsum("nc,nc...->n...", weights.float(), shown.float())[0].cpu()


def occlusion_map(
    module: nn.Module,
    inputs: Sequence[Tensor],
    score: Score,
    layer: str | None = None,
    *,
    window: Sequence[int] | None = None,
    stride: Sequence[int] | None = None,
    shape: Sequence[int] | None = None,
    hidden: int = 0,
) -> Heat:
    """Occlusion for one sample: by how much the score falls where a window of the image is set to 0, the mean colour.

    Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", 2013, https://arxiv.org/abs/1311.2901,
    section 4.2. A position's value is the mean over the windows that cover it.

    Args:
        module: in any mode; eval mode is used.
        inputs: of one sample.
        score: of the network's main output.
        layer: occlude the output of this layer instead of the image.
        window: height and width of what is occluded; by default a seventh of each side.
        stride: the distance of windows, by default half of the window.
        shape: channels, height and width of the image, if the input is a vector.
        hidden: the number of the input that is occluded.

    Raises:
        SpecError: there is no such layer (E741), or what it or the input holds has no positions (E742).
    """
    found = _Occlusion(module, inputs, score, layer, shape, hidden)
    size = found.size()
    window = tuple(window) if window is not None else tuple(max(1, round(side / WINDOWS)) for side in size)
    stride = tuple(stride) if stride is not None else tuple(max(1, side // OVERLAP) for side in window)
    with evaluating(module), torch.inference_mode():
        whole = float(found.scores(torch.ones(1, *size)))
        total, times = torch.zeros(*size), torch.zeros(*size)
        places = list(product(*map(_starts, size, window, stride)))
        masks = torch.ones(len(places), *size)
        for mask, place in zip(masks, places, strict=True):
            mask[tuple(slice(at, at + side) for at, side in zip(place, window, strict=True))] = 0
        for some in torch.split(masks, BATCH):
            falls = whole - found.scores(some)
            gone = 1 - some
            total += torch.einsum("n,n...->...", falls, gone)
            times += gone.sum(0)
    reads = tuple(layer is not None or i == hidden for i in range(len(inputs)))
    return Heat(total / times.clamp(min=1), layer or "", whole, window, reads)


def _starts(size: int, window: int, stride: int) -> range:
    """Where windows begin, the last one cut off by the border."""
    return range(0, max(size - window, 0) + stride, stride)


class _Occlusion:
    """The scores of one sample where parts of its image, or of a layer's output, are set to 0."""

    def __init__(
        self,
        module: nn.Module,
        inputs: Sequence[Tensor],
        score: Score,
        layer: str | None,
        shape: Sequence[int] | None,
        hidden: int,
    ) -> None:
        self.module, self.inputs, self.score, self.layer, self.hidden = module, tuple(inputs), score, layer, hidden
        self.shape = tuple(inputs[hidden].shape[1:] if shape is None else shape)

    def size(self) -> tuple[int, ...]:
        """The positions that can be occluded."""
        if self.layer is None:
            if len(self.shape) < 2 or not self.inputs[self.hidden].is_floating_point():
                raise nothing("occlusion", "the input has no positions")
            return self.shape[1:]
        seen: list[tuple[int, ...]] = []

        def see(name: str, output: Tensor) -> None:
            found = maps(self.module, name, output)
            if found is None or found.dim() < 3:
                raise nothing("occlusion", f"the output of {name} has no positions of the image")
            seen.append(tuple(found.shape[2:]))

        with evaluating(self.module), watching(self.module, [self.layer], see), torch.inference_mode():
            self.module(*self.inputs)
        if not seen:
            raise nothing("occlusion", f"the output of {self.layer} is not a tensor")
        return seen[-1]

    def scores(self, masks: Tensor) -> Tensor:
        """The score for each mask (N x positions, 0 where something is occluded)."""
        masks = masks.to(self.inputs[0].device)
        batch = [each.expand(len(masks), *each.shape[1:]) for each in self.inputs]
        if self.layer is None:
            whole = batch[self.hidden]
            batch[self.hidden] = (whole.reshape(len(masks), *self.shape) * masks[:, None]).reshape(whole.shape)

        def occlude(name: str, output: Tensor) -> Tensor:
            return _masked(self.module, name, output, masks)

        names = [] if self.layer is None else [self.layer]
        with watching(self.module, names, occlude):
            return self.score(main_output(self.module(*(each.clone() for each in batch)))).cpu()


def _masked(module: nn.Module, name: str, output: Tensor, masks: Tensor) -> Tensor:
    """The output of a layer with the masked positions set to 0."""
    changed = output.clone()
    network = network_or_none(module)
    found = maps(module, name, changed)
    assert found is not None
    kept = found * masks[:, None].to(found.dtype)
    if network is None or kept.shape == changed.shape:
        return kept
    return _put_back(network.fields[name].axes, changed, kept)


def _put_back(axes: Sequence[frozenset[int]], output: Tensor, kept: Tensor) -> Tensor:
    """Maps in the places where `arranged` found them."""
    rank = kept.dim() - 2
    places = places_of(axes, rank)
    others = [axis for axis in range(1, output.dim()) if axis not in places]
    order = (0, *others, *dict.fromkeys(places))
    inside = output.permute(order)
    if len(set(places)) == rank:
        inside.copy_(kept.reshape(inside.shape))
    else:
        inside[..., -kept[0, 0].numel() :] = kept.reshape(*inside.shape[:-1], -1)
    return output


def enlarged(values: Tensor, size: Sequence[int]) -> Tensor:
    """A map scaled to the size of the image, interpolated between the centres of its positions."""
    modes = {1: "linear", 2: "bilinear", 3: "trilinear"}
    scaled = functional.interpolate(values[None, None], tuple(size), mode=modes[values.dim()], align_corners=False)
    return scaled[0, 0]
