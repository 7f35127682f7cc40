"""Results of the recipes in specs/ on real data: each network is trained with several seeds.

    python benchmarks/results.py [--seeds 0 1 2] [NAME ...]

Only the seed is set; data set, recipe and length are the spec's. The accuracy is that of the weights after the last
epoch on the test split, which decides about nothing during a run. The time is that of the whole command.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

#: The networks and the commands that train them.
COMMANDS = {
    "lenet": "archdsl train specs/lenet.arch --model lenet",
    "lenet_relu": "archdsl train specs/lenet.arch --model lenet_relu",
    "resnet9_fashion": "archdsl train specs/resnet9.arch --model resnet9_fashion --epochs 18 --set precision=bf16",
    "digits": "archdsl train specs/lenet.arch --model lenet_relu --dataset digits --epochs 30",
}
ROW = "| {:<84} | {:>12} | {:>4} | {:>13} | {:>8} |"


def run(command: str, seed: int) -> tuple[str, float, float]:
    """Train once and return the data set, the accuracy in percent and the seconds of the whole command."""
    words = shlex.split(command)[1:]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        started = time.perf_counter()
        options = ["--set", f"seed={seed}", "--out", str(out), "--quiet"]
        subprocess.run([sys.executable, "-m", "archdsl", *words, *options], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        lines = (out / "metrics.jsonl").read_text("utf-8").splitlines()
        facts = json.loads((out / "run.json").read_text("utf-8"))
    return facts["dataset"], 100 * json.loads(lines[-1])["val_accuracy"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(COMMANDS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    print(ROW.format("command", "data", "seed", "test accuracy", "time"))
    print(ROW.format("---", "---", "--:", "--:", "--:"), flush=True)
    for name in options.names or COMMANDS:
        found = []
        for seed in options.seeds:
            dataset, accuracy, seconds = run(COMMANDS[name], seed)
            found.append(accuracy)
            shown = f"`{COMMANDS[name]} --set seed={seed}`"
            print(ROW.format(shown, dataset, seed, f"{accuracy:.2f} %", f"{seconds:.0f} s"), flush=True)
        print(ROW.format(f"**mean of {len(found)}**", dataset, "", f"**{mean(found):.2f} %**", ""), flush=True)


if __name__ == "__main__":
    main()
