"""The threads of requests that may leave HTTP, apart from those of the pool."""

import threading
from collections import deque
from collections.abc import Callable

from dewar.server.connection.connection import Connection
from dewar.server.connection.upgrade import UpgradeState
from dewar.server.errors import Refusal
from dewar.server.wire.errors import UNAVAILABLE
from dewar.support.background_thread import BackgroundThread

_REASON = "There are too many WebSockets. Try again later."


class UpgradeThreads:
    """Runs each request on a thread of its own, up to a number of threads.

    Above it a request waits, as others do for a thread of the pool: most threads open a WebSocket
    that goes on without one, and come back soon. A thread whose application has taken the
    connection may be busy for hours, so nobody waits if all of them are.

    Args:
        limit: How many there may be at a time; the setting ``websocket_threads``.
        most_waiting: How many requests may wait; the setting ``max_queue``.
        run: Runs a connection.
        give_back: Gives it back to the leader.
    """

    def __init__(
        self,
        limit: int,
        most_waiting: int,
        run: Callable[[Connection], object],
        give_back: Callable[[Connection], object],
    ) -> None:
        self._limit = limit
        self._most_waiting = most_waiting
        self._run = run
        self._give_back = give_back
        self._lock = threading.Lock()
        self._running: set[Connection] = set()
        self._waiting: deque[Connection] = deque()

    def __repr__(self) -> str:
        return f"<UpgradeThreads {self.count} of {self._limit}, {len(self._waiting)} waiting>"

    @property
    def count(self) -> int:
        """How many threads there are."""
        return len(self._running)

    def maybe_refuse(self, connection: Connection) -> Refusal | None:
        """Have a thread run *connection* now or later, or return why none does."""
        with self._lock:
            if len(self._running) >= self._limit:
                refusal = self._maybe_full()
                if refusal is None:
                    self._waiting.append(connection)
                return refusal
            self._running.add(connection)
        try:
            BackgroundThread("dewar-websocket", self._work, connection).start()
        except RuntimeError as error:
            with self._lock:
                self._running.discard(connection)
            return Refusal(UNAVAILABLE, _REASON, f"The system gives no thread: {error}.")
        return None

    def take_hopeless(self) -> tuple[list[Connection], Refusal | None]:
        """Remove and return what waits, and why, if all threads are busy for long by now."""
        with self._lock:
            refusal = self._maybe_held() if self._waiting else None
            return ([] if refusal is None else self._empty()), refusal

    def take_waiting(self) -> list[Connection]:
        """Remove and return what waits."""
        with self._lock:
            return self._empty()

    def _work(self, connection: Connection) -> None:
        following: Connection | None = connection
        while following is not None:
            current = following
            try:
                self._run(current)
            finally:
                following = self._next(current)  # first: the client may need a thread at once
                self._give_back(current)

    def _next(self, connection: Connection) -> Connection | None:
        """Note the end of a run; return the request that has waited longest."""
        with self._lock:
            self._running.discard(connection)
            if not self._waiting:
                return None
            following = self._waiting.popleft()
            self._running.add(following)
            return following

    def _empty(self) -> list[Connection]:
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def _maybe_full(self) -> Refusal | None:
        """Return why a request cannot wait for a thread."""
        if len(self._waiting) < self._most_waiting:
            return self._maybe_held()
        return Refusal(
            UNAVAILABLE,
            _REASON,
            f"max_queue={self._most_waiting} requests wait for one of"
            f" websocket_threads={self._limit}. Raise it, or start more processes.",
        )

    def _maybe_held(self) -> Refusal | None:
        """Return why no thread comes back soon, if that is so."""
        if not all(map(_is_taken, self._running)):
            return None
        return Refusal(
            UNAVAILABLE,
            _REASON,
            f"websocket_threads={self._limit} is reached. Raise it, start more processes,"
            " or use @app.websocket, which holds a thread only until it is open.",
        )


def _is_taken(connection: Connection) -> bool:
    upgrade = connection.upgrade
    return upgrade is not None and upgrade.state is UpgradeState.TAKEN
