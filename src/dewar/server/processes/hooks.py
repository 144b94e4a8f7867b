"""`ServerHooks`: what is called at the steps of a server with worker processes.

The methods of the base class do nothing. They are called once per server or per worker, never for
a request. What a hook raises ends what it was called in: the supervisor ends the server; a worker
that has not begun to serve counts as one that cannot load the application.
"""

import logging
from collections.abc import Callable

from dewar.server.proxies.middleware import Application

_logger = logging.getLogger("dewar.server")


class ServerHooks:
    """The steps of a server, in the order in which they are reached.

    A worker is known by the number of its slot. The number is used again when its process has
    ended.
    """

    # In the supervisor.

    def starting(self, addresses: tuple[str, ...], wanted: int) -> None:
        """Act before the first worker is forked.

        Args:
            addresses: The URLs that the server listens on.
            wanted: How many workers there should be.
        """

    def forking(self, number: int) -> None:
        """Act before worker *number* is forked."""

    def forked(self, number: int, pid: int) -> None:
        """Note the process of worker *number*."""

    def worker_gone(self, number: int) -> None:
        """Act when worker *number* was reaped."""

    def scaled(self, wanted: int) -> None:
        """Act when the number of workers that there should be is now *wanted*."""

    def reloading(self) -> None:
        """Act before the workers are replaced, one after the other."""

    def ended(self) -> None:
        """Act when the last worker was reaped, before the supervisor itself ends."""

    # In a worker.

    def worker_started(self, number: int) -> None:
        """Act in the process of worker *number*, before it loads the application."""

    def worker_ready(self, application: Application) -> None:
        """Act when the worker has loaded *application*, before it accepts clients."""

    def worker_interrupted(self) -> None:
        """Act when the worker gets SIGINT, or is to end at once."""

    def worker_ending(self) -> None:
        """Act when the worker has answered its last request, or could not load the application."""


def call_logged(hook: Callable[[], None]) -> None:
    """Call a hook of a worker that ends; its errors are logged, because it ends in any case."""
    try:
        hook()
    except Exception:
        _logger.exception("A hook of the server has failed")
