"""Reading specs: one file and those it imports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archdsl.diagnostics import Diagnostic, Help, Located, Note, Problem, SpecError
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
from archdsl.syntax import tree
from archdsl.syntax.parser import parse
from archdsl.text.limits import MAX_ERRORS, MAX_FILE_BYTES, MAX_FILES
from archdsl.text.source import Source, Span
from archdsl.text.stack import deep
from archdsl.text.suggest import suggestion


def read(path: Path, name: str | None = None) -> Source:
    """The text of a spec file.

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
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise fail(NotReadable(shown, getattr(error, "strerror", None) or str(error))) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise fail(NotUtf8(shown, error.start, line, data[error.start])) from None
    return Source(shown, text.replace("\r\n", "\n"))


@dataclass(eq=False)
class Module:
    """One file with what it defines; `globals` also holds what it imports from `imports`.

    places  where the file defines or imports each name
    """

    source: Source
    file: tree.File
    globals: Environment = field(default_factory=Environment)
    models: dict[str, ModelValue] = field(default_factory=dict)
    imported_models: dict[str, ModelValue] = field(default_factory=dict)
    trains: list[tree.TrainDef] = field(default_factory=list)
    imports: list[Module] = field(default_factory=list)
    places: dict[str, Span] = field(default_factory=dict)

    def with_imports(self) -> list[Module]:
        """The file itself and all that it imports, directly or not, each once."""
        found: dict[int, Module] = {}
        waiting = [self]
        while waiting:
            module = waiting.pop()
            if id(module) not in found:
                found[id(module)] = module
                waiting += module.imports
        return list(found.values())


class Loader:
    """Loads a file and its imports; the problems of all of them are collected in `diagnostics`."""

    def __init__(self) -> None:
        self.modules: dict[Path, Module] = {}
        self.diagnostics: list[Diagnostic] = []
        self._evaluator = Evaluator()
        self._open: list[Path] = []

    @property
    def texts(self) -> list[Source]:
        """The sources in the order they were opened."""
        return [module.source for module in self.modules.values()]

    @deep
    def load(self, source: Source, path: Path) -> Module:
        """A source as a module. Syntax errors are raised, all others collected."""
        module = Module(source, parse(source))
        self.modules[path] = module
        self._open.append(path)
        for item in module.file.items:
            if len(self.diagnostics) >= MAX_ERRORS:
                break
            try:
                self._define(item, module, path)
            except Unknown:
                pass
            except Located as error:
                self.report(error)
                if isinstance(error, Stop):
                    break
        self._open.pop()
        return module

    def report(self, error: Located) -> None:
        """Keep a problem at its place."""
        self.diagnostics.append(Diagnostic(error.problem, error.span, error.label, error.notes, error.helps))

    def _define(self, item: tree.TopLevel, module: Module, path: Path) -> None:
        match item:
            case tree.Import():
                self._import(item, module, path)
            case tree.BlockDef():
                if item.name.name in STATEMENTS:
                    raise Located(ReservedName(item.name.name), item.name.span)
                self._bind(item.name, BlockValue(item, module.globals), module)
            case tree.ModelDef() | tree.VariantDef():
                self._claim(item.name, module)
                module.models[item.name.name] = ModelValue(item, module.globals)
            case tree.TrainDef():
                self._require_one_recipe(item, module)
                module.trains.append(item)
            case tree.Let():
                try:
                    values = unpack(item.targets, self._evaluator.evaluate(item.value, module.globals), item.value.span)
                except (Located, Unknown):
                    module.globals.values |= {one.name: UNKNOWN for one in tree.names_of(item.targets)}
                    module.places |= {one.name: one.span for one in tree.names_of(item.targets)}
                    raise
                for name in tree.names_of(item.targets):
                    self._bind(name, values[name.name], module)

    def _bind(self, name: tree.Name, value: Any, module: Module, what: str = "the name") -> None:
        self._claim(name, module, what)
        module.globals.values[name.name] = value

    def _claim(self, name: tree.Name, module: Module, what: str = "the name") -> None:
        """Take a name of the file, where each stands for one thing: a block, a model or a value."""
        if name.name in module.places:
            raise _duplicate(what, name.name, name.span, module.places[name.name])
        module.places[name.name] = name.span

    def _require_one_recipe(self, item: tree.TrainDef, module: Module) -> None:
        """Reject a second recipe for the same model, or for all models that no other names."""
        first: dict[str, Span] = {}
        for block in module.trains:
            first |= {name.name: name.span for name in block.models} or {"": keyword_of(block)}
        for name, span in [(one.name, one.span) for one in item.models] or [("", keyword_of(item))]:
            if name in first:
                problem = RepeatedRecipe(f"model `{name}`" if name else "all models that no other names")
                raise Located(problem, span, notes=(Note("the first is here", first[name]),))
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
            try:
                shown = str(Path(module.source.path).parent / item.path)
                self.load(read(target, shown), target)
            except SpecError as error:
                first = error.diagnostics[0]
                if first.span is None:
                    raise Located(first.problem, item.path_span) from None
                self.diagnostics += error.diagnostics
                raise Unknown from None
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
        exported = {
            name: value
            for name, value in other.globals.values.items()
            if not isinstance(value, BlockValue) or value.home is other.globals
        }
        if item.names is None:
            known = module.globals.values | module.models | module.imported_models
            for name, value in (exported | other.models).items():
                if known.get(name, value) is not value:
                    raise _duplicate("the imported name", name, item.span, module.places[name])
                module.places.setdefault(name, item.span)
            module.globals.values |= exported
            module.imported_models |= other.models
            return
        for wanted in item.names:
            if wanted.name in exported:
                self._bind(wanted, exported[wanted.name], module, "the imported name")
            elif wanted.name in other.models:
                self._claim(wanted, module, "the imported name")
                module.imported_models[wanted.name] = other.models[wanted.name]
            else:
                meant = suggestion(wanted.name, [*exported, *other.models])
                helps = (Help(f"did you mean `{meant}`?", wanted.span, meant),) if meant else ()
                raise Located(UnknownName(wanted.name), wanted.span, label=f"not in {other.source.path}", helps=helps)


def load_module(source: Source, path: Path | None = None) -> Module:
    """A source with all it imports; imports are looked for beside `path`.

    Raises:
        SpecError: with all errors of syntax, imports and definitions.
    """
    loader = Loader()
    module = loader.load(source, (path or Path(source.path)).absolute())
    if loader.diagnostics:
        raise SpecError(loader.diagnostics)
    return module


def _duplicate(what: str, name: str, span: Span, first: Span) -> Located:
    return Located(DuplicateName(what, name), span, notes=(Note("the first is here", first),))


def keyword_of(item: tree.TrainDef) -> Span:
    """The word `train` of a recipe."""
    return Span(item.span.source, item.span.start, item.span.start + len("train"))
