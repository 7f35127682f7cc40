"""One model with all that it is made of, as a text that needs no other file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from archdsl.elaborate.environment import BlockValue
from archdsl.elaborate.modules import Module, read
from archdsl.syntax import tree
from archdsl.syntax.parser import parse
from archdsl.text.record import Record
from archdsl.text.source import Span

Edit = tuple[Span, str]


@dataclass(eq=False)
class _Definition:
    """A definition of a file with the comments above and beside it. `stem` is the file's name without `.arch`."""

    item: tree.TopLevel
    comment: str
    text: str
    home: _File

    @property
    def names(self) -> list[tree.Name]:
        """What it defines, where its name is written."""
        match self.item:
            case tree.BlockDef() | tree.ModelDef() | tree.VariantDef():
                return [self.item.name]
            case tree.Let():
                return tree.names_of(self.item.targets)
        return []

    @property
    def references(self) -> list[tuple[str, Span]]:
        """The names of other definitions in it, with their places. Its own parameters and values hide others."""
        return _References(self.item).found


@dataclass(eq=False)
class _File:
    """A file with its definitions, and the files that it imports with the names it takes (None: all)."""

    stem: str
    definitions: list[_Definition] = field(default_factory=list)
    imports: list[tuple[_File, set[str] | None]] = field(default_factory=list)
    header: str = ""

    def find(self, name: str) -> _Definition | None:
        """What a name means in this file. Files that are imported on several ways are looked at once."""
        seen: set[_File] = set()
        waiting = [self]
        while waiting:
            file = waiting.pop()
            if file in seen:
                continue
            seen.add(file)
            if name in file.by_name:
                return file.by_name[name]
            waiting += [other for other, names in reversed(file.imports) if names is None or name in names]
        return None

    @cached_property
    def by_name(self) -> dict[str, _Definition]:
        """The definitions by the names they define."""
        found: dict[str, _Definition] = {}
        for definition in self.definitions:
            for one in definition.names:
                found.setdefault(one.name, definition)
        return found


def standalone(
    module: Module, model: str, name: str, blocks: Sequence[BlockValue] = ()
) -> tuple[str, dict[BlockValue, str]]:
    """A text with `model` under the new `name` and what it refers to, from this file or those it imports.

    It also has the `blocks`, which settings give to the model, and comes with their names in it.

    Comments stay with what they stand above, the first of the file at the top; the recipe that holds for the
    model comes last. A definition whose name another file uses too is named after its file as well.

    Raises:
        KeyError: `name` is that of a definition which the model is made of.
    """
    files = _Files()
    main = files.load(module.file, Path(module.source.path).absolute())
    own = main.find(model)
    assert own is not None
    given = {block: files.find(block) for block in blocks}
    recipes = _recipe(main, model)
    kept = _needed(own, [*given.values(), *recipes], files.seen.values())
    names = _new_names(kept, own, main, name)
    texts = [definition.comment + _rewritten(definition, names) for definition in kept if definition not in recipes]
    texts += [definition.comment + _for_all(_rewritten(definition, names)) for definition in recipes]
    text = "\n\n".join([*filter(None, [main.header]), *texts]) + "\n"
    return text, {block: names[definition, block.name] for block, definition in given.items()}


class _Files:
    """Files by their paths, those first that others need."""

    def __init__(self) -> None:
        self.seen: dict[Path, _File] = {}

    def load(self, parsed: tree.File, path: Path) -> _File:
        """A file with all that it imports."""
        file = _File(path.stem)
        for item in parsed.items:
            if isinstance(item, tree.Import):
                target = (path.parent / item.path).resolve()
                other = self.seen.get(target) or self.load(parse(read(target)), target)
                file.imports.append((other, None if item.names is None else {one.name for one in item.names}))
        file.header = _split(parsed, file)
        self.seen[path.resolve()] = file
        return file

    def find(self, block: BlockValue) -> _Definition:
        """The definition of a block, wherever it was loaded from."""
        span = block.definition.span
        [file] = [file for path, file in self.seen.items() if path == Path(span.source.path).resolve()]
        return next(one for one in file.definitions if one.item.span.start == span.start)


def _split(parsed: tree.File, file: _File) -> str:
    """Fill in the definitions with their comments; returns the comment at the beginning, up to an empty line."""
    text, end, header = parsed.source.text, 0, ""
    starts = [*(item.span.start for item in parsed.items), len(text)]
    for number, item in enumerate(parsed.items):
        above = text[end : item.span.start]
        if number == 0:
            header, _, above = above.partition("\n\n") if "\n\n" in above else (above, "", "")
        line_end = text.find("\n", item.span.end, starts[number + 1])
        end = starts[number + 1] if line_end < 0 else line_end
        lines = above.rpartition("\n\n")[2].splitlines()
        comment = "".join(f"{line.strip()}\n" for line in lines if line.lstrip().startswith("#"))
        file.definitions.append(_Definition(item, comment, text[item.span.start : end].rstrip("; \n"), file))
    return header.strip()


def _needed(model: _Definition, given: Iterable[_Definition], files: Iterable[_File]) -> list[_Definition]:
    """What a model and what is `given` to it refer to, directly or not, in the order of the files; itself last."""
    found, waiting = set[_Definition](), [model, *given]
    while waiting:
        definition = waiting.pop()
        found.add(definition)
        others = {other for word in _words(definition) if (other := definition.home.find(word))}
        waiting += others - found
    ordered = [definition for file in files for definition in file.definitions if definition in found]
    return [*(definition for definition in ordered if definition is not model), model]


