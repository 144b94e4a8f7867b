"""A response body that the application gives piece by piece (PEP 3333)."""

from collections.abc import Iterable, Iterator

# Bytes that one thread sends before other requests may pass. That takes some milliseconds, and to
# give the rest back and go on takes a tenth of one.
PART = 4 * 1024 * 1024


class PiecewiseBody:
    """What is left of a body that is sent in parts.

    One thread uses it at a time, in the context of its request. Iterating over it goes on where the
    last part has ended.

    Args:
        result: What the application returned.
        pieces: The iterator over it.
    """

    __slots__ = ("_pieces", "_result")

    def __init__(self, result: Iterable[bytes], pieces: Iterator[bytes]) -> None:
        self._result = result
        self._pieces = pieces

    def __repr__(self) -> str:
        return f"<PiecewiseBody of {self._result!r}>"

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Call the ``close`` of what the application returned, if it has one."""
        close = getattr(self._result, "close", None)
        if close is not None:
            close()
