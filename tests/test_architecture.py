"""Who may import whom. The front end is fast and small because torch, numpy and onnx stay behind these walls."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import archdsl
from archdsl.zoo import specs_folder

PACKAGE = Path(archdsl.__file__).parent

#: What each part imports when it is imported itself: nothing else, and no edge that is not used.
#: Imports for type checkers alone (`if TYPE_CHECKING`) do not count.
EDGES = {
    "version": "",
    "limits": "",
    "record": "",
    "source": "",
    "stack": "",
    "files": "diagnostics",
    "shapes": "",
    "diagnostics": "source limits record",
    "values": "source",
    "receptive_field": "shapes",
    "layers": "diagnostics values shapes receptive_field",
    "initializers": "diagnostics shapes layers",
    "syntax": "source stack limits diagnostics values record",
    "graph": "source diagnostics shapes record",
    "network": "source diagnostics values shapes receptive_field graph",
    "elaborate": "source stack limits diagnostics values shapes layers syntax graph network record",
    "recipe": "source diagnostics values shapes",
    "zoo": "",
    "cards": "zoo",
    "loading": "source diagnostics network elaborate zoo",
    "summary": "graph",
    "tables": "summary",
    "onnx": "version diagnostics values shapes graph network",
    "torch": "diagnostics shapes layers initializers graph network",
    "picture": "graph network summary",
    "report": "files diagnostics values elaborate loading network picture summary train",
    "train": "files diagnostics values shapes recipe",
    "cli": "source files diagnostics values layers graph network syntax elaborate summary tables zoo cards",
    "__main__": "cli",
    "__init__": "version",
}

#: What functions import when they are called: the price is paid by who needs it, and cycles are cut here.
LAZY_EDGES = {
    "files": "diagnostics",
    "elaborate": "values initializers recipe",
    "network": "torch",
    "zoo": "cards loading torch",
    "torch": "onnx zoo",
    "report": "train",
    "train": "torch zoo",
    "cli": "__init__ files source diagnostics graph elaborate loading zoo recipe summary syntax tables picture"
    " torch onnx train report",
}

#: The only parts that may import a package, at any level.
ONLY = {
    "torch": {"torch", "train", "report"},
    "torchvision": {"torch", "train"},
    "accelerate": {"train"},
    "safetensors": {"torch", "train"},
    "sklearn": {"train"},
    "matplotlib": {"train", "report"},
    "jinja2": {"report"},
    "PIL": {"train"},
    "numpy": {"torch", "train", "onnx"},
    "onnx": {"onnx"},
    "onnxruntime": {"onnx"},
    "lark": {"syntax"},
    "pydantic": {"layers", "initializers", "elaborate", "recipe", "cards", "train"},
    "pydantic_core": {"recipe"},
    "typer": {"cli"},
    "rich": {"tables", "train"},
}

#: What no command of the front end may import: each costs more than the whole command.
HEAVY = ("torch", "torchvision", "numpy", "onnx", "onnxruntime", "sklearn", "matplotlib", "safetensors", "PIL")


class Import(NamedTuple):
    """One import of a module by a part, and whether it is inside a function."""

    part: str
    module: str
    lazy: bool
    place: str

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    @property
    def target(self) -> str:
        """The part of archdsl that is imported; a name of `archdsl` itself that is no part is the package's own."""
        name = [*self.module.split("."), "__init__"][1]
        return name if name in EDGES else "__init__"


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _modules(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names):
            return [alias.name for alias in names]
        case ast.ImportFrom("archdsl", names):
            return [f"archdsl.{alias.name}" for alias in names]
        case ast.ImportFrom(str(module), _, 0):
            return [module]
        case ast.ImportFrom():
            raise AssertionError("relative imports are not used here")
    return []


