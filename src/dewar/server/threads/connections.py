"""The open connections of a server, and what the poller reports of each."""

import threading
from collections.abc import Callable, Iterable

from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import Balancer
from dewar.server.connection.state import ConnectionState
from dewar.server.threads.poller import PEER_CLOSED, READ, WRITE, Poller

_SUSPENDED, _UPGRADING = ConnectionState.SUSPENDED, ConnectionState.UPGRADING
_FLUSHING, _READY, _CLOSED = (
    ConnectionState.FLUSHING,
    ConnectionState.READY,
    ConnectionState.CLOSED,
)


class ConnectionTable:
    """Holds each connection from its accept to its close, and keeps the poller in step.

    A connection is the leader's, and in the poller; or handed off, to the thread that runs it; or
    suspended, and the event loop's. One that has left HTTP is upgraded: no leader looks at it until
    the application's call is over. A thread that changes a connection whose owner may be changing
    holds `ownership_lock` meanwhile.

    Args:
        poller: What reports the connections.
        resume: Called on the loop's thread with a suspended connection that can go on.
        begin_upgrade: Called with a connection that is UPGRADING, by the leader.
        balancer: Learns how many connections there are, if other processes need that.

    Attributes:
        open: The leader's connections and those handed off, by descriptor.
        suspended: The connections that wait for the event loop, or did, and are handed off now.
            The poller reports them only to see that their clients have left.
        upgraded: The connections that have left HTTP, by descriptor.
        handed_off: The connections that run on a thread that does not lead.
        ownership_lock: Held while a connection is handed off by another thread, or taken back.
        is_closing: Whether nothing is watched any more: a connection that comes back is closed.
        is_quiescent: Set when that is so and nothing is suspended or handed off any more.
    """

    def __init__(
        self,
        poller: Poller,
        resume: Callable[[Connection], None],
        begin_upgrade: Callable[[Connection], None],
        balancer: Balancer | None = None,
    ) -> None:
        self._poller = poller
        self._resume = resume
        self._begin_upgrade = begin_upgrade
        self._balancer = balancer
        self.open: dict[int, Connection] = {}
        self.suspended: dict[int, Connection] = {}
        self.upgraded: dict[int, Connection] = {}
        self.handed_off: set[Connection] = set()
        self.ownership_lock = threading.Lock()
        self._count_lock = threading.Lock()
        self._served = 0  # requests of connections that are closed by now
        self.is_closing = False
        self.is_quiescent = threading.Event()

    def __repr__(self) -> str:
        elsewhere = f"{len(self.handed_off)} handed off, {len(self.suspended)} suspended"
        return f"<ConnectionTable {self.count} open, {elsewhere}, {len(self.upgraded)} upgraded>"

    @property
    def count(self) -> int:
        """How many connections there are."""
        with self._count_lock:  # or one that moves between the two could be counted in neither
            return len(self.open) + len(self.suspended) + len(self.upgraded)

    def requests(self) -> int:
        """Return how many requests have been answered, or are being answered."""
        with self._count_lock:
            held = [*self.open.values(), *self.suspended.values(), *self.upgraded.values()]
            return self._served + sum(connection.served for connection in held)

    def add(self, fresh: Iterable[Connection]) -> None:
        """Add new connections and watch them."""
        for connection in fresh:
            self.open[connection.fd] = connection
            self.apply_state(connection)
        self._note_open()

    def leader_owned(self) -> list[Connection]:
        """Return the leader's connections."""
        return [c for c in list(self.open.values()) if c not in self.handed_off]

    def apply_state(self, connection: Connection) -> None:
        """Have the poller report what *connection* now waits for, or close it."""
        if connection.state is _SUSPENDED:
            self._suspend(connection)
        elif connection.state is _CLOSED or self.is_closing:
            self.remove(connection)
        elif connection.state is _UPGRADING:
            self._begin_upgrade(connection)
        else:
            self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        fd = connection.fd
        was_open = self.open.get(fd) is connection
        # A connection that is READY or UPGRADING after a response has its turn when the poller says
        # that it takes another one. So it waits in one line with all others, and is not read from
        # meanwhile.
        state = connection.state
        is_writing = state is _FLUSHING or state is _READY or state is _UPGRADING
        self.set_interest(connection, WRITE if is_writing else READ)
        if not was_open:
            # Only now: the leader may hold an earlier event of it, and handles what is open.
            with self._count_lock:
                away = self.suspended if fd in self.suspended else self.upgraded
                self.open[fd] = away.pop(fd)

    def set_interest(self, connection: Connection, interest: int) -> None:
        """Have the poller report *interest* of *connection*."""
        if interest == connection.interest:
            return
        old_interest, connection.interest = connection.interest, interest
        # The last step: from here on the connection is the leader's. That may be another thread,
        # and it may hand the connection off again before this call returns.
        if old_interest:
            self._poller.modify(connection.fd, interest)
        else:
            self._poller.register(connection.fd, interest)

    def hand_off(self, connection: Connection) -> None:
        """Take *connection* out of the poller, for the thread that runs it."""
        if connection.interest:
            connection.interest = 0
            self._poller.unregister(connection.fd)
        self.handed_off.add(connection)

    def take_back(self, connection: Connection) -> bool:
        """Give *connection* back to the leader; the caller must not touch it any more.

        Returns:
            False if the caller has to run it once more, to close the body of a paused exchange:
            nothing is watched any more.
        """
        with self.ownership_lock:  # the taker may be in the middle of handing it off
            if self.is_closing and connection.paused is not None:
                connection.abort()
                return False
            self.handed_off.discard(connection)
            if connection.state is _UPGRADING and not self.is_closing:
                self._watch(connection)  # the leader begins it, without this lock
            else:
                self.apply_state(connection)
            self._note_quiescence()
            return True

    def remove(self, connection: Connection) -> None:
        """Close *connection*."""
        # In this order: once the socket is closed, its number may be a new client's.
        with self._count_lock:
            fd = connection.fd
            if not any(held.pop(fd, None) for held in (self.open, self.suspended, self.upgraded)):
                return
            self._served += connection.served
        self._note_open()
        if connection.interest:
            connection.interest = 0
            self._poller.unregister(connection.fd)
        connection.close()

    def _note_open(self) -> None:
        if self._balancer is not None:
            self._balancer.note_open(self.count)

    def close(self) -> list[Connection]:
        """Close all connections; return those that a thread has to run once more.

        A connection that is handed off is shut down now, and closed when it comes back. One with a
        paused exchange, whose body has to be closed, is handed off here.
        """
        unfinished = []
        with self.ownership_lock:
            self.is_closing = True
            for connection in list(self.open.values()):
                if connection in self.handed_off:
                    connection.shut_down_socket()
                elif connection.paused is not None:
                    self.hand_off(connection)
                    connection.abort()
                    unfinished.append(connection)
                else:
                    self.remove(connection)
            for connection in [*self.suspended.values(), *self.upgraded.values()]:
                if connection in self.handed_off:
                    connection.shut_down_socket()
                else:
                    self._cancel_suspended(connection)
            self._note_quiescence()
        return unfinished

    def _note_quiescence(self) -> None:
        is_empty = not (self.suspended or self.upgraded or self.handed_off)
        if self.is_closing and is_empty:
            self.is_quiescent.set()

    # Upgraded connections.

    def note_upgraded(self, connection: Connection) -> None:
        """Leave *connection*, which has left HTTP, to who has taken it."""
        with self.ownership_lock:
            if connection.interest:
                connection.interest = 0
                self._poller.unregister(connection.fd)
            with self._count_lock:
                fd = connection.fd
                away = self.suspended if fd in self.suspended else self.open
                self.upgraded[fd] = away.pop(fd)

    def say_going_away(self) -> None:
        """Tell all upgraded connections that the server stops, those that know it excepted."""
        for connection in list(self.upgraded.values()):
            if connection.upgrade is not None:
                connection.upgrade.say_going_away()

    # Suspended connections.

    def handle_suspended(self, fd: int) -> bool:
        """Handle an event of a suspended connection; return whether *fd* is one.

        Its client may have left. It may also have sent more: that is read after the current
        response.
        """
        with self.ownership_lock:
            connection = self.suspended.get(fd)
            if connection is None:
                return fd in self.open  # it has just come back: its event is reported again
            if connection in self.handed_off:
                return True  # a stale event
            if connection.interest == PEER_CLOSED or connection.has_peer_closed():
                self._cancel_suspended(connection)
            else:
                self.set_interest(connection, PEER_CLOSED)
        return True

    def _suspend(self, connection: Connection) -> None:
        is_upgraded = self.upgraded.get(connection.fd) is connection
        if not is_upgraded:
            with self._count_lock:
                self.open.pop(connection.fd, None)
                self.suspended[connection.fd] = connection
        if self.is_closing:
            self._cancel_suspended(connection)
        elif not is_upgraded:
            self.set_interest(connection, READ)
        # The last step: from here on the connection is the loop's.
        connection.async_exchange.launch(self._resume)  # type: ignore[union-attr]  # a suspended connection has one

    def _cancel_suspended(self, connection: Connection) -> None:
        """Cancel what *connection* waits for: its client has left, or the server stops."""
        if connection.interest:
            connection.interest = 0
            self._poller.unregister(connection.fd)
        async_exchange = connection.async_exchange  # the loop may be ending it now
        if async_exchange is not None:
            async_exchange.cancel()
