"""Did you mean: the known name that a misspelt one was most likely meant to be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

#: What other libraries call things, in the form that `plain_name` gives.
ALIASES = {
    "fc": "linear",
    "fullyconnected": "linear",
    "lrn": "local_response_norm",
    "bn": "batchnorm",
    "dropout2d": "channel_dropout",
    "spatialdropout": "channel_dropout",
    "featuredropout": "channel_dropout",
    "deconv": "conv_transpose",
    "zeropad": "pad",
    "swish": "silu",
    "interpolate": "upsample",
    "globalavgpool": "adaptive_avgpool",
    "globalaveragepooling": "adaptive_avgpool",
    "cat": "concat",
    "hardtanh6": "relu6",
    "henormal": "kaiming_normal",
    "heuniform": "kaiming_uniform",
    "glorotnormal": "xavier_normal",
    "glorotuniform": "xavier_uniform",
    "filters": "out_channels",
    "units": "out_features",
    "strides": "stride",
    "droppath": "stochastic_depth",
    # layers of Keras and TensorFlow
    "dense": "linear",
    "maxpooling": "maxpool",
    "averagepooling": "avgpool",
    "gap": "adaptive_avgpool",
    "globalmaxpool": "adaptive_maxpool",
    "globalmaxpooling": "adaptive_maxpool",
    "upsampling": "upsample",
    "depthwiseconv": "conv",
    "separableconv": "conv",
    "zeropadding": "pad",
    "reflectionpad": "pad",
    "replicationpad": "pad",
    "constantpad": "pad",
    # entries of a recipe and their values
    "learningrate": "lr",
    "etamin": "minimum",
    "stepsize": "every",
    "cosineannealinglr": "cosine",
    "cosineannealingwarmrestarts": "cosine",
    "criterion": "loss",
    "objective": "loss",
    "transform": "augment",
    "transforms": "augment",
    "earlystopping": "patience",
    "amp": "precision",
    "dtype": "precision",
    "gradclip": "clip_norm",
    "clipgradnorm": "clip_norm",
    "gradientclipval": "clip_norm",
    "gradientaccumulation": "accumulate",
    "accumulategradbatches": "accumulate",
    "randomhorizontalflip": "hflip",
    "horizontalflip": "hflip",
    "randomverticalflip": "vflip",
    "verticalflip": "vflip",
    "half": "fp16",
    "float16": "fp16",
    "bfloat16": "bf16",
    "float32": "fp32",
    "image": "picture",
    "acc": "accuracy",
    "valacc": "accuracy",
    "gpu": "cuda",
}


#: Longer names are not compared, and no more known names than these: the time grows with both lengths and their number.
LONGEST = 64
MOST = 1_000


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant: PyTorch's or another library's name, a slip, or a part of it."""
    if len(name) > LONGEST:
        return None
    return _suggestion(name, tuple(one for one in dict.fromkeys(known) if one != name))


@lru_cache(1_000)
def _suggestion(name: str, names: tuple[str, ...]) -> str | None:
    """The same, kept: a loop repeats its mistakes."""
    plain = plain_name(name)
    for alias in (name.lower(), plain):
        if ALIASES.get(alias) in names:
            return ALIASES[alias]
    same = [one for one in names if plain and plain_name(one) == plain]
    if same:
        return same[0]
    near = [one for one in names if _may_be_near(name.lower(), one.lower())][:MOST]
    slips = sorted((_distance(name.lower(), one.lower()), one) for one in near)
    if slips and slips[0][0] <= len(name) // 3:
        return slips[0][1]
    parts = [
        one for one in sorted(names) if min(len(one), len(name)) > 2 and _begins_or_ends(one.lower(), name.lower())
    ]
    return parts[0] if parts else None


def plain_name(name: str) -> str:
    """A name without case, underscores and PyTorch's number of axes: `MaxPool2d` and `max_pool` are both `maxpool`."""
    return re.sub(r"(?<=.)[123]d$", "", name.lower()).replace("_", "")


def _begins_or_ends(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long.startswith(short) or long.endswith(short)


def _may_be_near(name: str, other: str) -> bool:
    """Whether the distance can be a third of the name's length: each letter that only one of them has adds to it."""
    most = len(name) // 3
    return abs(len(name) - len(other)) <= most and len(set(name) - set(other)) <= most


def _distance(one: str, other: str) -> int:
    """How many letters are to be changed, added, left out or swapped with the next one."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
