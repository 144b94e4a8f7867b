"""Reads the documented list of tests of Flask's internals that do not pass."""

import re

HEADING = "## Tests of Flask's internals"
_FIRST_CELL = re.compile(r"\|\s*`([^`]+)`\s*\|")


def read(text: str) -> frozenset[str]:
    """Return the tests in the first column of the table under `HEADING`, as `Suite: test id`.

    An id without a suite belongs to the suite Flask.
    """
    excused = set()
    inside = False
    for line in text.splitlines():
        if line.startswith("#"):
            inside = line.strip() == HEADING or (inside and line.startswith("###"))
        elif inside and (cell := _FIRST_CELL.match(line.strip())):
            excused.add(_qualified(cell[1].replace("\\|", "|")))
    return frozenset(excused)


def _qualified(test: str) -> str:
    return test if ": " in test.partition("::")[0] else f"Flask: {test}"
