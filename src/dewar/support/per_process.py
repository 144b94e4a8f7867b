"""`PerProcess`: one value for each process that uses the holder."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Makes a value on first use, and another one in each forked process.

    The value of the parent stays referenced in the child, so that nothing there closes what the
    parent still uses. Any thread may call any method.

    Args:
        make: Makes the value. Two threads may both make one; the first that is stored stays.
    """

    __slots__ = ("_by_pid", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._by_pid: dict[int, T] = {}

    def __repr__(self) -> str:
        return f"<PerProcess {self.maybe_get()!r}>"

    def get(self) -> T:
        """Return the value of this process."""
        pid = os.getpid()
        value = self._by_pid.get(pid)
        return self._by_pid.setdefault(pid, self._make()) if value is None else value

    def maybe_get(self) -> T | None:
        """Return the value of this process, or None if nothing has used it yet."""
        return self._by_pid.get(os.getpid())
