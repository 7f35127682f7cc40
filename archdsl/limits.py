"""The bounds that make every run end. Passing one is an ordinary error with a place in the text."""

#: Bytes of one file.
MAX_FILE_BYTES = 1_000_000
#: Files one spec may import, itself included.
MAX_FILES = 100
#: Brackets of any kind inside each other.
MAX_BRACKETS = 100
#: Operators inside each other in one expression.
MAX_EXPRESSION_DEPTH = 200
#: Block calls and bodies inside each other while a model is expanded.
MAX_NESTING = 100
#: Layers after expansion.
MAX_LAYERS = 20_000
#: Statements and expressions evaluated for one model.
MAX_STEPS = 300_000
#: Values of one loop, range, list or text.
MAX_LENGTH = 10_000
#: The magnitude of an integer.
MAX_INTEGER = 2**63 - 1
#: Elements of one tensor.
MAX_NUMEL = 2**40
#: Errors reported for one run.
MAX_ERRORS = 50
