"""The open connections of a server, and what the poller reports of each."""

import threading
from collections.abc import Callable, Iterable
from functools import partial

from dewar.server.connection.connection import Connection
from dewar.server.connection.service import Share
from dewar.server.connection.state import State
from dewar.server.threads.poller import GONE, READ, WRITE, Poller

_FLUSHING, _CLOSED, _SUSPENDED = State.FLUSHING, State.CLOSED, State.SUSPENDED


class Roster:
    """Holds each connection from its accept to its close, and keeps the poller in step.

    A connection is at home, in the poller and the leader's; or away, with the thread that runs
    it; or suspended, with the event loop's. A thread that changes one that may be changing hands
    holds `changing` meanwhile.

    Args:
        poller: What reports the connections.
        give_back: Called on the loop's thread with a connection that can go on.
        share: Who is told how many there are, where other processes go by it.

    Attributes:
        open: The connections at home and away, by descriptor.
        suspended: Those that wait for the event loop, or have, and are away now. The poller
            reports them to no purpose but to see that their clients have gone.
        away: Those that run on a thread that does not lead.
        changing: Held where connections go away against the will of their thread, and come back.
        is_closing: Whether nothing is watched any more: what comes back is closed.
        is_quiet: Set when that is so and nothing is suspended any more.
    """

    def __init__(
        self,
        poller: Poller,
        give_back: Callable[[Connection], None],
        share: Share | None = None,
    ) -> None:
        self._poller = poller
        self._share = share
        self.open: dict[int, Connection] = {}
        self.suspended: dict[int, Connection] = {}
        self.away: set[Connection] = set()
        self.changing = threading.Lock()
        self._counting = threading.Lock()
        self._served = 0  # requests of connections that are closed by now
        self.is_closing = False
        self.is_quiet = threading.Event()
        self._give_back = give_back

    def __repr__(self) -> str:
        return f"<Roster {self.count} open, {len(self.away)} away, {len(self.suspended)} suspended>"

    @property
    def count(self) -> int:
        """How many connections there are."""
        with self._counting:  # no connection is in neither, as where one goes from here to there
            return len(self.open) + len(self.suspended)

    def requests(self) -> int:
        """Return how many requests have been answered, or are being answered."""
        with self._counting:
            held = [*self.open.values(), *self.suspended.values()]
            return self._served + sum(connection.served for connection in held)

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
        if connection.state is _SUSPENDED:
            self._suspend(connection)
        elif connection.state is _CLOSED or self.is_closing:
            self.remove(connection)
        else:
            was_suspended = self.suspended.get(connection.fd) is connection
            self.arm(connection, WRITE if connection.state is _FLUSHING else READ)
            if was_suspended:
                # Only now: the leader may hold an event of it from before, and takes what is open.
                with self._counting:
                    self.open[connection.fd] = self.suspended.pop(connection.fd)

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
            if self.is_closing and not self.suspended:
                self.is_quiet.set()

    def remove(self, connection: Connection) -> None:
        """Close *connection*."""
        # In this order: once the socket is closed its number may come back as a new client's.
        with self._counting:
            fd = connection.fd
            if self.open.pop(fd, None) is None and self.suspended.pop(fd, None) is None:
                return
            self._served += connection.served
        self._note_open()
        if connection.armed:
            connection.armed = 0
            self._poller.forget(connection.fd)
        connection.close()

    def _note_open(self) -> None:
        if self._share is not None:
            self._share.note_open(self.count)

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
            for connection in self.suspended.values():
                if connection in self.away:
                    connection.cut()
                else:
                    self._desert(connection)
            if not self.suspended:
                self.is_quiet.set()

    # What waits for the event loop.

    def look_at(self, fd: int) -> bool:
        """Take an event of a suspended connection: its client may have gone; tell if *fd* is one.

        A client may also have sent its next request, or a part of it. It is read when the one
        before is answered.
        """
        with self.changing:
            connection = self.suspended.get(fd)
            if connection is None:
                return fd in self.open  # it has just come back: its event is told again
            if connection in self.away:
                return True  # a stale event
            if connection.armed == GONE or connection.is_deserted():
                self._desert(connection)
            else:
                self.arm(connection, GONE)
        return True

    def _suspend(self, connection: Connection) -> None:
        with self._counting:
            self.open.pop(connection.fd, None)
            self.suspended[connection.fd] = connection
        if self.is_closing:
            self._desert(connection)
        else:
            self.arm(connection, READ)
        # The last step: from here on the connection is the loop's.
        connection.suspension.launch(partial(self._give_back, connection))  # type: ignore[union-attr]  # that's what the state says

    def _desert(self, connection: Connection) -> None:
        """Have what *connection* waits for cancelled: nobody is there to take the answer."""
        if connection.armed:
            connection.armed = 0
            self._poller.forget(connection.fd)
        suspension = connection.suspension  # the loop may just be ending it
        if suspension is not None:
            suspension.cancel()
