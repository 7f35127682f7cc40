"""Cold `archdsl summary specs/alexnet.arch`, compared with torchvision's AlexNet and torchinfo's table.

    python benchmarks/summary.py [--rounds 11]

Each round starts both as new processes, in turns. Wall time and peak resident memory are medians, ratios torchinfo's
figure divided by ours; `python -c pass` is the lower bound. Cold means a new process; after one run that does not
count, the files are in the page cache.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

# torch is not imported here, and must not be: a process started from a large one counts the large one's memory.

ROOT = Path(__file__).resolve().parent.parent
TORCHINFO = """
import torchinfo
import torchvision
print(torchinfo.summary(torchvision.models.alexnet(), input_size=(1, 3, 224, 224), verbose=0))
"""
ROW = "| {:<34} | {:>9} | {:>10} |"


@dataclass
class Command:
    """A command, with the wall time (s) and peak resident memory (MiB) of each run."""

    arguments: Sequence[str]
    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def run(self) -> tuple[float, float]:
        start = time.perf_counter()
        process = subprocess.Popen(self.arguments, cwd=ROOT, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(self.arguments)} ended with {process.returncode}")
        # Linux counts in KiB, macOS in bytes.
        return seconds, usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)

    def measure(self) -> None:
        seconds, memory = self.run()
        self.seconds.append(seconds)
        self.memory.append(memory)


def archdsl() -> list[str]:
    """The installed command, or the module if this Python has none."""
    script = Path(sys.executable).with_name("archdsl")
    return [str(script)] if script.exists() else [sys.executable, "-m", "archdsl"]


def row(name: str, command: Command) -> str:
    return ROW.format(name, f"{median(command.seconds):.3f} s", f"{median(command.memory):.1f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds

    ours = Command([*archdsl(), "summary", "specs/alexnet.arch"])
    theirs = Command([sys.executable, "-c", TORCHINFO])
    floor = Command([sys.executable, "-c", "pass"])
    commands = [ours, theirs, floor]
    for command in commands:
        command.run()
    for number in range(rounds):
        for command in commands if number % 2 else commands[::-1]:
            command.measure()

    print(f"{rounds} rounds, medians\n")
    print(ROW.format("process", "time", "memory"))
    print("|:" + "-" * 35 + "|" + "-" * 10 + ":|" + "-" * 11 + ":|")
    print(row("`archdsl summary specs/alexnet.arch`", ours))
    print(row("torchvision and torchinfo", theirs))
    print(row("`python -c pass`", floor))
    time_ratio = median(theirs.seconds) / median(ours.seconds)
    memory_ratio = median(theirs.memory) / median(ours.memory)
    print(ROW.format("**ratio**", f"**{time_ratio:.1f}**", f"**{memory_ratio:.1f}**"))


if __name__ == "__main__":
    main()
