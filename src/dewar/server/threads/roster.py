"""The open connections of a server, and what the poller reports of each."""

import threading
from collections.abc import Iterable

from dewar.server.connection.connection import Connection
from dewar.server.connection.service import Share
from dewar.server.connection.state import State
from dewar.server.threads.poller import READ, WRITE, Poller

_FLUSHING, _CLOSED = State.FLUSHING, State.CLOSED


class Roster:
    """Holds each connection from its accept to its close, and keeps the poller in step.

    A connection is at home, in the poller and the leader's, or away, with the thread that runs
    it. A thread that changes one that may be changing hands holds `changing` meanwhile.

    Args:
        poller: What reports the connections.
        share: Who is told how many there are, where other processes go by it.

    Attributes:
        open: The connections at home and away, by descriptor.
        away: Those that run on a thread that does not lead.
        changing: Held where connections go away against the will of their thread, and come back.
        is_closing: Whether nothing is watched any more: what comes back is closed.
    """

    def __init__(self, poller: Poller, share: Share | None = None) -> None:
        self._poller = poller
        self._share = share
        self.open: dict[int, Connection] = {}
        self.away: set[Connection] = set()
        self.changing = threading.Lock()
        self._counting = threading.Lock()
        self._served = 0  # requests of connections that are closed by now
        self.is_closing = False

    def __repr__(self) -> str:
        return f"<Roster {len(self.open)} open, {len(self.away)} of them away>"

    def requests(self) -> int:
        """Return how many requests have been answered, or are being answered."""
        with self._counting:
            return self._served + sum(c.served for c in list(self.open.values()))

    def admit(self, fresh: Iterable[Connection]) -> None:
        """Take in new connections and watch them."""
        for connection in fresh:
            self.open[connection.fd] = connection
            self.settle(connection)
        self._note_open()

    def at_home(self) -> list[Connection]:
        """Return the leader's connections."""
        return [c for c in list(self.open.values()) if c not in self.away]

    def settle(self, connection: Connection) -> None:
        """Have the poller report what *connection* now waits for, or close it."""
        if connection.state is _CLOSED or self.is_closing:
            self.remove(connection)
        else:
            self.arm(connection, WRITE if connection.state is _FLUSHING else READ)

    def arm(self, connection: Connection, interest: int) -> None:
        """Have the poller report *interest* of *connection*."""
        if interest == connection.armed:
            return
        was_armed, connection.armed = connection.armed, interest
        # The last step: from here on the connection is the leader's, who may be another thread
        # and may have sent it away again before this call returns.
        if was_armed:
            self._poller.change(connection.fd, interest)
        else:
            self._poller.watch(connection.fd, interest)

    def send_away(self, connection: Connection) -> None:
        """Take *connection* out of the poller, for the thread that runs it."""
        if connection.armed:
            connection.armed = 0
            self._poller.forget(connection.fd)
        self.away.add(connection)

    def welcome_back(self, connection: Connection) -> None:
        """Give *connection* back to whoever leads; the caller is done with it."""
        with self.changing:  # its taker may be in the middle of sending it away
            self.away.discard(connection)
            self.settle(connection)

    def remove(self, connection: Connection) -> None:
        """Close *connection*."""
        # In this order: once the socket is closed its number may come back as a new client's.
        with self._counting:
            if self.open.pop(connection.fd, None) is None:
                return
            self._served += connection.served
        self._note_open()
        if connection.armed:
            connection.armed = 0
            self._poller.forget(connection.fd)
        connection.close()

    def _note_open(self) -> None:
        if self._share is not None:
            self._share.note_open(len(self.open))

    def close(self, abandoned: Iterable[Connection]) -> None:
        """Close all connections. One that is away is cut now, and closed where it comes back.

        Those *abandoned* are away and will not come back.
        """
        with self.changing:
            self.is_closing = True
            self.away.difference_update(abandoned)
            for connection in list(self.open.values()):
                if connection in self.away:
                    connection.cut()
                else:
                    self.remove(connection)
