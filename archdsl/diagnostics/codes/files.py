"""E0xx: files that cannot be read, and models that cannot be chosen."""

from __future__ import annotations

from archdsl.diagnostics.problem import Problem


class NotFound(Problem):
    """No such file, and no network of the zoo by that name."""

    code = "E001"
    text = "there is no file `{path}`{more}"
    explanation = """
Wherever a command takes a spec, it takes the path of an `.arch` file or the name of a network of the zoo
(`archdsl zoo` lists them). An imported file is looked for beside the file that imports it.
"""
    wrong = 'import "nowhere.arch"\nmodel m { input(3x8x8); relu }'
    right = "model m { input(3x8x8); relu }"

    path: str
    more: str


class NotAFile(Problem):
    """A directory or something else that holds no text."""

    code = "E002"
    text = "`{path}` is {what}, not a file"
    explanation = """
`archdsl check` takes folders; every other command takes one spec.
"""

    path: str
    what: str


class NotReadable(Problem):
    """The system does not let us read it."""

    code = "E003"
    text = "`{path}` cannot be read: {reason}"
    explanation = """
The operating system reported an error; the message is its own.
"""

    path: str
    reason: str


class NotUtf8(Problem):
    """The file is not text in UTF-8."""

    code = "E004"
    text = "`{path}` is not UTF-8 text: byte {position:,} (line {line}) is 0x{byte:02x}"
    explanation = """
Specs are UTF-8 texts. An editor can save the file in that encoding; if the file is something else (an
ONNX file, an archive), another path was meant.
"""

    path: str
    position: int
    line: int
    byte: int


class FileTooLarge(Problem):
    """The file is larger than any spec."""

    code = "E005"
    text = "`{path}` has {size:,} bytes; a spec has at most {limit:,}"
    explanation = """
A spec is a text for people. The largest network of the zoo takes a few kilobytes.
"""

    path: str
    size: int
    limit: int


class ImportCycle(Problem):
    """A file imports itself, directly or through others."""

    code = "E006"
    text = "`{path}` imports itself{through}"
    explanation = """
Imports cannot go round in a circle. Move what both files need into a third.
"""

    path: str
    through: str


class TooManyFiles(Problem):
    """One spec imports too many files."""

    code = "E007"
    text = "more than {limit} files are imported"
    explanation = """
The files that one spec imports, directly or not, are bounded.
"""

    limit: int


class NoModel(Problem):
    """The file holds no model to work on."""

    code = "E008"
    text = "`{path}` has no model{more}"
    explanation = """
A file of blocks can be imported and checked, but not summarised, trained or exported: these need a
`model`. A model with parameters that have no default can only be the base of another.
"""
    wrong = "block b { relu }"
    right = "model m { input(3x8x8); relu }"

    path: str
    more: str


class UnknownModel(Problem):
    """The file has no model of that name."""

    code = "E009"
    text = "`{path}` has no model `{name}`; it has {models}"
    explanation = """
`--model NAME` chooses one of the models that the file defines.
"""

    path: str
    name: str
    models: str


class NothingDefined(Problem):
    """The file defines nothing."""

    code = "E010"
    text = "`{path}` is empty: it has no model, block, value or import"
    explanation = """
A spec holds at least one definition. A file without any was probably saved too early, or is not the one that was meant.
"""
    wrong = "# a network, later"
    right = "block b { relu }\nmodel m { input(3x8x8); b }"

    path: str
