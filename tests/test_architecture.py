"""Which part may import which. The front end is fast because it never imports torch, numpy or onnx."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import archdsl
from archdsl.zoo import specs_folder

PACKAGE = Path(archdsl.__file__).parent

#: The floors of the house, from the ground up: a folder imports only from those before it in this list. Every import
#: counts, also those inside functions and those for type checkers.
FLOORS = [
    *("version", "text", "diagnostics", "files", "drawing", "shapes", "arguments", "combinators", "layers", "recipe"),
    *("cards", "syntax", "graph", "diff", "elaborate", "sizes", "backends", "datasets", "runs", "train", "inference"),
    *(
        "figures",
        "view",
        "diagrams",
        "assist",
        "lsp",
        "api",
        "hub",
        "zoo",
        "report",
        "cli",
        "notebook",
        "__main__",
        "__init__",
    ),
]

#: The only parts that may import a package, at any level.
ONLY = {
    "torch": {
        "backends",
        "datasets",
        "train",
        "inference",
        "figures",
        "runs",
        "report",
        "files",
        "api",
        "hub",
        "zoo",
        "cli",
    },
    "torchvision": {"backends", "datasets"},
    "accelerate": {"train"},
    "safetensors": {"backends", "files", "runs"},
    "sklearn": {"datasets"},
    "matplotlib": {"drawing", "figures", "cli"},
    "jinja2": {"report"},
    "PIL": {"datasets", "inference", "figures", "report"},
    "numpy": {"backends", "datasets", "inference"},
    "onnx": {"backends"},
    "onnxruntime": {"backends"},
    "huggingface_hub": {"hub"},
    "lark": {"syntax"},
    "pydantic": {"arguments", "layers", "recipe", "cards", "diff", "runs"},
    "pydantic_core": {"arguments"},
    "typer": {"cli"},
    "rich": {"view", "runs"},
    "pygls": {"lsp"},
    "pygments": {"notebook"},
    "IPython": {"notebook"},
    "lsprotocol": {"lsp"},
}

#: What no command of the front end may import: each costs more than the whole command.
HEAVY = ("torch", "torchvision", "numpy", "onnx", "onnxruntime", "sklearn", "matplotlib", "safetensors", "PIL")


class Import(NamedTuple):
    """One import by a module of archdsl of another one, or of a package."""

    module: str
    target: str
    place: str

    @property
    def package(self) -> str:
        return self.target.partition(".")[0]

    @property
    def part(self) -> str:
        return part_of(self.module)


def part_of(module: str) -> str:
    """The folder at the top of archdsl, or the module there, that a module belongs to."""
    return [*module.split("."), "__init__"][1]


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a package is its `__init__`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["archdsl", *path.relative_to(PACKAGE).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def targets(node: ast.AST, known: Collection[str]) -> list[str]:
    """The modules that an import statement imports: `from archdsl.graph import network` is the module of that name."""
    match node:
        case ast.Import(names):
            return [alias.name for alias in names]
        case ast.ImportFrom(str(module), names, 0):
            return [full if (full := f"{module}.{alias.name}") in known else module for alias in names]
        case ast.ImportFrom():
            raise AssertionError("relative imports are not used here")
    return []


def imports_in(tree: ast.AST, module: str, known: Collection[str]) -> list[Import]:
    """Every import in a module, wherever it stands."""
    found = ((node, target) for node in ast.walk(tree) for target in targets(node, known))
    return [Import(module, target, f"{module}:{node.lineno}") for node, target in found]  # type: ignore[attr-defined]


@cache
def imports() -> tuple[Import, ...]:
    found = (imports_in(ast.parse(path.read_text("utf-8")), name, modules()) for name, path in modules().items())
    return tuple(each for one in found for each in one)


def own_imports() -> Iterator[Import]:
    """The imports of one module of archdsl by another."""
    return (each for each in imports() if each.package == "archdsl" and each.target != each.module)


def test_the_reader_of_imports_sees_what_it_should() -> None:
    text = """
import os.path
from typing import TYPE_CHECKING
from archdsl import zoo, load
if TYPE_CHECKING:
    import torch
class C:
    def f(self):
        from archdsl.backends.torch.build import build
