"""One model with all that it is made of, as a source that needs no other file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from archdsl.elaborate.definitions import check_definitions
from archdsl.elaborate.environment import BlockValue
from archdsl.elaborate.modules import Module
from archdsl.elaborate.references import Definition
from archdsl.syntax import tree
from archdsl.text.source import Span


@dataclass(eq=False)
class _Part:
    """A definition or recipe of a file with the comments above it and on its lines.

    `references` are the places in it where names of definitions stand.
    """

    item: tree.TopLevel
    comment: str
    text: str
    home: Module
    references: list[tuple[Definition, Span]] = field(default_factory=list)

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
    def definitions(self) -> list[Definition]:
        return [self.home.definitions[one.name] for one in self.names]

    @property
    def needs(self) -> list[Definition]:
        """The definitions that it may refer to, in strings too: every word counts, but not the models of a recipe."""
        if isinstance(self.item, tree.TrainDef):
            values = [entry.value.span for entry in self.item.entries]
            return [one for one, span in self.references if any(span.is_inside(value) for value in values)]
        known = self.home.definitions
        return [known[word] for word in sorted(_words(self.item.span.text)) if word in known]


def standalone(
    module: Module, model: str, name: str, blocks: Sequence[BlockValue] = ()
) -> tuple[str, dict[BlockValue, str]]:
    """A source with `model` under the new `name` and what it refers to, from this file or those it imports.

    It also has the `blocks`, which settings give to the model, and is returned with their names in it.

    Comments stay with what they stand above, the first of the file at the top; the recipe that holds for the
    model comes last. A definition whose name another file uses too is named after its file as well.

    Raises:
        KeyError: `name` is that of a definition which the model is made of.
    """
    parts: list[_Part] = []
    header = ""
    for each in _in_order(module, {}):
        header, found = _split(each)
        parts += found
    owners = {definition: part for part in parts for definition in part.definitions}
    _find_references(module, parts, owners)
    own = owners[module.definitions[model]]
    given = {block: next(part for part in parts if part.item is block.definition) for block in blocks}
    recipes = _recipe([part for part in parts if part.home is module], model)
    kept = _needed(own, [*given.values(), *recipes], parts, owners)
    names = _new_names(kept, own, module, name)
    texts = [part.comment + _rewritten(part, names) for part in kept if part not in recipes]
    texts += [part.comment + re.sub(r"^train\b[^{]*", "train ", _rewritten(part, names)) for part in recipes]
    text = "\n\n".join([*filter(None, [header]), *texts]) + "\n"
    return text, {block: names[part.definitions[0]] for block, part in given.items()}


def _in_order(module: Module, found: dict[Module, None]) -> dict[Module, None]:
    """A file after all that it imports."""
    for other in module.imports:
        if other not in found:
            _in_order(other, found)
    found[module] = None
    return found


def _split(module: Module) -> tuple[str, list[_Part]]:
    """The comment at the beginning of a file, up to an empty line, and its parts."""
    items, text, end, header = module.file.items, module.source.text, 0, ""
    parts = []
    starts = [*(item.span.start for item in items), len(text)]
    for number, item in enumerate(items):
        above = text[end : item.span.start]
        if number == 0:
            header, _, above = above.partition("\n\n") if "\n\n" in above else (above, "", "")
        line_end = text.find("\n", item.span.end, starts[number + 1])
        end = starts[number + 1] if line_end < 0 else line_end
        lines = above.rpartition("\n\n")[2].splitlines()
        comment = "".join(f"{line.strip()}\n" for line in lines if line.lstrip().startswith("#"))
        parts.append(_Part(item, comment, text[item.span.start : end].rstrip("; \n"), module))
    return header.strip(), parts


def _find_references(module: Module, parts: Sequence[_Part], owners: Mapping[Definition, _Part]) -> None:
    """Fill in the references of the parts."""
    check_definitions(module.with_imports())
    for definition in owners:
        for span in definition.references:
            part = next(one for one in parts if span.is_inside(one.item.span))
            part.references.append((definition, span))


def _needed(
    model: _Part, given: Iterable[_Part], parts: Sequence[_Part], owners: Mapping[Definition, _Part]
) -> list[_Part]:
    """What a model and what is `given` to it refer to, directly or not, in the order of the files; itself last."""
    found, waiting = set[_Part](), [model, *given]
    while waiting:
        part = waiting.pop()
        found.add(part)
        waiting += {owners[one] for one in part.needs} - found
    return [*(part for part in parts if part in found and part is not model), model]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d]\w*", text))


def _new_names(kept: Sequence[_Part], model: _Part, main: Module, name: str) -> dict[Definition, str]:
    """The names in the new source: those of the file itself stay, but for the model's."""
    names = {model.definitions[0]: name}
    taken, words = {name}, {word for part in kept for word in _words(part.item.span.text)}
    for part in sorted(kept, key=lambda one: one.home is not main):
        for definition in part.definitions if part is not model else ():
            if definition.name == name:
                raise KeyError(name)
            new = definition.name
            while new in taken or (new != definition.name and new in words):
                new = f"{part.home.stem}_{new}"
            names[definition] = new
            taken.add(new)
    return names


def _rewritten(part: _Part, names: Mapping[Definition, str]) -> str:
    """The source of a part, with new names where it is defined and where it refers to others."""
    edits = [(one.span, names[definition]) for one, definition in zip(part.names, part.definitions, strict=True)]
    edits += [(span, names[definition]) for definition, span in part.references if definition in names]
    text, start = part.text, part.item.span.start
    for span, new in sorted(edits, key=lambda edit: -edit[0].start):
        text = text[: span.start - start] + new + text[span.end - start :]
    return text


def _recipe(parts: Sequence[_Part], model: str) -> list[_Part]:
    """The recipe that holds for a model, if there is one: that which names it before one for all."""
    recipes = [(one, [name.name for name in one.item.models]) for one in parts if isinstance(one.item, tree.TrainDef)]
    naming = [one for one, models in recipes if model in models]
    return (naming or [one for one, models in recipes if not models])[:1]
