"""Names from PyTorch, Keras and elsewhere: the suggestion is the name here, and what it suggests is valid."""

from __future__ import annotations

import pytest

from archdsl.cli import main
from archdsl.diagnostics import Diagnostic
from archdsl.elaborate import check_source
from archdsl.text.source import Source

LAYERS = {
    "Conv2d(8, 3)": "conv",
    "nn.Conv2d(8, 3)": "conv",
    "torch.nn.BatchNorm2d": "batchnorm",
    "BatchNormalization": "batchnorm",
    "nn.ReLU": "relu",
    "MaxPool2D(2)": "maxpool",
    "MaxPooling2D(2)": "maxpool",
    "AveragePooling2D(2)": "avgpool",
    "GlobalAveragePooling2D(1)": "adaptive_avgpool",
    "Dense(10)": "linear",
    "ZeroPadding2D(1)": "pad",
    "UpSampling2D(2)": "upsample",
    "Conv2DTranspose(8, 3)": "conv_transpose",
    "LeakyReLU(0.1)": "leaky_relu",
}
RECIPES = {
    "optimizer = Adam": "adam",
    "optimizer = SGD(lr=0.1)": "sgd",
    "schedule = CosineAnnealingLR": "cosine",
    "schedule = StepLR(10)": "step",
    "schedule = ReduceLROnPlateau": "plateau",
    "schedule = OneCycleLR": "onecycle",
    "loss = CrossEntropyLoss": "cross_entropy",
    "loss = BCEWithLogitsLoss": "bce",
    "dataset = FashionMNIST": "fashion_mnist",
    'dataset = "cifar-10"': "cifar10",
    "augment = [RandomHorizontalFlip]": "hflip",
    "augment = [ColorJitter(0.1)]": "color_jitter",
    "batch_size = 32": "batch",
    "num_workers = 2": "workers",
    "criterion = mse": "loss",
    "optimizer = adam(learning_rate=0.1)": "lr",
    "schedule = cosine(eta_min=0.1)": "minimum",
    "precision = float16": "fp16",
    "precision = bfloat16": "bf16",
    "monitor = val_loss": "loss",
}


def first_error(line: str, recipe: str) -> Diagnostic:
    source = Source("x.arch", f"model m {{ input(3x8x8); {line}; flatten; linear(10) }}\ntrain {{ {recipe} }}\n")
    return check_source(source).errors[0]


@pytest.mark.parametrize("line", LAYERS)
def test_layers_of_other_libraries(line: str) -> None:
    found = first_error(line, "")
    assert f"did you mean `{LAYERS[line]}`?" in found.suggestions[0].message
    assert corrected(found).startswith(f"model m {{ input(3x8x8); {LAYERS[line]}")


@pytest.mark.parametrize("line", RECIPES)
def test_recipes_of_other_libraries(line: str) -> None:
    found = first_error("relu", line)
    assert f"did you mean `{RECIPES[line]}`?" in found.suggestions[0].message


def corrected(diagnostic: Diagnostic) -> str:
    """The spec after the first suggested edit."""
    help = diagnostic.suggestions[0]
    assert help.span is not None
    assert help.replacement is not None
    text = help.span.source.text
    return text[: help.span.start] + help.replacement + text[help.span.end :]


@pytest.mark.parametrize("name", ["lr", "learning_rate"])
def test_an_argument_that_stands_alone(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "optimizer = sgd(lr=...)" in first_error("relu", f"{name} = 0.1").suggestions[0].message
    assert main(["train", "lenet", "--set", f"{name}=0.1"]) == 1
    assert "optimizer.lr=0.1" in capsys.readouterr().err


def test_a_bare_word_for_a_string() -> None:
    found = first_error("relu", "device = cuda")
    assert 'device = "cuda"' in corrected(found)


def test_names_that_begin_with_the_text_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "resnet", "--json"]) == 0
    names = [line.partition('"name": "')[2].partition('"')[0] for line in capsys.readouterr().out.splitlines()[1:-1]]
    begin = [name.startswith("resnet") for name in names]
    assert begin == sorted(begin, reverse=True)
    contain = ["resnet" in name for name in names]
    assert contain == sorted(contain, reverse=True)
    assert not all(contain)
