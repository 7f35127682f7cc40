"""The limits that make every run end. Passing one is an ordinary error with a place in the source."""

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
#: Those after which `check` begins with no further model of a file.
MAX_STEPS_OF_FILE = 400_000
#: Steps that a layer counts for among those of a file.
STEPS_OF_LAYER = 5
#: Those evaluated after the first mistake, to find others: a loop repeats its mistakes.
MAX_STEPS_AFTER_ERROR = 20_000
#: Values of one loop, range, list or string.
MAX_LENGTH = 10_000
#: Values inside one value, in lists inside each other; eight characters of a string count as one.
MAX_ELEMENTS = 100_000
#: Models that are variants of each other, from a variant to the model with the body.
MAX_VARIANTS = 100
#: Characters of one label: every layer's name has the labels of all scopes around it.
MAX_LABEL = 100
#: The magnitude of an integer.
MAX_INTEGER = 2**63 - 1
#: Elements of one tensor.
MAX_NUMEL = 2**40
#: Errors reported for one run.
MAX_ERRORS = 50
