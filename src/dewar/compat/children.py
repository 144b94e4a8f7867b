"""Run the child processes of a program on Dewar too.

Test runners with workers, `multiprocessing` and command lines start new Python processes, which
have not called `install()`. So the parent adds a folder to ``PYTHONPATH`` whose `sitecustomize`
Python runs at every start (https://docs.python.org/3/library/site.html).
"""

import os
from pathlib import Path

_STARTUP = str(Path(__file__).parent / "startup")


def carry_to_children() -> None:
    """Make all Python processes that are started from now on run on Dewar too."""
    path = os.environ.get("PYTHONPATH", "")
    if _STARTUP not in path.split(os.pathsep):
        os.environ["PYTHONPATH"] = _STARTUP + (os.pathsep + path if path else "")
