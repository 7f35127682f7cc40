"""The server: every request is answered by `archdsl.assist`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from archdsl.assist import completion, fixes, hints, outline, tokens
from archdsl.assist.analysis import Analysis
from archdsl.assist.hover import hover
from archdsl.assist.workspace import Workspace
from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.lsp.convert import Converter
from archdsl.lsp.places import Places, path_of, uri_of
from archdsl.text.source import Span
from archdsl.version import __version__

#: Seconds without a keystroke after which all models of a file are checked, and not only one.
PAUSE = 0.25

Answer = TypeVar("Answer")
#: A span, and the analysis that it is from.
Place = tuple[Analysis, Span]


class ArchServer(LanguageServer):
    """A server with the open files of one client."""

    def __init__(self) -> None:
        super().__init__("archdsl", __version__)
        self.files = Workspace()
        #: The diagnostics that were published last: for each open file those of the files that it reads.
        self.known: dict[Path, dict[Path, list[types.Diagnostic]]] = {}
        self.waiting: dict[Path, asyncio.TimerHandle] = {}
        #: The line that was changed last, which says what model a person works on.
        self.line: dict[Path, int] = {}
        self.show_params = self.show_arguments = False

    def ask(self, uri: str, question: Callable[[Analysis], Answer], otherwise: Answer) -> Answer:
        """Ask about a file; one that cannot be read has no answers."""
        try:
            return question(self.files.analysis(path_of(uri)))
        except SpecError:
            return otherwise

    @cached_property
    def convert(self) -> Converter:
        """Between answers and messages."""
        encoding = self.workspace.position_encoding or types.PositionEncodingKind.Utf16
        return Converter(Places(types.PositionEncodingKind(encoding).value))

    @property
    def refreshes_hints(self) -> bool:
        """Whether the client takes the request to ask for hints again."""
        of_workspace = self.client_capabilities.workspace
        hints = None if of_workspace is None else of_workspace.inlay_hint
        return hints is not None and bool(hints.refresh_support)

    # Diagnostics

    def changed(self, path: Path) -> None:
        """Check the open files that read a changed one: at once as far as is quick, all models after a pause."""
        for one in self.files.paths:
            if one == path or path in self.files.analysis(one).files:
                self.check(one, quickly=True)
                self.wait(one)

    def wait(self, path: Path) -> None:
        """Check all models of a file after a pause."""
        if path in self.waiting:
            self.waiting.pop(path).cancel()
        self.waiting[path] = asyncio.get_event_loop().call_later(PAUSE, self.check_all, path)

    def check_all(self, path: Path) -> None:
        """Check all models of a file that is still open."""
        self.waiting.pop(path, None)
        if self.files.is_open(path):
            self.check(path, quickly=False)
            # Statements of blocks that only other models reach have their shapes now.
            if self.refreshes_hints:
                self.workspace_inlay_hint_refresh(None)

    def check(self, path: Path, *, quickly: bool) -> None:
        """Publish what is found in a file and those that it imports."""
        analysis = self.files.analysis(path)
        models = analysis.models
        if quickly and len(models) > 1:
            first = analysis.model_at(self._offset(analysis)) or models[0]
            found = analysis.diagnostics([first])
        else:
            found = analysis.diagnostics()
        self.publish(path, analysis, found)

    def _offset(self, analysis: Analysis) -> int:
        return self.convert.places.offset(analysis.source, types.Position(self.line.get(analysis.path, 0), 0))

    def publish(self, path: Path, analysis: Analysis, found: Sequence[Diagnostic]) -> None:
        """Send the diagnostics of a file and of those that it reads, where they have changed."""
        before = self.known.get(path, {})
        each: dict[Path, list[types.Diagnostic]] = {path: []}
        for diagnostic in found:
            span = diagnostic.span
            place = path if span is None else analysis.path_of(span.source)
            each.setdefault(place, []).append(self.convert.diagnostic(analysis, diagnostic))
        self.known[path] = each
        for place in before.keys() | each.keys():
            self.send(place)

    def forget(self, path: Path) -> None:
        """Take back the diagnostics of a file that is closed."""
        for place in self.known.pop(path, {}):
            self.send(place)

    def send(self, place: Path) -> None:
        """Send the diagnostics of one file, from all open files that read it."""
        found: list[types.Diagnostic] = []
        for each in self.known.values():
            found += [one for one in each.get(place, []) if one not in found]
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri_of(place), found))


def make_server() -> ArchServer:
    """A server that answers every request."""
    server = ArchServer()
    for register in (_documents, _names, _help, _lists, _structure):
        register(server)
    return server


def _documents(server: ArchServer) -> None:
    """Opening, changing and closing files, formatting and fixing them."""

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        path = path_of(params.text_document.uri)
        server.files.open(path, params.text_document.text)
        server.changed(path)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        path = path_of(params.text_document.uri)
        change = params.content_changes[-1]
        if isinstance(change, types.TextDocumentContentChangePartial):
            server.line[path] = change.range.start.line
        server.files.open(path, server.workspace.get_text_document(params.text_document.uri).source)
        server.changed(path)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        path = path_of(params.text_document.uri)
        server.files.close(path)
        server.forget(path)

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def saved(params: types.DidChangeWatchedFilesParams) -> None:
        for event in params.changes:
            path = path_of(event.uri)
            if not server.files.is_open(path):
                server.files.forget(path)
                server.changed(path)

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def configured(params: types.DidChangeConfigurationParams) -> None:
        settings = params.settings if isinstance(params.settings, dict) else {}
        own = settings.get("archdsl", settings)
        server.show_params = bool(own.get("parameterHints", False))
        server.show_arguments = bool(own.get("argumentHints", False))

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def formatted(params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        return server.ask(params.text_document.uri, server.convert.formatting, None)

    @server.feature(types.TEXT_DOCUMENT_RANGE_FORMATTING)
    def formatted_range(params: types.DocumentRangeFormattingParams) -> list[types.TextEdit] | None:
        lines = params.range.start.line, params.range.end.line
        return server.ask(params.text_document.uri, lambda one: server.convert.range_formatting(one, *lines), None)

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
    )
    def actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        return server.ask(params.text_document.uri, lambda one: server.convert.actions(one, params.range), [])


def _names(server: ArchServer) -> None:
    """Definitions, references and renaming."""

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(params: types.DefinitionParams) -> list[types.Location]:
        return server.ask(params.text_document.uri, lambda one: server.convert.definition(one, params.position), [])

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def references(params: types.ReferenceParams) -> list[types.Location]:
        found = server.ask(params.text_document.uri, lambda one: _spans(server, one, params.position), list[Place]())
        declared = 0 if params.context.include_declaration else 1
        return [server.convert.places.location(analysis, span) for analysis, span in found[declared:]]

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    def highlights(params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
        path = path_of(params.text_document.uri)
        found = server.ask(params.text_document.uri, lambda one: _spans(server, one, params.position), list[Place]())
        return [
            types.DocumentHighlight(server.convert.places.range(span))
            for one, span in found
            if one.path_of(span.source) == path
        ]

    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepared(params: types.PrepareRenameParams) -> types.Range | None:
        return server.ask(params.text_document.uri, lambda one: server.convert.renamable(one, params.position), None)

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def renamed(params: types.RenameParams) -> types.WorkspaceEdit | None:
        found = server.ask(params.text_document.uri, lambda one: _spans(server, one, params.position), list[Place]())
        definition = server.ask(
            params.text_document.uri,
            lambda one: one.definition_at(server.convert.places.offset(one.source, params.position)),
            None,
        )
        if definition is None:
            return None
        try:
            fixes.require_name(server.files.analysis(path_of(params.text_document.uri)), definition, params.new_name)
        except ValueError as error:
            raise JsonRpcInvalidParams(str(error)) from None
        edits: dict[str, list[types.TextEdit]] = {}
        for analysis, span in found:
            if span.text == definition.name:
                uri = uri_of(analysis.path_of(span.source))
                edits.setdefault(uri, []).append(types.TextEdit(server.convert.places.range(span), params.new_name))
        return types.WorkspaceEdit(changes=edits)


def _spans(server: ArchServer, analysis: Analysis, position: types.Position) -> list[Place]:
    """All places of the name at a position, the definition first, in every open file that sees it."""
    found = analysis.definition_at(server.convert.places.offset(analysis.source, position))
    if found is None:
        return []
    home = analysis.path_of(found.span.source), found.span.start
    places: dict[tuple[Path, int], Place] = {}
    for path in dict.fromkeys([analysis.path, *server.files.paths]):
        one = server.files.analysis(path)
        for each in one.definitions:
            if (one.path_of(each.span.source), each.span.start) == home:
                for span in (each.span, *each.references):
                    places.setdefault((one.path_of(span.source), span.start), (one, span))
    return list(places.values())


def _help(server: ArchServer) -> None:
    """What is shown while a person writes."""

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hovered(params: types.HoverParams) -> types.Hover | None:
        def answer(one: Analysis) -> types.Hover | None:
            found = hover(one, server.convert.places.offset(one.source, params.position))
            if found is None:
                return None
            return types.Hover(
                types.MarkupContent(types.MarkupKind.Markdown, found.text), server.convert.places.range(found.span)
            )

        return server.ask(params.text_document.uri, answer, None)

    @server.feature(
        types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["(", ",", "=", ":", "{", ">"])
    )
    def completed(params: types.CompletionParams) -> list[types.CompletionItem]:
        def answer(one: Analysis) -> list[types.CompletionItem]:
            return list(
                map(
                    server.convert.completion,
                    completion.completions(one, server.convert.places.offset(one.source, params.position)),
                )
            )

        return server.ask(params.text_document.uri, answer, [])

    @server.feature(types.TEXT_DOCUMENT_SIGNATURE_HELP, types.SignatureHelpOptions(trigger_characters=["(", ","]))
    def signature(params: types.SignatureHelpParams) -> types.SignatureHelp | None:
        def answer(one: Analysis) -> types.SignatureHelp | None:
            return server.convert.signature(
                completion.signature(one, server.convert.places.offset(one.source, params.position))
            )

        return server.ask(params.text_document.uri, answer, None)

    @server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
    def hinted(params: types.InlayHintParams) -> list[types.InlayHint]:
        def answer(one: Analysis) -> list[types.InlayHint]:
            found = list(hints.shape_hints(one, params=server.show_params))
            found += hints.argument_hints(one) if server.show_arguments else ()
            first, last = (
                server.convert.places.offset(one.source, place) for place in (params.range.start, params.range.end)
            )
            return [server.convert.hint(one, hint) for hint in found if first <= hint.offset <= last]

        return server.ask(params.text_document.uri, answer, [])


def _lists(server: ArchServer) -> None:
    """What is listed for a whole file."""

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def listed(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        return server.ask(
            params.text_document.uri, lambda one: list(map(server.convert.symbol, outline.symbols(one))), []
        )

    @server.feature(types.TEXT_DOCUMENT_FOLDING_RANGE)
    def folded(params: types.FoldingRangeParams) -> list[types.FoldingRange]:
        def answer(one: Analysis) -> list[types.FoldingRange]:
            return [types.FoldingRange(first - 1, last - 1) for first, last in outline.folds(one)]

        return server.ask(params.text_document.uri, answer, [])

    @server.feature(types.TEXT_DOCUMENT_CODE_LENS)
    def lensed(params: types.CodeLensParams) -> list[types.CodeLens]:
        def answer(one: Analysis) -> list[types.CodeLens]:
            return [
                types.CodeLens(server.convert.places.range(lens.span), types.Command(lens.text, ""))
                for lens in outline.lenses(one)
            ]

        return server.ask(params.text_document.uri, answer, [])

    legend = types.SemanticTokensLegend(list(tokens.TYPES), list(tokens.MODIFIERS))

    @server.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, legend)
    def coloured(params: types.SemanticTokensParams) -> types.SemanticTokens:
        data = server.ask(params.text_document.uri, server.convert.semantic_tokens, list[int]())
        return types.SemanticTokens(data)


def _structure(server: ArchServer) -> None:
    """The call hierarchy of blocks."""

    @server.feature(types.TEXT_DOCUMENT_PREPARE_CALL_HIERARCHY)
    def prepared(params: types.CallHierarchyPrepareParams) -> list[types.CallHierarchyItem] | None:
        return server.ask(params.text_document.uri, lambda one: server.convert.callable_at(one, params.position), None)

    @server.feature(types.CALL_HIERARCHY_INCOMING_CALLS)
    def incoming(params: types.CallHierarchyIncomingCallsParams) -> list[types.CallHierarchyIncomingCall]:
        def answer(one: Analysis) -> list[types.CallHierarchyIncomingCall]:
            calls = outline.incoming(one, params.item.name)
            return [
                types.CallHierarchyIncomingCall(
                    server.convert.call_item(one, call.other), list(map(server.convert.places.range, call.spans))
                )
                for call in calls
            ]

        return server.ask(params.item.uri, answer, [])

    @server.feature(types.CALL_HIERARCHY_OUTGOING_CALLS)
    def outgoing(params: types.CallHierarchyOutgoingCallsParams) -> list[types.CallHierarchyOutgoingCall]:
        def answer(one: Analysis) -> list[types.CallHierarchyOutgoingCall]:
            calls = outline.outgoing(one, params.item.name)
            return [
                types.CallHierarchyOutgoingCall(
                    server.convert.call_item(one, call.other), list(map(server.convert.places.range, call.spans))
                )
                for call in calls
            ]

        return server.ask(params.item.uri, answer, [])


def serve_stdio() -> None:
    """Serve one client over standard input and output, which nothing else writes to meanwhile."""
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as answers, redirect_stdout(sys.stderr):
        make_server().start_io(requests, answers)


def serve_websocket(host: str, port: int) -> None:
    """Serve over a WebSocket."""
    make_server().start_ws(host, port)
