"""Child processes of a program that runs on Dewar: they run on it too.

Test runners with workers, `multiprocessing` and command lines start Python anew, which knows
nothing of `install()`. So the parent puts a folder on ``PYTHONPATH`` whose `sitecustomize` Python
runs at every start (https://docs.python.org/3/library/site.html).
"""

import os
from pathlib import Path

__all__ = ["carry_to_children"]

_STARTUP = str(Path(__file__).parent / "startup")


def carry_to_children() -> None:
    """Have the Python processes that are started from here on run on Dewar as well."""
    path = os.environ.get("PYTHONPATH", "")
    if _STARTUP not in path.split(os.pathsep):
        os.environ["PYTHONPATH"] = _STARTUP + (os.pathsep + path if path else "")
