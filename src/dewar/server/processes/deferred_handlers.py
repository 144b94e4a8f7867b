"""`DeferredHandlers`: the program's signal handlers in the supervisor, which has one thread.

They run between two rounds of the supervisor, after its own answer to the signal: an exception that
a handler raises must not interrupt a fork. While one runs, a second thread watches it; it has ended
before the next fork.
"""

import threading
import time
from collections.abc import Callable
from functools import partial

from dewar.server.system.program_handlers import end_without_handler
from dewar.server.system.signals import SignalInbox
from dewar.support.background_thread import BackgroundThread

# How long a handler may go on after a signal that stops the server, in seconds.
_AT_LEAST = 1.0
# How often it looks whether the handler has returned, in seconds.
_LOOK = 0.05
_STOPS = frozenset({"SIGINT", "SIGTERM", "SIGQUIT"})


class DeferredHandlers:
    """Runs what the inbox has deferred.

    Args:
        inbox: The signals of the supervisor.
        end_workers: Ends the workers, with some seconds for requests in flight.

    Attributes:
        raised: What the first handler that failed or called `sys.exit` has raised.
    """

    def __init__(self, inbox: SignalInbox, end_workers: Callable[[float], None]) -> None:
        self._inbox = inbox
        self._end_workers = end_workers
        self.raised: BaseException | None = None

    def __repr__(self) -> str:
        return f"<DeferredHandlers of {self._inbox!r}, raised: {self.raised!r}>"

    def run(self, time_left: float | None, graceful_timeout: float) -> bool:
        """Run the handlers that are due, on the main thread.

        If one does not return when the server is to stop, the workers are ended, and this process.

        Args:
            time_left: The seconds until the stop is over; None if the server is not stopping.
            graceful_timeout: The seconds of a stop that begins meanwhile.

        Returns:
            Whether there were any.
        """
        if not self._inbox.has_deferred():
            return False
        done = threading.Event()
        limit = partial(self._limit, done, time_left, graceful_timeout)
        watcher = BackgroundThread("dewar-handler-limit", limit)
        try:
            watcher.start()
        except RuntimeError:
            done.set()  # no thread to be had
        raised = self._inbox.call_deferred()
        self.raised = self.raised or raised
        if not done.is_set():
            done.set()
            watcher.join()
        return True

    def _limit(
        self, done: threading.Event, time_left: float | None, graceful_timeout: float
    ) -> None:
        """End all processes if the handler outlasts a stop, or a second signal to stop."""
        began = time.monotonic()
        limit = None if time_left is None else began + max(time_left, _AT_LEAST)
        grace = graceful_timeout if limit is None else 0.0
        stops = 0
        while not done.wait(_LOOK):
            before, stops = stops, sum(name in _STOPS for name in self._inbox.peek())
            now = time.monotonic()
            if stops > before:
                limit = now + _AT_LEAST if limit is None else now
            if limit is not None and now >= limit:
                self._end_workers(grace)
                end_without_handler(time.monotonic() - began)
