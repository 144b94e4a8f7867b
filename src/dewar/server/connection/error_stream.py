"""``wsgi.errors`` (PEP 3333)."""

import sys
from collections.abc import Iterable
from typing import Any


class ErrorStream:
    """Writes to what `sys.stderr` is at that moment; without one, nothing is written.

    All requests share one, so it has no state and takes no attributes. Whatever else a program asks
    for is that of `sys.stderr`.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<ErrorStream to {sys.stderr!r}>"

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)

    def write(self, text: str, /) -> int:
        """Write *text*; return the number of characters."""
        return len(text) if sys.stderr is None else sys.stderr.write(text)

    def writelines(self, lines: Iterable[str], /) -> None:
        """Write each of *lines*, without adding line ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is buffered."""
        if sys.stderr is not None:
            sys.stderr.flush()