def _words(definition: _Definition) -> set[str]:
    """What a definition may refer to: every word counts, as more does no harm, but not the models of a recipe."""
    if isinstance(definition.item, tree.TrainDef):
        return {name for name, _ in definition.references}
    return set(re.findall(r"[^\W\d]\w*", definition.item.span.text))


#: New names by definition and old name.
_Names = Mapping[tuple[_Definition, str], str]


def _new_names(kept: Sequence[_Definition], model: _Definition, main: _File, name: str) -> _Names:
    """The names in the new text: those of the file itself stay, but for the model's."""
    names = {(model, model.names[0].name): name}
    taken, words = {name}, {word for definition in kept for word in _words(definition)}
    for definition in sorted(kept, key=lambda one: one.home is not main):
        for old in (one.name for one in definition.names if definition is not model):
            if old == name:
                raise KeyError(name)
            new = old
            while new in taken or (new != old and new in words):
                new = f"{definition.home.stem}_{new}"
            names[definition, old] = new
            taken.add(new)
    return names


def _rewritten(definition: _Definition, names: _Names) -> str:
    """The text of a definition, with new names where it is defined and where it refers to others."""
    edits: list[Edit] = [(one.span, names[definition, one.name]) for one in definition.names]
    for name, span in definition.references:
        other = definition.home.find(name)
        if other is not None and (other, name) in names:
            edits.append((span, names[other, name]))
    text, start = definition.text, definition.item.span.start
    for span, new in sorted(edits, key=lambda edit: -edit[0].start):
        text = text[: span.start - start] + new + text[span.end - start :]
    return text


def _recipe(main: _File, model: str) -> list[_Definition]:
    """The recipe that holds for a model, if there is one: that which names it before one for all."""
    recipes = [(one, one.item.models) for one in main.definitions if isinstance(one.item, tree.TrainDef)]
    naming = [one for one, models in recipes if model in [other.name for other in models]]
    return (naming or [one for one, models in recipes if not models])[:1]


def _for_all(recipe: str) -> str:
    return re.sub(r"^train\b[^{]*", "train ", recipe)


class _References:
    """The names in a definition that it does not bind itself where they stand, as `let`, loops and taps do."""

    def __init__(self, item: tree.TopLevel) -> None:
        self.found: list[tuple[str, Span]] = []
        #: The names of the bodies around a place; first those of the whole block: parameters and taps.
        self.bodies: list[set[str]] = [set()]
        match item:
            case tree.BlockDef() | tree.ModelDef():
                self._params(item.params)
                self._body(item.body)
            case tree.VariantDef():
                self._params(item.params)
                self._expression(item.base)
            case tree.TrainDef():
                self._expression([entry.value for entry in item.entries])
            case tree.Let():
                self._expression(item.value)

    def _params(self, params: Sequence[tree.Param]) -> None:
        for param in params:
            self._expression(param.default)
            self.bodies[0].add(param.name)

    def _is_bound(self, name: str) -> bool:
        return any(name in names for names in self.bodies)

    def _body(self, body: tree.Body, names: Iterable[str] = ()) -> None:
        self.bodies.append(set(names))
        for statement in body.statements:
            self._statement(statement)
        self.bodies.pop()

    def _statement(self, statement: tree.Statement) -> None:
        match statement:
            case tree.Item():
                self._item(statement)
            case tree.Let():
                self._expression(statement.value)
                names = {one.name for one in tree.names_of(statement.targets)}
                self.bodies[-1] |= {name for name in names if not self._is_bound(name)}
            case tree.Setting():
                self._expression(statement.value)
            case tree.For():
                self._expression(statement.values)
                self._body(statement.body, (one.name for one in tree.names_of(statement.targets)))
            case tree.If():
                self._expression(statement.test)
                self._body(statement.body)
                if isinstance(statement.otherwise, tree.If):
                    self._statement(statement.otherwise)
                elif statement.otherwise is not None:
                    self._body(statement.otherwise)

    def _item(self, item: tree.Item) -> None:
        self._expression(item.label)
        match item.form:
            case tree.LayerCall(name="reuse"):
                pass  # it names a label
            case tree.LayerCall():
                self._name(item.form.name, item.form.name_span)
                self._expression(item.form.arguments)
            case tree.ResidualForm():
                self._expression(item.form.when)
                self._body(item.form.body)
                if item.form.shortcut is not None:
                    self._body(item.form.shortcut)
            case tree.CombinatorForm():
                self._expression(item.form.arguments)
                self._body(item.form.body)
            case tree.GroupForm():
                self._body(item.form.body)
        if item.tap is not None:
            self._expression(item.tap.index)
            if not self._is_bound(item.tap.name):
                self.bodies[0].add(item.tap.name)

    def _expression(self, expression: object) -> None:
        """The names in an expression, however deep it is; those of a list made by a loop hold inside it."""
        waiting: list[tuple[object, frozenset[str]]] = [(expression, frozenset())]
        while waiting:
            node, own = waiting.pop()
            match node:
                case tree.Name() if node.name not in own:
                    self._name(node.name, node.span)
                case tree.Comprehension():
                    inner = own | {one.name for one in tree.names_of(node.targets)}
                    waiting += [(node.values, own), (node.element, inner), (node.test, inner)]
                case tree.Call():
                    self._name(node.name, node.name_span)
                    waiting.append((node.arguments, own))
                case list():
                    waiting += [(each, own) for each in node]
                case Record():
                    waiting += [(each, own) for each in vars(node).values()]

    def _name(self, name: str, span: Span) -> None:
        if not self._is_bound(name):
            self.found.append((name, span))
