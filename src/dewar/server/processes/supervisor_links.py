"""The links of a supervisor besides its workers: status listener, parent program, metrics."""

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from dewar.server.metrics.statistics import ReadStatistics
from dewar.server.processes.hooks import ServerHooks
from dewar.server.processes.metrics_process import StatisticsEndpoint
from dewar.support.metric_sources import ReadFamilies

#: What a supervisor sends to its parent when all workers serve; else it sends why they do not.
READY = b"R"
#: The longest message between a supervisor and its parent, in bytes.
MAX_MESSAGE = 4096

MakeEndpoint = Callable[[ReadStatistics, ReadFamilies], StatisticsEndpoint]


class StatusListener:
    """Gets the status of the server; the methods of this base class do nothing.

    Attributes:
        interval: Seconds between two calls of `beat`; None for no calls.
    """

    interval: float | None = None

    def ready(self, status: str) -> None:
        """Note that all workers serve, after the start or after a reload."""

    def reloading(self) -> None:
        """Note that a reload has begun."""

    def stopping(self) -> None:
        """Note that the server has begun to stop."""

    def status(self, text: str) -> None:
        """Note a change, as one line of text."""

    def beat(self) -> None:
        """Note that the server works."""

    def failed(self, reason: str) -> None:
        """Note that the first start has failed."""


class ParentLink(StatusListener):
    """The supervisor's end of the socket to the program that it is a child of.

    Args:
        sock: A stream socket; the program has the other end.
        graceful_timeout: Seconds for requests in flight, if the program ends without a message.

    Attributes:
        is_closed: Whether the program has ended.
    """

    def __init__(self, sock: socket.socket, graceful_timeout: float) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._graceful_timeout = graceful_timeout
        self.is_closed = False

    def __repr__(self) -> str:
        return f"<ParentLink at {self.sock.fileno()}{', closed' if self.is_closed else ''}>"

    def take(self) -> float | None:
        """Return the seconds for requests in flight if the server is to stop, else None."""
        if self.is_closed:
            return None
        try:
            received = self.sock.recv(MAX_MESSAGE).split()
        except BlockingIOError:
            return None
        except OSError:
            received = []
        if received:
            return float(received[-1])
        self.is_closed = True
        return self._graceful_timeout

    def close_in_child(self) -> None:
        """Close the socket in a worker, which only its supervisor stops."""
        self.sock.close()

    def ready(self, status: str) -> None:  # noqa: ARG002
        """Tell the program that all workers serve."""
        self._send(READY)

    def failed(self, reason: str) -> None:
        """Tell the program why the workers do not serve."""
        self._send(b"F" + reason.encode(errors="replace")[: MAX_MESSAGE - 1])

    def _send(self, data: bytes) -> None:
        with suppress(OSError):  # the program has ended, which `take` notices
            self.sock.send(data)


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisorLinks:
    """The links of one supervisor.

    Attributes:
        status_listener: Gets the status of the server.
        parent_link: The link to the program, if the supervisor is a child of one; the program then
            handles SIGINT.
        endpoint: Makes what serves the statistics of the workers; None for no metrics.
        hooks: Called at the steps of the server.
    """

    status_listener: StatusListener
    parent_link: ParentLink | None = None
    endpoint: MakeEndpoint | None = None
    hooks: ServerHooks = field(default_factory=ServerHooks)
