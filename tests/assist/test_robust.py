"""Every question is answered at every place, also of texts that somebody is in the middle of writing."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from archdsl.assist import completion, fixes, hints, outline, tokens
from archdsl.assist.hover import hover
from archdsl.assist.workspace import Workspace
from archdsl.diagnostics import SpecError
from archdsl.zoo import specs_folder

SPECS = sorted(specs_folder().glob("*.arch"))
QUICK = {"lenet", "unet", "siamese", "hrnet"}


def ask_everything(text: str, path: Path, step: int) -> None:
    """Ask all questions of a file, at every `step`-th character."""
    workspace = Workspace()
    workspace.open(path, text)
    analysis = workspace.analysis(path)
    found = analysis.diagnostics()
    list(fixes.fixes(found))
    if not any(one.severity == "error" for one in found):
        assert all(hint.text for hint in hints.shape_hints(analysis, params=True))
    with suppress(SpecError):  # a text that cannot be parsed is not formatted
        fixes.formatted(analysis)
        list(fixes.formatted_lines(analysis))
    list(hints.shape_hints(analysis))
    list(hints.argument_hints(analysis))
    outline.symbols(analysis)
    outline.folds(analysis)
    list(outline.lenses(analysis))
    ends = [token.start + token.length for token in tokens.tokens(analysis)]
    assert ends == sorted(ends)
    for offset in range(0, len(text) + 1, step):
        hover(analysis, offset)
        completion.completions(analysis, offset)
        completion.signature(analysis, offset)
        analysis.definition_at(offset)
        analysis.imported_at(offset)


def torn(text: str, chance: random.Random) -> str:
    """The text with a stretch taken out, or cut off, or with a sign too many."""
    start = chance.randrange(len(text))
    end = min(len(text), start + chance.choice((1, 5, 40)))
    return chance.choice(
        (text[:start] + text[end:], text[:end], text[:start] + chance.choice("(){}=,;:->[]") + text[start:])
    )


@pytest.mark.parametrize(
    "path",
    [path if path.stem in QUICK else pytest.param(path, marks=pytest.mark.slow) for path in SPECS],
    ids=lambda path: path.stem,
)
def test_a_spec_and_torn_ones(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    ask_everything(text, path, 211)
    chance = random.Random(path.stem)
    for _ in range(8):
        ask_everything(torn(text, chance), path, 499)
