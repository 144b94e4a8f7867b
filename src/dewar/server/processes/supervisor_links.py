"""What a supervisor has to do with besides its workers."""

from dataclasses import dataclass
from socket import socket
from typing import Protocol

from dewar.server.metrics.endpoint_interface import MakeEndpoint


class StatusListener(Protocol):
    """Who is told how the server is."""

    @property
    def interval(self) -> float | None:
        """Seconds between two calls of `beat`; None where nobody asks for any."""

    def ready(self, status: str) -> None:
        """All workers serve, after the start or after a reload."""

    def reloading(self) -> None:
        """A reload has begun."""

    def stopping(self) -> None:
        """The end has begun."""

    def status(self, text: str) -> None:
        """Something has changed."""

    def beat(self) -> None:
        """All is well."""

    def failed(self, reason: str) -> None:
        """The first start has failed."""


class StopSource(Protocol):
    """A way to be told to stop besides signals: the program that the server is part of."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing more will come."""

    @property
    def sock(self) -> socket:
        """What becomes readable when there is something to take."""

    def take(self) -> float | None:
        """Return the seconds for what is in flight, if the server is to stop."""

    def close_in_child(self) -> None:
        """Close it in a worker, which is told by its supervisor alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisorLinks:
    """Whom a supervisor has to do with.

    Attributes:
        status_listener: Who is told how it goes.
        stop_source: Who says, besides signals, when to stop; SIGINT is then none of the
            supervisor's.
        endpoint: Makes what serves the statistics of the workers, if anything does.
    """

    status_listener: StatusListener
    stop_source: StopSource | None = None
    endpoint: MakeEndpoint | None = None
