"""Between the answers of `archdsl.assist` and the types of the protocol."""

from __future__ import annotations

from lsprotocol import types

from archdsl.assist import completion as assist
from archdsl.assist import fixes, outline, tokens
from archdsl.assist.analysis import Analysis
from archdsl.assist.hints import Hint
from archdsl.diagnostics import Diagnostic
from archdsl.lsp.places import Places, uri_of
from archdsl.text.source import Span

SEVERITIES = {"error": types.DiagnosticSeverity.Error, "warning": types.DiagnosticSeverity.Warning}
UNUSED = "W001"
COMPLETIONS = {
    "layer": types.CompletionItemKind.Class,
    "block": types.CompletionItemKind.Function,
    "keyword": types.CompletionItemKind.Keyword,
    "combinator": types.CompletionItemKind.Keyword,
    "argument": types.CompletionItemKind.Field,
    "name": types.CompletionItemKind.Variable,
    "value": types.CompletionItemKind.Value,
    "function": types.CompletionItemKind.Function,
    "entry": types.CompletionItemKind.Property,
}
SYMBOLS = {
    "model": types.SymbolKind.Class,
    "block": types.SymbolKind.Function,
    "value": types.SymbolKind.Variable,
    "recipe": types.SymbolKind.Object,
    "part": types.SymbolKind.Field,
}


class Converter:
    """The answers about files as the protocol has them, in the positions of a client."""

    def __init__(self, places: Places) -> None:
        self.places = places

    def diagnostic(self, analysis: Analysis, found: Diagnostic) -> types.Diagnostic:
        """A diagnostic with its notes and calls as related places; its suggestions stand below the message."""
        span = found.span or Span(analysis.source, 0, 0)
        lines = [found.message, *(f"help: {help.message}" for help in found.suggestions)]
        lines += [f"note: {note.message}" for note in found.notes if note.span is None]
        related = [
            types.DiagnosticRelatedInformation(self.places.location(analysis, note.span), note.message)
            for note in found.notes
            if note.span is not None
        ]
        related += [
            types.DiagnosticRelatedInformation(
                self.places.location(analysis, frame.span), f"in {frame.name}, called here"
            )
            for frame in found.chain
        ]
        return types.Diagnostic(
            range=self.places.range(span),
            message="\n".join(lines),
            severity=SEVERITIES[found.severity],
            code=found.code,
            source="archdsl",
            related_information=related or None,
            tags=[types.DiagnosticTag.Unnecessary] if found.code == UNUSED else None,
        )

    def edit(self, found: fixes.Edit) -> types.TextEdit:
        """An edit of a source."""
        return types.TextEdit(self.places.range(found.span), found.text)

    def formatting(self, analysis: Analysis) -> list[types.TextEdit]:
        """The edits of the formatter."""
        return list(map(self.edit, fixes.formatted(analysis)))

    def range_formatting(self, analysis: Analysis, first: int, last: int) -> list[types.TextEdit]:
        """The edits of the formatter to lines from `first` to `last`, counted from 0."""
        return [self.edit(one) for one in fixes.formatted_lines(analysis) if first < one.span.line <= last + 1]

    def actions(self, analysis: Analysis, wanted: types.Range) -> list[types.CodeAction]:
        """The suggestions of the diagnostics in a range that are edits."""
        found = []
        for fix in fixes.fixes(analysis.latest):
            shown = self.diagnostic(analysis, fix.diagnostic)
            if fix.diagnostic.span is None or fix.diagnostic.span.source is not analysis.source:
                continue
            if shown.range.start.line > wanted.end.line or shown.range.end.line < wanted.start.line:
                continue
            changes = {uri_of(analysis.path_of(fix.edit.span.source)): [self.edit(fix.edit)]}
            found.append(
                types.CodeAction(
                    title=fix.title,
                    kind=types.CodeActionKind.QuickFix,
                    diagnostics=[shown],
                    edit=types.WorkspaceEdit(changes=changes),
                )
            )
        return found

    def definition(self, analysis: Analysis, position: types.Position) -> list[types.Location]:
        """Where the name at a position is defined, or the file that an import names."""
        offset = self.places.offset(analysis.source, position)
        target = analysis.imported_at(offset)
        if target is not None:
            start = types.Position(0, 0)
            return [types.Location(uri_of(target), types.Range(start, start))]
        found = analysis.definition_at(offset)
        return [] if found is None else [self.places.location(analysis, found.span)]

    def renamable(self, analysis: Analysis, position: types.Position) -> types.Range | None:
        """The name at a position, if it is one of the spec."""
        offset = self.places.offset(analysis.source, position)
        found = analysis.definition_at(offset)
        span = None if found is None else analysis.span_at(found, offset)
        return None if found is None or span is None or span.text != found.name else self.places.range(span)

    def completion(self, found: assist.Completion) -> types.CompletionItem:
        """One completion."""
        text = types.MarkupContent(types.MarkupKind.Markdown, found.documentation) if found.documentation else None
        return types.CompletionItem(
            label=found.text,
            kind=COMPLETIONS[found.kind],
            detail=found.detail or None,
            documentation=text,
            sort_text=f"{list(COMPLETIONS).index(found.kind):02}{found.text}"
            if found.kind != "argument"
            else found.text,
        )

    def signature(self, found: tuple[str, list[str], int] | None) -> types.SignatureHelp | None:
        """The call that is written."""
        if found is None:
            return None
        label, texts, active = found
        information = types.SignatureInformation(label, parameters=[types.ParameterInformation(text) for text in texts])
        return types.SignatureHelp([information], active_signature=0, active_parameter=active)

    def hint(self, analysis: Analysis, found: Hint) -> types.InlayHint:
        """A hint at the end of a line, or before an argument."""
        return types.InlayHint(
            position=self.places.position(analysis.source, found.offset),
            label=found.text,
            kind=types.InlayHintKind.Parameter if found.before else types.InlayHintKind.Type,
            tooltip=found.tooltip or None,
            padding_left=not found.before,
        )

    def symbol(self, found: outline.Symbol) -> types.DocumentSymbol:
        """A definition with its parts."""
        return types.DocumentSymbol(
            name=found.name,
            kind=SYMBOLS[found.kind],
            range=self.places.range(found.span),
            selection_range=self.places.range(found.name_span),
            detail=found.detail or None,
            children=list(map(self.symbol, found.children)),
        )

    def semantic_tokens(self, analysis: Analysis) -> list[int]:
        """The tokens as five numbers each, relative to the one before."""
        data: list[int] = []
        line = character = 0
        for token in tokens.tokens(analysis):
            place = self.places.position(analysis.source, token.start)
            down = place.line - line
            across = place.character - (character if down == 0 else 0)
            data += [down, across, token.length, token.type, token.modifiers]
            line, character = place.line, place.character
        return data

    def callable_at(self, analysis: Analysis, position: types.Position) -> list[types.CallHierarchyItem] | None:
        """The block or model that the name at a position means, if it is one of this file."""
        found = analysis.definition_at(self.places.offset(analysis.source, position))
        named = [one for one in outline.symbols(analysis) if found is not None and one.name == found.name]
        return [self.call_item(analysis, one) for one in named if one.kind in {"block", "model"}] or None

    def call_item(self, analysis: Analysis, found: outline.Symbol) -> types.CallHierarchyItem:
        """A block or model in a call hierarchy."""
        return types.CallHierarchyItem(
            name=found.name,
            kind=SYMBOLS[found.kind],
            uri=uri_of(analysis.path),
            range=self.places.range(found.span),
            selection_range=self.places.range(found.name_span),
        )
