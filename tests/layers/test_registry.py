"""Finding layer types by name: lazy imports, types of other packages, and the description of arguments."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

import archdsl.layers
from archdsl.layers import GROUP, MODULES, all_kinds, arguments, kind_named
from archdsl.layers.base import KINDS, Layer, OnnxBuilder, TorchForm
from archdsl.layers.conv import Conv
from archdsl.layers.dropout import Dropout
from archdsl.shapes import Shape


def test_the_list_of_modules_is_the_folder() -> None:
    folder = Path(archdsl.layers.__file__).parent
    with_types = {path.stem for path in folder.glob("*.py") if '    kind = "' in path.read_text(encoding="utf-8")}
    assert set(MODULES) == with_types - {"initializers", "parametrizations"}


@pytest.mark.parametrize(
    ("names", "loaded"),
    [(["conv"], {"conv"}), (["relu", "conv", "linear"], {"conv", "activation", "linear"})],
)
def test_only_the_modules_that_are_needed_are_imported(names: list[str], loaded: set[str]) -> None:
    program = (
        "import sys; from archdsl.layers import kind_named\n"
        f"assert all(kind_named(name).kind == name for name in {names})\n"
        "print(*(name.split('.')[2] for name in sys.modules if name.startswith('archdsl.layers.')))\n"
        "print(*(name for name in ('torch', 'numpy', 'onnx', 'importlib.metadata') if name in sys.modules))"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    modules, heavy = output.split("\n")[:2]
    assert set(modules.split()) - {"base", "axes", "memory", "windows"} == loaded
    assert heavy == ""


def test_all_kinds_are_in_the_alphabets_order() -> None:
    names = list(all_kinds())
    assert names == sorted(names)
    assert {"conv", "maxpool", "batchnorm", "relu", "linear", "concat", "upsample", "pad"} <= set(names)
    assert kind_named("conv") is Conv
    assert kind_named("convolution") is None


class _FakeEntry:
    """An entry point of another project."""

    name, value = "other", "other_project.layers"

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def load(self) -> ModuleType:
        if self._error is not None:
            raise self._error

        class Twice(Layer):
            """Doubles what arrives."""

            kind = "test_twice"

            def shape(self, x: Shape, *operands: Shape) -> Shape:
                return x

            def torch(self, x: Shape) -> TorchForm:
                return TorchForm("other_project.Twice")

            def onnx(self, x: Shape, y: Shape, g: OnnxBuilder) -> str:
                return g.node("Add", g.input, g.input)

        return ModuleType("other_project.layers")


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[_FakeEntry]]:
    """The entry points of the group; kinds they register are gone afterwards."""
    entries: list[_FakeEntry] = []
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: entries if group == GROUP else [])
    archdsl.layers._load_entry_points.cache_clear()
    yield entries
    KINDS.pop("test_twice", None)
    archdsl.layers._load_entry_points.cache_clear()


def test_another_project_adds_a_kind(entry_points: list[_FakeEntry]) -> None:
    entry_points.append(_FakeEntry())
    kind = kind_named("test_twice")
    assert kind is not None
    assert kind().shape(Shape((3, 4))) == (3, 4)
    assert "test_twice" in all_kinds()


def test_a_broken_entry_point_is_a_warning_not_a_traceback(entry_points: list[_FakeEntry]) -> None:
    entry_points += [_FakeEntry(ImportError("no module named other_project")), _FakeEntry()]
    with pytest.warns(
        RuntimeWarning, match=r"other = 'other_project.layers'.*ImportError: no module named other_project"
    ):
        assert kind_named("test_twice") is not None
    assert "conv" in all_kinds()


def test_our_own_kinds_never_ask_other_projects(entry_points: list[_FakeEntry]) -> None:
    entry_points.append(_FakeEntry(RuntimeError("was asked")))
    assert kind_named("conv_transpose") is not None


def test_a_duplicate_name_is_an_error() -> None:
    with pytest.raises(TypeError, match="are both called 'conv'"):
        type("Again", (Conv,), {"kind": "conv", "__module__": __name__, "__doc__": "Once more."})
    assert KINDS["conv"] is Conv


def test_arguments_as_a_spec_writes_them() -> None:
    described = {argument.name: argument for argument in arguments(Conv)}
    assert [*described][:3] == ["out_channels", "kernel_size", "stride"]
    assert described["out_channels"] == ("out_channels", "int > 0", "")
    assert described["padding"].type == 'int >= 0 or (int >= 0, ...) or "same" or "valid" or "same_upper"'
    assert described["bias"] == ("bias", "bool", "true")
    assert described["padding_mode"].default == '"zeros"'
    assert arguments(Dropout)[0] == ("p", "float >= 0 and <= 1", "0.5")