def imports_in(node: ast.AST, part: str, path: str, *, lazy: bool = False) -> Iterator[Import]:
    """The imports inside a node, those for type checkers left out."""
    for child in ast.iter_child_nodes(node):
        if _is_type_checking(child):
            continue
        yield from (Import(part, module, lazy, f"{path}:{child.lineno}") for module in _modules(child))  # type: ignore[attr-defined]
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports_in(child, part, path, lazy=lazy or inside)


@cache
def imports() -> tuple[Import, ...]:
    found: list[Import] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        part = relative.parts[0].removesuffix(".py")
        found += imports_in(ast.parse(path.read_text("utf-8")), part, str(relative))
    return tuple(found)


def edges(*, lazy: bool) -> dict[str, set[str]]:
    """The edges between parts as they are in the code."""
    found: dict[str, set[str]] = {}
    for each in imports():
        if each.package == "archdsl" and each.lazy == lazy and each.target != each.part:
            found.setdefault(each.part, set()).add(each.target)
    return found


def as_sets(table: dict[str, str]) -> dict[str, set[str]]:
    return {part: set(targets.split()) for part, targets in table.items() if targets}


def test_the_reader_of_imports_sees_what_it_should() -> None:
    text = """
import os.path
from typing import TYPE_CHECKING
from archdsl import zoo, load
if TYPE_CHECKING:
    import torch
class C:
    import numpy
    def f(self):
        from archdsl.torch.build import build
        if True:
            import onnx
"""
    found = [(each.module, each.lazy) for each in imports_in(ast.parse(text), "cli", "x.py")]
    assert found == [
        ("os.path", False),
        ("typing", False),
        ("archdsl.zoo", False),
        ("archdsl.load", False),
        ("numpy", False),
        ("archdsl.torch.build", True),
        ("onnx", True),
    ]
    assert [Import("cli", m, False, "").target for m in ("archdsl.zoo", "archdsl.load", "archdsl.torch.build")] == [
        "zoo",
        "__init__",
        "torch",
    ]


def test_every_part_is_in_the_table() -> None:
    parts = {
        p.stem if p.is_file() else p.name
        for p in PACKAGE.iterdir()
        if p.suffix == ".py" or (p / "__init__.py").is_file()
    }
    assert parts == set(EDGES)


def test_imports_at_start_are_the_tables() -> None:
    assert edges(lazy=False) == as_sets(EDGES)


def test_imports_in_functions_are_the_tables() -> None:
    assert edges(lazy=True) == as_sets(LAZY_EDGES)


def test_imports_at_start_go_one_way() -> None:
    order = list(TopologicalSorter(as_sets(EDGES)).static_order())
    assert order.index("source") < order.index("elaborate") < order.index("cli")


@pytest.mark.parametrize("package", ONLY)
def test_a_package_is_imported_only_where_it_belongs(package: str) -> None:
    outside = [each.place for each in imports() if each.package == package and each.part not in ONLY[package]]
    assert outside == []
    assert {each.part for each in imports() if each.package == package} == ONLY[package]


def test_every_other_import_is_of_the_standard_library() -> None:
    known = {"archdsl", *ONLY, *sys.stdlib_module_names}
    assert [each.place for each in imports() if each.package not in known] == []


COMMANDS = {
    "summary": ["summary", "alexnet"],
    "summary in json": ["summary", "resnet50", "--format", "json"],
    "check": ["check", str(specs_folder())],
    "layers": ["layers"],
    "layers of a kind": ["layers", "conv"],
    "explain": ["explain", "E402"],
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
    files = {"SPEC": str(tmp_path / "spec.arch"), "WRONG": str(tmp_path / "wrong.arch")}
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
    assert "archdsl.tables" in modules
    assert not any(module.partition(".")[0] == "rich" for module in modules)


def test_importing_the_package_is_nearly_free() -> None:
    """`import archdsl` must not pull in the front end either: names are found when they are used."""
    code = "import sys, archdsl; print(*sorted(m for m in sys.modules if m.startswith('archdsl')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["archdsl", "archdsl.version"]
