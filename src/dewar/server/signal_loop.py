"""`SignalLoop`: answers signals until one of them has stopped the server.

Two threads share this. The main thread waits, and runs the program's own signal handlers. Another
thread reads the signals and acts on them, so that a handler that takes its time, or never returns,
does not keep the server from its answer.
"""

import logging
import threading
import time

from dewar.server.server import Server
from dewar.server.system.program_handlers import end_without_handler, has_handler
from dewar.server.system.signals import SignalInbox
from dewar.server.system.systemd import Notifier
from dewar.server.system.terminal import Terminal
from dewar.support.background_thread import BackgroundThread
from dewar.support.waker import Waker

_logger = logging.getLogger("dewar.server")

#: Delivered when a handler of the program has raised: the server stops as after SIGTERM.
_HANDLER_RAISED = "a handler raised"
_STOPS = frozenset({"SIGINT", "SIGTERM", "SIGBREAK", _HANDLER_RAISED})
_QUICK_STOPS = frozenset({"SIGINT", "SIGTERM", "SIGBREAK", "SIGQUIT"})
_NEEDS_PROCESSES = {
    "SIGHUP": "restarts workers one after the other, and this server has none. Start it again, or"
    " with processes=2 or more.",
    "SIGTTIN": "adds a worker process, and this server has none. Start it with processes=2.",
    "SIGTTOU": "takes a worker process away, and this server has none. Stop it with SIGTERM.",
}
# How often a stop looks whether it is done, in seconds.
_LOOK = 0.05
# How long a handler may take at least after the server has stopped, in seconds.
_AT_LEAST = 1.0


class SignalLoop:
    """The signals of a server that has started, in one process.

    Args:
        server: The server.
        inbox: Its signals, on the main thread.
        notifier: Is told when the server stops.
        terminal: Whether SIGHUP is the end of the terminal.
    """

    def __init__(
        self, server: Server, inbox: SignalInbox, notifier: Notifier, terminal: Terminal
    ) -> None:
        self._server = server
        self._inbox = inbox
        self._notifier = notifier
        self._terminal = terminal
        self._ends_by = 0.0
        self._is_beside = False
        self._raised: BaseException | None = None
        self._main = Waker()  # wakes the main thread
        self._has_stopped = threading.Event()
        self._has_returned = threading.Event()

    def __repr__(self) -> str:
        return f"<SignalLoop of {self._server!r}>"

    def time_left(self) -> float:
        """Return how many seconds of ``graceful_timeout`` the stop has left over."""
        return max(0.0, self._ends_by - time.monotonic())

    def run(self) -> None:
        """Return when the server has stopped.

        Raises:
            BaseException: What a handler of the program has raised, after a graceful stop. Only a
                KeyboardInterrupt is a stop like any other.
        """
        thread = self._maybe_start_thread()
        if thread is None:
            self._answer()
        else:
            self._run_handlers()
            # No handler is left out: the server may have stopped before the main thread got there.
            self._call_deferred(all_of_them=True)
            self._has_returned.set()
            thread.join()
        self._main.close()
        if self._raised is not None and not isinstance(self._raised, KeyboardInterrupt):
            raise self._raised

    def _maybe_start_thread(self) -> BackgroundThread | None:
        """Start the thread that answers; return None if it is not needed or cannot start."""
        if not self._inbox.is_installed:
            return None
        thread = BackgroundThread("dewar-signals", self._answer_beside)
        self._is_beside = True  # before it runs
        try:
            thread.start()
        except RuntimeError:
            self._is_beside = False  # no thread to be had: a handler delays the answer
            return None
        return thread

    def _run_handlers(self) -> None:
        """Run handlers of the program on the main thread until the server has stopped."""
        while not self._has_stopped.is_set():
            self._inbox.claim()
            self._main.wait()
            self._call_deferred()

    def _call_deferred(self, *, all_of_them: bool = False) -> None:
        raised = self._inbox.call_deferred(all_of_them=all_of_them)
        if raised is not None:
            self._raised = self._raised or raised
            self._inbox.deliver(_HANDLER_RAISED)

    def _answer_beside(self) -> None:
        try:
            self._answer()
        finally:
            self._has_stopped.set()
            self._main.wake()
        self._limit_handler()

    def _answer(self) -> None:
        """Act on signals until the server has stopped."""
        quick = self._wait_stop_signal()
        self._notifier.stopping()
        self._ends_by = time.monotonic() + self._server.settings.graceful_timeout
        if self._stop(quick):
            self._ends_by = 0.0

    def _wait(self, timeout: float | None = None) -> list[str]:
        names = self._inbox.wait(timeout)
        if self._is_beside:
            # Always: another thread may have got the signal, and then Python runs no handler until
            # the main thread goes on.
            self._main.wake()
        else:
            self._call_deferred()
        return names

    def _wait_stop_signal(self) -> bool:
        """Wait for a signal that ends the server; return whether it asks for a quick end."""
        while True:
            for name in self._wait():
                if name == "SIGQUIT":
                    return True
                if name in _STOPS or (name == "SIGHUP" and self._terminal.has_gone()):
                    return False
                if name == "SIGUSR1":
                    self._server.reopen_logs()
                elif not has_handler(name):
                    _logger.warning("%s %s", name, _NEEDS_PROCESSES[name])

    def _stop(self, quick: bool) -> bool:
        """Stop the server gracefully, or at once if asked to or when a second signal comes.

        Returns:
            Whether it was at once.
        """
        server = self._server
        if quick:
            server.stop(0)
            return True
        stopper = BackgroundThread("dewar-stop", server.stop)
        try:
            stopper.start()
        except RuntimeError:
            server.stop()  # no thread to be had: a second signal has no effect
            return False
        while stopper.is_alive():
            if _QUICK_STOPS.intersection(self._wait(_LOOK)):
                server.stop(0)
                return True
        return False

    def _limit_handler(self) -> None:
        """End the process if a handler has not returned in time, or when a second signal comes."""
        began = time.monotonic()
        limit = max(self._ends_by, began + _AT_LEAST)
        while not self._has_returned.wait(_LOOK):
            # Not `take`: from now on only the main thread does, with the handlers that are left.
            is_quick = bool(_QUICK_STOPS.intersection(self._inbox.peek()))
            if is_quick or time.monotonic() >= limit:
                end_without_handler(time.monotonic() - began)
