"""E0xx: files and the models in them."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NotFound(Problem):
    """A file or zoo network that does not exist.

    A spec is given as the path of an `.arch` file or as the name of a network in the zoo (`archdsl zoo` lists them).
    The path of an import is relative to the file that imports it.
    """

    code = "E001"
    text = "there is no file `{path}`{more}"
    wrong = 'import "nowhere.arch"\nmodel m { input(3x8x8); relu }'
    right = "model m { input(3x8x8); relu }"
    path: str
    more: str


class NotAFile(Problem):
    """A path that is not a file.

    Only `archdsl check` and `archdsl fmt` take folders. Other commands take one spec.
    """

    code = "E002"
    text = "`{path}` is {what}, not a file"
    path: str
    what: str


class NotReadable(Problem):
    """A file that cannot be read.

    The operating system reported an error while reading the file. Check its permissions.
    """

    code = "E003"
    text = "`{path}` cannot be read: {reason}"
    path: str
    reason: str


class NotUtf8(Problem):
    """A file that is not UTF-8.

    Specs are text files encoded in UTF-8. Save the file in that encoding, or check the path: the file may be an ONNX
    file or an archive.
    """

    code = "E004"
    text = "`{path}` is not UTF-8 text: byte {position:,} (line {line}) is 0x{byte:02x}"
    path: str
    position: int
    line: int
    byte: int


class FileTooLarge(Problem):
    """A file that is too large.

    The size of a spec is limited. The largest one in the zoo has a few kilobytes, so check whether the path is right.
    """

    code = "E005"
    text = "`{path}` has {size:,} bytes; the limit is {limit:,}"
    path: str
    size: int
    limit: int


class ImportCycle(Problem):
    """A file that imports itself.

    Imports must not form a cycle. Move the definitions that both files need into a third file.
    """

    code = "E006"
    text = "`{path}` imports itself{through}"
    path: str
    through: str


class TooManyFiles(Problem):
    """Too many imported files.

    The number of files that a spec imports, directly and through other files, is limited.
    """

    code = "E007"
    text = "the spec imports more than {limit} files"
    limit: int


class NoModel(Problem):
    """A file without a model.

    A file with only blocks can be checked and imported. `summary`, `train`, `export` and other commands need a `model`.
    A model that has parameters without defaults can only be used as the base of another model.
    """

    code = "E008"
    text = "`{path}` has no model{more}"
    wrong = "block b { relu }"
    right = "model m { input(3x8x8); relu }"
    path: str
    more: str


class UnknownModel(Problem):
    """A model that does not exist.

    `--model NAME` selects one of the models defined in the file.
    """

    code = "E009"
    text = "`{path}` has no model `{name}`; it has {models}"
    path: str
    name: str
    models: str


class NothingDefined(Problem):
    """A file without definitions.

    A spec contains at least one definition.
    """

    code = "E010"
    text = "`{path}` is empty: expected a model, block, value or import"
    wrong = "# a network, later"
    right = "block b { relu }\nmodel m { input(3x8x8); b }"
    path: str
