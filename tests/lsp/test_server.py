"""The language server, asked by a client in another process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

import archdsl
from archdsl.zoo import specs_folder

#: A LanguageClient of pytest-lsp. Its answers have types that are unions of all that a server may send.
Client = Any

SPEC = """\
# Größe: 1x28x28 → 10
block unit(n, stride = 1) {
  conv(n, 3, stride=stride, padding=1)
  relu
}

model small(classes = 10, width = 8) {
  input(1x28x28)
  stem: unit(width)
  unit(2 * width, stride=2) -> half
  maxpool(2)
  flatten
  fc: linear(classes)
}
"""
MISTAKE = SPEC.replace("maxpool(2)", "maxpol(2)")


def start(client: Client, path: Path, text: str) -> str:
    """Open a file; returns its URI."""
    uri = path.as_uri()
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "arch", 1, text)))
    return uri


async def diagnostics(client: Client, uri: str) -> list[types.Diagnostic]:
    """What is published next about a file."""
    while True:
        await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        if uri in client.diagnostics:
            return list(client.diagnostics[uri])


def change(client: Client, uri: str, text: str, version: int = 2) -> None:
    """Replace the text of a file."""
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(version=version, uri=uri),
            [types.TextDocumentContentChangeWholeDocument(text)],
        )
    )


def place(text: str, words: str, characters: int = 0) -> types.Position:
    """The position of words in a text, in UTF-8 as the client asks for."""
    before = text[: text.index(words) + characters]
    return types.Position(before.count("\n"), len(before.rpartition("\n")[2].encode()))


@pytest.mark.asyncio
async def test_a_mistake_is_shown_and_fixed(client: Client, tmp_path: Path) -> None:
    uri = start(client, tmp_path / "small.arch", MISTAKE)
    (found,) = await diagnostics(client, uri)
    assert (found.code, found.severity) == ("E201", types.DiagnosticSeverity.Error)
    assert found.range == types.Range(place(MISTAKE, "maxpol"), place(MISTAKE, "maxpol", len("maxpol")))
    asked = types.CodeActionParams(types.TextDocumentIdentifier(uri), found.range, types.CodeActionContext([found]))
    (action,) = await client.text_document_code_action_async(asked)
    assert list(action.edit.changes[uri]) == [types.TextEdit(found.range, "maxpool")]
    change(client, uri, SPEC)
    (left,) = await diagnostics(client, uri)
    assert (left.code, left.severity) == ("W001", types.DiagnosticSeverity.Warning)


@pytest.mark.asyncio
async def test_hints_are_the_shapes_of_the_network(client: Client, tmp_path: Path) -> None:
    uri = start(client, tmp_path / "small.arch", SPEC)
    whole = types.Range(types.Position(0, 0), types.Position(100, 0))
    hints = await client.text_document_inlay_hint_async(types.InlayHintParams(types.TextDocumentIdentifier(uri), whole))
    found = {SPEC.splitlines()[hint.position.line].strip(): hint.label for hint in hints}
    assert found == {
        "conv(n, 3, stride=stride, padding=1)": "8..16 x 28..14 x 28..14",
        "relu": "8..16 x 28..14 x 28..14",
        "stem: unit(width)": "8x28x28",
        "unit(2 * width, stride=2) -> half": "16x14x14",
        "maxpool(2)": "16x7x7",
        "flatten": "784",
        "fc: linear(classes)": "10",
    }


@pytest.mark.asyncio
async def test_a_broken_file_keeps_its_hints(client: Client, tmp_path: Path) -> None:
    uri = start(client, tmp_path / "small.arch", MISTAKE)
    whole = types.Range(types.Position(0, 0), types.Position(100, 0))
    hints = await client.text_document_inlay_hint_async(types.InlayHintParams(types.TextDocumentIdentifier(uri), whole))
    lines = {hint.position.line for hint in hints}
    assert place(MISTAKE, "unit(2").line in lines
    assert place(MISTAKE, "maxpol").line not in lines


@pytest.mark.asyncio
async def test_hover_says_what_the_checker_knows(client: Client, tmp_path: Path) -> None:
    uri = start(client, tmp_path / "small.arch", SPEC)

    async def text(words: str) -> str:
        asked = types.HoverParams(types.TextDocumentIdentifier(uri), place(SPEC, words, 1))
        found = await client.text_document_hover_async(asked)
        assert found is not None
        return str(found.contents.value)

    pool = await text("maxpool")
    assert "16x14x14 → **16x7x7**" in pool
    assert "(14 + 0 + 0 - 1*(2 - 1) - 1) // 2 + 1 = 7" in pool.replace("1*1", "1*(2 - 1)")
    conv = await text("conv")
    assert "2 times" in conv
    assert "`stem.0.weight`" in conv
    linear = await text("linear")
    assert f"{784 * 10 + 10:,} parameters" in linear
    assert "`10` in `small`" in await text("classes = 10")


@pytest.mark.asyncio
async def test_names_are_found_and_renamed(client: Client, tmp_path: Path) -> None:
    library = tmp_path / "parts.arch"
    library.write_text("block unit(n) { conv(n, 3); relu }\n", encoding="utf-8")
    text = 'from "parts.arch" import unit\nmodel m { input(1x9x9); unit(2); unit(3) }\n'
    uri = start(client, tmp_path / "m.arch", text)
    asked = types.DefinitionParams(types.TextDocumentIdentifier(uri), place(text, "unit(2)", 1))
    (target,) = await client.text_document_definition_async(asked)
    assert target.uri == library.as_uri()
    assert target.range.start == types.Position(0, len("block "))
    renaming = types.RenameParams(
        text_document=types.TextDocumentIdentifier(uri), position=place(text, "unit(3)"), new_name="part"
    )
    edit = await client.text_document_rename_async(renaming)
    assert {one: len(edits) for one, edits in edit.changes.items()} == {uri: 3, library.as_uri(): 1}


@pytest.mark.asyncio
async def test_errors_of_imports_are_in_their_files(client: Client, tmp_path: Path) -> None:
    library = tmp_path / "parts.arch"
    library.write_text("block unit(n) { conv(n, 3; relu }\n", encoding="utf-8")
    text = 'from "parts.arch" import unit\nmodel m { input(1x9x9); unit(2) }\n'
    start(client, tmp_path / "m.arch", text)
    (found,) = await diagnostics(client, library.as_uri())
    assert found.code == "E101"
    # The library, opened and mended in the editor before it is saved, counts.
    start(client, library, "block unit(n) { conv(n, 3); relu }\n")
    while client.diagnostics[library.as_uri()]:
        await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)


@pytest.mark.asyncio
async def test_completion_knows_the_place(client: Client, tmp_path: Path) -> None:
    text = (
        SPEC.replace("  flatten\n", "  conv(\n  flatten\n")
        + "train {\n  optimizer = \n  \n  augment = [\n    \n  ]\n}\n"
    )
    uri = start(client, tmp_path / "small.arch", text)

    async def labels(words: str, characters: int) -> list[str]:
        asked = types.CompletionParams(types.TextDocumentIdentifier(uri), place(text, words, characters))
        found = await client.text_document_completion_async(asked)
        return [item.label for item in found]

    start_of_statement = await labels("  maxpool(2)", 2)
    assert {"unit", "conv", "residual", "let"} <= set(start_of_statement)
    inside = await labels("  conv(\n", len("  conv("))
    assert inside[: len("out")] == ["out_channels=", "kernel_size=", "stride="]
    assert {"width", "classes"} <= set(inside)
    optimizers = await labels("optimizer = ", len("optimizer = "))
    assert {"sgd", "adam"} <= set(optimizers)
    assert "conv" not in optimizers
    assert "hflip" in await labels("[\n    ", len("[\n    "))
    assert {"dataset", "epochs"} <= set(await labels("optimizer = \n  ", len("optimizer = \n  ")))


@pytest.mark.asyncio
async def test_the_file_as_a_list(client: Client, tmp_path: Path) -> None:
    uri = start(client, tmp_path / "small.arch", SPEC)
    file = types.TextDocumentIdentifier(uri)
    symbols = await client.text_document_document_symbol_async(types.DocumentSymbolParams(file))
    assert [(one.name, [child.name for child in one.children]) for one in symbols] == [
        ("unit", []),
        ("small", ["stem", "fc"]),
    ]
    (lens,) = await client.text_document_code_lens_async(types.CodeLensParams(file))
    assert lens.command.title.startswith(f"{archdsl.load(SPEC).params:,} parameters")
    folds = await client.text_document_folding_range_async(types.FoldingRangeParams(file))
    assert [(one.start_line, one.end_line) for one in folds] == [(1, 4), (6, 13)]
    tokens = await client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(file))
    assert len(tokens.data) % 5 == 0


@pytest.mark.asyncio
async def test_formatting_and_calls(client: Client, tmp_path: Path) -> None:
    text = SPEC.replace("  relu\n", "  relu  \n").replace("maxpool(2)", "maxpool( 2 )")
    uri = start(client, tmp_path / "small.arch", text)
    options = types.FormattingOptions(tab_size=2, insert_spaces=True)
    file = types.TextDocumentIdentifier(uri)
    (edit,) = await client.text_document_formatting_async(types.DocumentFormattingParams(file, options))
    assert edit.new_text == SPEC
    line = types.Range(place(text, "maxpool"), place(text, "maxpool"))
    (edit,) = await client.text_document_range_formatting_async(
        types.DocumentRangeFormattingParams(file, line, options)
    )
    assert edit.new_text == "  maxpool(2)\n"
    (item,) = await client.text_document_prepare_call_hierarchy_async(
        types.CallHierarchyPrepareParams(file, place(text, "unit(n", 1))
    )
    (call,) = await client.call_hierarchy_incoming_calls_async(types.CallHierarchyIncomingCallsParams(item))
    assert (call.from_.name, len(call.from_ranges)) == ("small", 2)


@pytest.mark.asyncio
async def test_every_spec_of_the_zoo_is_without_errors(client: Client) -> None:
    for name in ("lenet", "unet", "googlenet"):
        path = specs_folder() / f"{name}.arch"
        uri = start(client, path, path.read_text(encoding="utf-8"))
        while uri not in client.diagnostics:
            await asyncio.wait_for(client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS), 20)
        assert not client.diagnostics[uri]
