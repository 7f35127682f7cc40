"""Files and their imports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archdsl.diagnostics import Diagnostic, Located, Note, Problem, SpecError, did_you_mean
from archdsl.diagnostics.codes.files import (
    FileTooLarge,
    ImportCycle,
    NotAFile,
    NotFound,
    NotReadable,
    NotUtf8,
    TooManyFiles,
)
from archdsl.diagnostics.codes.names import DuplicateName, ReservedName, UnknownName
from archdsl.diagnostics.codes.training import RepeatedRecipe
from archdsl.elaborate.environment import UNKNOWN, BlockValue, Environment, ModelValue
from archdsl.elaborate.errors import Stop, Unknown
from archdsl.elaborate.expressions import Evaluator, unpack
from archdsl.elaborate.forms import STATEMENTS
from archdsl.elaborate.references import Definition
from archdsl.syntax import tree
from archdsl.syntax.parser import parse_partial
from archdsl.text.limits import MAX_ERRORS, MAX_FILE_BYTES, MAX_FILES
from archdsl.text.source import Source, Span
from archdsl.text.stack import deep


def read(path: Path, name: str | None = None) -> Source:
    """The source of a spec file.

    Raises:
        SpecError: it is missing, a folder, unreadable, too large or not UTF-8.
    """
    shown = name or str(path)

    def fail(problem: Problem) -> SpecError:
        return SpecError([Diagnostic(problem, path=shown)])

    try:
        if path.is_dir():
            raise fail(NotAFile(shown, "a folder"))
        if not path.exists():
            raise fail(NotFound(shown, ""))
        if not path.is_file():
            raise fail(NotAFile(shown, "a device or pipe"))
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise fail(FileTooLarge(shown, size, MAX_FILE_BYTES))
        return source_of(path.read_bytes(), shown)
    except (OSError, ValueError) as error:
        raise fail(NotReadable(shown, getattr(error, "strerror", None) or str(error))) from None


def source_of(data: bytes, shown: str) -> Source:
    """The source with the bytes of a file, called `shown`.

    Raises:
        SpecError: it is too large or not UTF-8.
    """
    if len(data) > MAX_FILE_BYTES:
        raise SpecError([Diagnostic(FileTooLarge(shown, len(data), MAX_FILE_BYTES), path=shown)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError([Diagnostic(NotUtf8(shown, error.start, line, data[error.start]), path=shown)]) from None
    return Source(shown, text.replace("\r\n", "\n"))


#: Reads the file at a path that is called by a name.
Reader = Callable[[Path, str], Source]


@dataclass(eq=False)
class Module:
    """One file with what it defines; `globals` also holds what it imports from `imports`.

    places       where the file defines or imports each name
    definitions  the definition of each name, in this file or an imported one
    is_broken    whether it, or a file that it imports, has errors, so that names may be missing
    """

    source: Source
    file: tree.File
    is_broken: bool = False
    globals: Environment = field(default_factory=Environment)
    models: dict[str, ModelValue] = field(default_factory=dict)
    imported_models: dict[str, ModelValue] = field(default_factory=dict)
    trains: list[tree.TrainDef] = field(default_factory=list)
    imports: list[Module] = field(default_factory=list)
    places: dict[str, Span] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The file's name without `.arch`."""
        return Path(self.source.path).stem

    def with_imports(self) -> list[Module]:
        """The file itself and all that it imports, directly or not, each once."""
        found: dict[Module, None] = {}
        waiting = [self]
        while waiting:
            module = waiting.pop()
            if module not in found:
                found[module] = None
                waiting += module.imports
        return list(found)


