"""Names that torch reserves, and suggestions for misspelt names."""

from __future__ import annotations

import pytest

from archdsl.diagnostics import Located
from archdsl.elaborate.names import check_label
from archdsl.layers import all_kinds
from archdsl.text.source import Source, Span
from archdsl.text.suggest import suggestion


def test_reserved_labels_are_torchs() -> None:
    nn = pytest.importorskip("torch.nn")
    theirs = {*dir(nn.Module()), *dir(nn.Sequential())}
    for name in theirs:
        with pytest.raises(Located, match="attribute"):
            check_label(name, Span(Source("test", name), 0, 1))


@pytest.mark.parametrize("name", ["0", "conv1", "layer-1", "relu", "norm", "pool", "input", "features", "_x"])
def test_other_labels_are_fine(name: str) -> None:
    check_label(name, Span(Source("test", name), 0, 1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cnov", "conv"),
        ("con", "conv"),
        ("Conv2d", "conv"),
        ("Conv3d", "conv"),
        ("ConvTranspose2d", "conv_transpose"),
        ("BatchNorm1d", "batchnorm"),
        ("MaxPool2d", "maxpool"),
        ("max_pool", "maxpool"),
        ("AdaptiveAvgPool2d", "adaptive_avgpool"),
        ("Linear", "linear"),
        ("ReLU", "relu"),
        ("ReLU6", "relu6"),
        ("LeakyReLU", "leaky_relu"),
        ("LogSoftmax", "log_softmax"),
        ("LocalResponseNorm", "local_response_norm"),
        ("Dropout2d", "channel_dropout"),
        ("PixelShuffle", "pixel_shuffle"),
        ("Flatten", "flatten"),
        ("swish", "silu"),
        ("convolution", "conv"),
        ("print", None),
        ("xyz", None),
    ],
)
def test_suggested_kind(name: str, expected: str | None) -> None:
    assert suggestion(name, all_kinds()) == expected


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("strid", ["stride", "padding"], "stride"),
        ("activation", ["dilation", "stride"], None),
        ("kernel", ["kernel_size"], "kernel_size"),
        ("clases", ["classes"], "classes"),
        ("sikp", ["skip"], "skip"),
        ("a", ["b"], None),
        ("num_classes", ["classes"], "classes"),
        ("CosineAnnealingLR", ["cos", "cosine"], "cosine"),
        ("a", ["a", "b"], None),
    ],
)
def test_suggested_name(name: str, known: list[str], expected: str | None) -> None:
    assert suggestion(name, known) == expected
