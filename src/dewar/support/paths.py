"""Paths and open files as programs see them on Flask.

Not as a `Path`: it would drop the "." and ".." that Flask keeps, and would be the name of the file
that it opens, where programs expect text.
"""

import os
from typing import IO, Any

FilePath = str | os.PathLike[str]


def join_path(folder: FilePath, *names: FilePath) -> str:
    """Return the path of a file in a folder; an absolute name stays as it is."""
    return os.path.join(folder, *names)  # noqa: PTH118  # see the docstring of the module


def open_file(path: str, mode: str, encoding: str | None) -> IO[Any]:
    """Open a file; text has the given encoding, a file of bytes has none."""
    encoding = None if "b" in mode else encoding
    return open(path, mode, encoding=encoding)  # noqa: PTH123  # see the docstring of the module