class Loader:
    """Loads a file and its imports, with `read`; the problems of all of them are collected in `diagnostics`.

    A file with syntax errors reports only these, since other errors may follow from them.
    """

    def __init__(self, read: Reader = read) -> None:
        self.modules: dict[Path, Module] = {}
        self._read = read
        self.diagnostics: list[Diagnostic] = []
        self._evaluator = Evaluator()
        self._open: list[Path] = []

    @deep
    def load(self, source: Source, path: Path) -> Module:
        """A source as a module."""
        file, errors = parse_partial(source)
        self.diagnostics += errors
        module = Module(source, file, is_broken=bool(errors))
        self.modules[path] = module
        self._open.append(path)
        for item in file.items:
            if len(self.diagnostics) >= MAX_ERRORS:
                break
            try:
                self._define(item, module, path)
            except Unknown:
                pass
            except Located as error:
                if not module.is_broken:
                    self.diagnostics.append(error.diagnostic())
                if isinstance(error, Stop):
                    break
        self._open.pop()
        return module

    def _define(self, item: tree.TopLevel, module: Module, path: Path) -> None:
        match item:
            case tree.Import():
                self._import(item, module, path)
            case tree.BlockDef():
                if item.name.name in STATEMENTS:
                    raise Located(ReservedName(item.name.name), item.name.span)
                self._claim(item.name, module, Definition(item.name.name, "block", item.name.span))
                module.globals.values[item.name.name] = BlockValue(item, module.globals)
            case tree.ModelDef() | tree.VariantDef():
                self._claim(item.name, module, Definition(item.name.name, "model", item.name.span))
                module.models[item.name.name] = ModelValue(item, module.globals)
            case tree.TrainDef():
                self._require_one_recipe(item, module)
                module.trains.append(item)
            case tree.Let():
                self._let(item, module)

    def _let(self, item: tree.Let, module: Module) -> None:
        names = tree.names_of(item.targets)
        try:
            values = unpack(item.targets, self._evaluator.evaluate(item.value, module.globals), item.value.span)
        except (Located, Unknown):
            module.globals.values |= {one.name: UNKNOWN for one in names}
            module.places |= {one.name: one.span for one in names}
            raise
        for name in names:
            self._claim(name, module, Definition(name.name, "value", name.span))
            module.globals.values[name.name] = values[name.name]

    def _claim(self, name: tree.Name, module: Module, definition: Definition, what: str = "the name") -> None:
        """Take a name of the file, where each stands for one thing: a block, a model or a value."""
        if name.name in module.places:
            raise _duplicate(what, name.name, name.span, module.places[name.name])
        module.places[name.name] = name.span
        module.definitions[name.name] = definition

    def _require_one_recipe(self, item: tree.TrainDef, module: Module) -> None:
        """Reject a second recipe for the same model, or for all models."""
        first: dict[str, Span] = {}
        for block in module.trains:
            first |= {name.name: name.span for name in block.models} or {"": keyword_of(block)}
        for name, span in [(one.name, one.span) for one in item.models] or [("", keyword_of(item))]:
            if name in first:
                problem = RepeatedRecipe(f"model `{name}`" if name else "all models")
                raise Located(problem, span, notes=(Note("first defined here", first[name]),))
            first[name] = span

    def _import(self, item: tree.Import, module: Module, path: Path) -> None:
        target = self._target(item, path)
        if target in self._open:
            between = [self.modules[one].source.path for one in self._open[self._open.index(target) + 1 :]]
            through = f" through {', '.join(between)}" if between else ""
            raise Located(ImportCycle(self.modules[target].source.path, through), item.path_span)
        if target not in self.modules:
            if len(self.modules) >= MAX_FILES:
                raise Located(TooManyFiles(MAX_FILES), item.span)
            shown = str(Path(module.source.path).parent / item.path)
            try:
                source = self._read(target, shown)
            except SpecError as error:
                raise Located(error.diagnostics[0].problem, item.path_span) from None
            self.load(source, target)
        module.imports.append(self.modules[target])
        self._take(item, self.modules[target], module)

    def _target(self, item: tree.Import, path: Path) -> Path:
        if not item.path.endswith(".arch"):
            problem = NotFound(item.path, ": an import names an `.arch` file")
            raise Located(problem, item.path_span)
        try:
            return (path.parent / item.path).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise Located(NotReadable(item.path, str(error)), item.path_span) from None

    def _take(self, item: tree.Import, other: Module, module: Module) -> None:
        """Define the imported names in a module."""
        exported: dict[str, Any] = {
            name: value
            for name, value in other.globals.values.items()
            if not isinstance(value, BlockValue) or value.home is other.globals
        }
        exported |= other.models
        if item.names is None:
            known = module.globals.values | module.models | module.imported_models
            for name, value in exported.items():
                if known.get(name, value) is not value:
                    raise _duplicate("the imported name", name, item.span, module.places[name])
                module.places.setdefault(name, item.span)
        for wanted in item.names or ():
            if wanted.name not in exported and not other.is_broken:
                helps = did_you_mean(wanted.name, exported, wanted.span)
                raise Located(UnknownName(wanted.name), wanted.span, label=f"not in {other.source.path}", helps=helps)
            exported.setdefault(wanted.name, UNKNOWN)
            definition = other.definitions.get(wanted.name) or Definition(wanted.name, "value", wanted.span)
            self._claim(wanted, module, definition, "the imported name")
        for name in exported if item.names is None else [one.name for one in item.names]:
            names = module.imported_models if isinstance(exported[name], ModelValue) else module.globals.values
            names[name] = exported[name]
            if name in other.definitions:
                module.definitions.setdefault(name, other.definitions[name])


def load(source: Source, path: Path | None = None, read: Reader = read) -> tuple[Module, list[Diagnostic]]:
    """A source with all it imports, as far as it is known, and the errors of syntax, imports and definitions.

    Imports are found relative to `path`, and read with `read`.
    """
    loader = Loader(read)
    module = loader.load(source, (path or Path(source.path)).absolute())
    module.is_broken = bool(loader.diagnostics)
    return module, loader.diagnostics


def load_module(source: Source, path: Path | None = None, read: Reader = read) -> Module:
    """A source with all it imports; arguments as those of `load`.

    Raises:
        SpecError: with all errors of syntax, imports and definitions.
    """
    module, errors = load(source, path, read)
    if errors:
        raise SpecError(errors)
    return module


def _duplicate(what: str, name: str, span: Span, first: Span) -> Located:
    return Located(DuplicateName(what, name), span, notes=(Note("first defined here", first),))


def keyword_of(item: tree.TrainDef) -> Span:
    """The word `train` of a recipe."""
    return Span(item.span.source, item.span.start, item.span.start + len("train"))
