"""Writes docs/gallery: pictures of twenty networks and three reports, from the zoo and the data that are included.

./run gallery            everything, in about two minutes
./run gallery lenet      only the pictures of networks with this in their name
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from archdsl import zoo
from archdsl.diagnostics import SpecError
from archdsl.diagrams.flow import flow_scene
from archdsl.diagrams.volumes import draw_volumes
from archdsl.drawing import write_drawing

FOLDER = Path(__file__).parents[1] / "docs" / "gallery"

#: The networks, and what to look for in their pictures.
NETWORKS = {
    "lenet": "LeNet-5: a chain",
    "alexnet": "AlexNet: a chain with large kernels first",
    "vgg16": "VGG-16: stages of 3x3 convolutions",
    "googlenet": "GoogLeNet: branches of different kernels, and auxiliary heads",
    "inception_v3": "Inception v3: factorised convolutions",
    "resnet18": "ResNet-18: shortcuts around two convolutions",
    "resnet50": "ResNet-50: bottlenecks",
    "densenet121": "DenseNet-121: every layer reads all before it in its block",
    "squeezenet1_1": "SqueezeNet: fire modules",
    "mobilenet_v2": "MobileNetV2: inverted residuals",
    "mobilenet_v3_small": "MobileNetV3: with squeeze and excitation",
    "shufflenet_v2_x1_0": "ShuffleNetV2: half of the channels pass by",
    "efficientnet_b0": "EfficientNet-B0",
    "convnext_tiny": "ConvNeXt: blocks as in a transformer, of convolutions",
    "vit_b_16": "ViT: an encoder over patches",
    "swin_t": "Swin: attention in shifted windows",
    "unet": "U-Net: skips from the way down to the way up",
    "fcn_resnet50": "FCN: segmentation on a backbone",
    "hrnet_w18": "HRNet: streams of several resolutions",
    "siamese_resnet": "A Siamese network: two inputs, one tower",
}

#: The runs of the reports: their folders and the arguments of `archdsl train`.
RUNS = {
    "lenet": ["lenet", "--model", "lenet_relu", "--dataset", "digits", "--set", "validation=0.1", "--epochs", "12"],
    "sigmoid": ["lenet", "--dataset", "digits", "--set", "validation=0.1", "--epochs", "12"],
    "autoencoder": ["autoencoder_conv", "--dataset", "digits", "--epochs", "20"],
}
#: The reports: the page, the arguments of the command that writes it from the runs' folder, and what it is.
REPORTS = {
    "report-lenet.html": (["report", "runs/lenet"], "LeNet on digits: classes"),
    "report-autoencoder.html": (["report", "runs/autoencoder"], "an autoencoder on digits: images as outputs"),
    "compare-lenet.html": (["compare", "runs/lenet", "runs/sigmoid"], "LeNet with ReLU and with sigmoid, compared"),
}

INTRODUCTION = """# Gallery

Pictures of twenty networks of the zoo and three reports, all written by one command, `./run gallery`. A picture is what
`archdsl draw network NAME` writes; where a drawing to scale helps, that of `archdsl draw volumes NAME` follows.
[pictures.md](../pictures.md) says how to read and change them, [report.md](../report.md) explains the reports."""


def draw(name: str) -> list[Path]:
    """Write the pictures of a network; one without a drawing to scale has the flow picture only."""
    network = zoo.load(name)
    paths = [FOLDER / f"{name}.svg"]
    write_drawing(flow_scene(network), paths[0], "auto")
    try:
        scene = draw_volumes(network)
    except SpecError:
        return paths
    paths.append(FOLDER / f"{name}-volumes.svg")
    write_drawing(scene, paths[1], "auto")
    return paths


def train_and_report() -> None:
    """Train the runs in a temporary folder and write their reports."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for run_name, arguments in RUNS.items():
            archdsl(folder, "train", *arguments, "--out", f"runs/{run_name}", "--set", "report=false", "--quiet")
            forget_machine(folder / "runs" / run_name / "environment.json")
        for page_name, (arguments, _) in REPORTS.items():
            archdsl(folder, *arguments, "-o", page_name)
            shutil.copyfile(folder / page_name, FOLDER / page_name)


def archdsl(folder: Path, *arguments: str) -> None:
    """Run a command of archdsl in a folder, which must succeed."""
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parents[1])}
    subprocess.run([sys.executable, "-m", "archdsl", *arguments], cwd=folder, env=environment, check=True)


def forget_machine(path: Path) -> None:
    """Leave out the name of the operating system's build, which says nothing to others."""
    facts = json.loads(path.read_text(encoding="utf-8"))
    del facts["platform"]
    path.write_text(json.dumps(facts), encoding="utf-8")


def page() -> str:
    """The text of the gallery's README.md, from the files that are there."""
    lines = [
        *INTRODUCTION.splitlines(),
        "",
        "## Reports",
        "",
        *(f"- [{page}]({page}): {what}" for page, (_, what) in REPORTS.items()),
        "",
        "## Networks",
        "",
        " · ".join(f"[{name}](#{name})" for name in NETWORKS),
        "",
    ]
    for name, what in NETWORKS.items():
        lines += [f"### {name}", "", f"{what}.", "", f"![{name}, from input to output]({name}.svg)", ""]
        if (FOLDER / f"{name}-volumes.svg").is_file():
            lines += [f"![the feature maps of {name}, to scale]({name}-volumes.svg)", ""]
    return "\n".join(lines)


def run(words: list[str]) -> None:
    """Write everything, or the pictures of the networks whose names contain one of the words."""
    FOLDER.mkdir(exist_ok=True)
    for name in NETWORKS:
        if not words or any(word in name for word in words):
            print(*(f"{path.name} ({path.stat().st_size // 1000} KB)" for path in draw(name)))
    if not words:
        train_and_report()
    (FOLDER / "README.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    run(sys.argv[1:])
