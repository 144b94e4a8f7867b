"""Where in a program an error comes from."""

import os
from pathlib import Path
from traceback import extract_tb

# Calls of these folders are between the program's own.
_BETWEEN = (
    f"{Path(__file__).parents[1]}{os.sep}",
    f"{Path(os.__file__).with_name('asyncio')}{os.sep}",
)


def place_of(error: BaseException) -> str:
    """Return the last line of the program in the traceback of an error, else the last of all."""
    steps = extract_tb(error.__traceback__)
    own = [step for step in steps if not step.filename.startswith(_BETWEEN)] or steps
    return f"line {own[-1].lineno} of {own[-1].filename}" if own else "an unknown line"
