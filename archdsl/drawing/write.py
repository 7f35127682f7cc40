"""Writing a drawing to a file, in the form that its extension says."""

from __future__ import annotations

from pathlib import Path

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.diagnostics.codes.commands import MissingPackage
from archdsl.diagnostics.codes.drawings import UnknownPictureFormat
from archdsl.drawing.scene import Scene
from archdsl.drawing.svg import svg_text
from archdsl.drawing.themes import Theme, plain
from archdsl.drawing.tikz import tikz_text
from archdsl.files.write import write_atomically, write_text

EXTENSIONS = (".svg", ".png", ".pdf", ".tex")


def write_drawing(scene: Scene, path: Path, theme: Theme = "auto") -> None:
    """Write a drawing as SVG, PNG, PDF or TikZ, atomically.

    The theme `auto` follows the reader in SVG, and is light in the others.

    Raises SpecError (E855) for another extension, (E701) where matplotlib is not installed, which PNG and PDF need,
    (E708) where the file cannot be written.
    """
    require_extension(path)
    match path.suffix.lower():
        case ".svg":
            write_text(path, svg_text(scene, theme))
        case ".tex":
            write_text(path, tikz_text(scene, plain(theme)))
        case extension:
            _write_image(scene, path, extension[1:], theme)


def require_extension(path: Path) -> None:
    """Reject a file whose extension is not one of a drawing (E855)."""
    if path.suffix.lower() not in EXTENSIONS:
        problem = UnknownPictureFormat(str(path), ", ".join(EXTENSIONS))
        raise SpecError([Diagnostic(problem, path=str(path))])


def _write_image(scene: Scene, path: Path, format: str, theme: Theme) -> None:
    try:
        from archdsl.drawing.image import write_image
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("matplotlib", "numpy"):
            raise
        raise SpecError(
            [Diagnostic(MissingPackage(f"a picture as {format.upper()}", "matplotlib", "torch"))]
        ) from error
    write_atomically(path, lambda temporary: write_image(scene, temporary, format, plain(theme)))
