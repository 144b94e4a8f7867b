"""The sockets that clients connect to."""

from socket import socket

from dewar.server.connection.readiness import is_readable
from dewar.server.system.listeners import close_listeners
from dewar.server.threads.poller import READ, Poller


class ListenerSet:
    """The listeners of one pool; only the leader uses it.

    Args:
        listeners: The sockets; `close` closes them.
        poller: What reports new clients.

    Attributes:
        by_fd: The sockets by descriptor; empty once they are closed.
    """

    def __init__(self, listeners: list[socket], poller: Poller) -> None:
        self._poller = poller
        self._waited_on: set[int] = set()
        self.by_fd = {listener.fileno(): listener for listener in listeners}

    def __len__(self) -> int:
        return len(self.by_fd)

    def __repr__(self) -> str:
        return f"<ListenerSet of {len(self)}>"

    def register(self) -> None:
        """Have the poller report new clients."""
        for fd in self.by_fd:
            self._poller.register(fd, READ)

    def unregister(self) -> None:
        """Stop the poller's reports."""
        for fd in self.by_fd:
            self._poller.unregister(fd)

    def begin_looks(self) -> None:
        """Treat the next look as the first."""
        self._waited_on = set()

    def look(self) -> set[int]:
        """Return the listeners on which clients wait, and also waited at the last look."""
        before = self._waited_on
        self._waited_on = {fd for fd, listener in self.by_fd.items() if is_readable(listener)}
        return before & self._waited_on

    def close(self) -> None:
        """Close the sockets, which the poller no longer watches."""
        listeners = list(self.by_fd.values())
        self.by_fd.clear()
        close_listeners(listeners)
