"""The threads of requests that may leave HTTP, apart from those of the pool."""

import threading
from collections.abc import Callable

from dewar.server.connection.connection import Connection
from dewar.server.errors import Refusal
from dewar.server.wire.errors import UNAVAILABLE
from dewar.support.background_thread import BackgroundThread

_REASON = "There are too many WebSockets. Try again later."


class UpgradeThreads:
    """Runs each request on a new thread, up to a number of threads.

    Args:
        limit: How many there may be at a time; the setting ``websocket_threads``.
        run: Runs a connection.
        give_back: Gives it back to the leader.

    Attributes:
        count: How many there are.
    """

    def __init__(
        self,
        limit: int,
        run: Callable[[Connection], object],
        give_back: Callable[[Connection], object],
    ) -> None:
        self._limit = limit
        self._run = run
        self._give_back = give_back
        self._lock = threading.Lock()
        self.count = 0

    def __repr__(self) -> str:
        return f"<UpgradeThreads {self.count} of {self._limit}>"

    def maybe_refuse(self, connection: Connection) -> Refusal | None:
        """Have a thread run *connection*, or return why none does."""
        with self._lock:
            if self.count >= self._limit:
                return Refusal(
                    UNAVAILABLE,
                    _REASON,
                    f"websocket_threads={self._limit} is reached. Raise it, start more processes,"
                    " or use @app.websocket, which holds no thread.",
                )
            self.count += 1
        try:
            BackgroundThread("dewar-websocket", self._work, connection).start()
        except RuntimeError as error:
            self._leave()
            return Refusal(UNAVAILABLE, _REASON, f"The system gives no thread: {error}.")
        return None

    def _work(self, connection: Connection) -> None:
        try:
            self._run(connection)
        finally:
            self._leave()  # first: the client's next request may need a thread
            self._give_back(connection)

    def _leave(self) -> None:
        with self._lock:
            self.count -= 1