"""
    found = imports_in(ast.parse(text), "archdsl.cli.x", {"archdsl.zoo", "archdsl"})
    assert [each.target for each in found] == [
        "os.path",
        "typing",
        "archdsl.zoo",
        "archdsl",
        "torch",
        "archdsl.backends.torch.build",
    ]
    assert found[0].part == "cli"
    assert [part_of(each.target) for each in found[2:4]] == ["zoo", "__init__"]


def test_the_floors_are_all_there_is() -> None:
    """Nothing lies at the top of the package but what people import, and the folders."""
    files = {path.stem for path in PACKAGE.glob("*.py")}
    assert files == {"__init__", "__main__", "api", "version"}
    assert {part_of(module) for module in modules()} == set(FLOORS)


def test_no_import_runs_back_up() -> None:
    floor = {name: number for number, name in enumerate(FLOORS)}
    wrong = [
        f"{each.place} imports {each.target}"
        for each in own_imports()
        if each.part != part_of(each.target) and floor[part_of(each.target)] >= floor[each.part]
    ]
    assert wrong == []


def test_no_circle_of_modules() -> None:
    graph: dict[str, set[str]] = {}
    for each in own_imports():
        graph.setdefault(each.module, set()).add(each.target)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("package", ONLY)
def test_a_package_is_imported_only_where_it_belongs(package: str) -> None:
    assert {each.part for each in imports() if each.package == package} == ONLY[package]


def test_every_other_import_is_of_the_standard_library() -> None:
    known = {"archdsl", *ONLY, *sys.stdlib_module_names}
    assert [each.place for each in imports() if each.package not in known] == []


MAX_LINES = 450
#: Of the functions: the median, what nine in ten stay under, and the longest.
MEDIAN, NINE_IN_TEN, LONGEST = 5, 17, 58


def test_no_file_is_too_long() -> None:
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_functions_are_short() -> None:
    trees = (ast.parse(path.read_text("utf-8")) for path in modules().values())
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    lengths = sorted(int(node.end_lineno or 0) - node.lineno + 1 for node in functions)
    assert lengths[len(lengths) // 2] <= MEDIAN
    assert lengths[len(lengths) * 9 // 10] < NINE_IN_TEN
    assert lengths[-1] <= LONGEST


COMMANDS = {
    "summary": ["summary", "alexnet"],
    "summary in json": ["summary", "resnet50", "--format", "json"],
    "check": ["check", str(specs_folder())],
    "layers": ["layers"],
    "layers of a kind": ["layers", "conv"],
    "explain": ["explain", "E402"],
    "diff": ["diff", "resnet50", "resnet101"],
    "draw network": ["draw", "network", "lenet", "-o", "SVG"],
    "draw volumes": ["draw", "volumes", "lenet", "-o", "SVG"],
    "zoo": ["zoo"],
    "zoo of one": ["zoo", "lenet"],
    "help of predict": ["predict", "--help"],
    "help of new": ["new", "--help"],
    "show the tree": ["show", "lenet", "--stage", "tree"],
    "show the graph": ["show", "lenet", "--stage", "graph"],
    "fmt": ["fmt", "--check", "SPEC"],
    "an error": ["check", "WRONG"],
    "help": ["--help"],
    "help of train": ["train", "--help"],
    "help of eval": ["eval", "--help"],
    "help of export": ["export", "--help"],
    "version": ["--version"],
}

RUN = """
import sys
from archdsl.cli import main
code = main(sys.argv[2:])
print("LOADED", *sorted(set(sys.argv[1].split()) & set(sys.modules)), file=sys.stderr)
raise SystemExit(code)
"""


def run_command(arguments: list[str]) -> tuple[int, str, list[str]]:
    """Run a command in a process of its own: the exit code, its output, and the heavy packages it imported."""
    command = [sys.executable, "-c", RUN, " ".join(HEAVY), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    *_, last = done.stderr.splitlines() or [""]
    mark, *loaded = last.split()
    assert mark == "LOADED", done.stderr
    return done.returncode, done.stdout, loaded


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_front_end_imports_nothing_heavy(command: str, tmp_path: Path) -> None:
    (tmp_path / "spec.arch").write_text("model m {\n  input(8)\n  linear(4)\n}\n")
    (tmp_path / "wrong.arch").write_text("model m {\n  input(3x4x4)\n  conv(8, 5)\n}\n")
    files = {
        "SVG": str(tmp_path / "picture.svg"),
        "SPEC": str(tmp_path / "spec.arch"),
        "WRONG": str(tmp_path / "wrong.arch"),
    }
    code, output, loaded = run_command([files.get(each, each) for each in COMMANDS[command]])
    assert loaded == []
    assert code == (1 if command == "an error" else 0), output
    assert output or command == "fmt"


def test_a_plain_table_is_drawn_without_rich() -> None:
    """Rich costs 50 ms; it colours tables on a terminal and nothing else."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "archdsl", "summary", "alexnet"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "archdsl.view.tables" in modules
    assert not any(module.partition(".")[0] == "rich" for module in modules)


def test_importing_the_package_is_nearly_free() -> None:
    """`import archdsl` must not pull in the front end either: names are found when they are used."""
    code = "import sys, archdsl; print(*sorted(m for m in sys.modules if m.startswith('archdsl')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["archdsl", "archdsl.version"]
