"""A response body that the application gives piece by piece (PEP 3333)."""

from collections.abc import Iterable, Iterator

from dewar.server.connection.thread_bound import is_thread_bound

# Bytes that one thread sends before other requests may pass. That takes some milliseconds, and to
# give the rest back and go on takes a tenth of one.
TURN = 4 * 1024 * 1024


class PiecewiseBody:
    """A body that is neither a list nor a tuple, while it is being sent.

    One thread uses it at a time, in the context of its request. Iterating over it goes on where the
    last iteration has ended.

    Args:
        result: What the application returned.
    """

    __slots__ = ("_pieces", "_result")

    def __init__(self, result: Iterable[bytes]) -> None:
        self._result = result
        self._pieces: Iterator[bytes] | None = None

    def __repr__(self) -> str:
        return f"<PiecewiseBody of {self._result!r}>"

    def __iter__(self) -> Iterator[bytes]:
        if self._pieces is None:
            self._pieces = iter(self._result)
        return self._pieces

    def can_move(self) -> bool:
        """Return whether another thread may send the rest; see `is_thread_bound`.

        It may change: an iterator can begin with another source at any step.
        """
        return not is_thread_bound(self._pieces)

    def close(self) -> None:
        """Call the ``close`` of what the application returned, if it has one."""
        close = getattr(self._result, "close", None)
        if close is not None:
            close()
