"""The codes: each in the file of its range, which the table in `archdsl.diagnostics.codes` lists."""

import re

import pytest

from archdsl.diagnostics import CODES, codes, load_all

load_all()
#: The first code of each range, and its file.
RANGES = [
    (found[1].replace("x", "0"), found[2]) for found in re.finditer(r"^([EW]\w+) +(\w+)", codes.__doc__ or "", re.M)
]


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_is_in_the_file_of_its_range(code: str) -> None:
    file = [name for first, name in RANGES if first <= code][-1]
    assert CODES[code].__module__ == f"{codes.__name__}.{file}"
