"""New connections: taken from the listeners, counted, and turned away where there are too many.

Only the leader uses it.
"""

import errno
import logging
import socket
from typing import Any

from dewar.server.connection.connection import Connection
from dewar.server.connection.entrance import Entrance
from dewar.server.connection.service import Service
from dewar.server.listeners import close_listeners
from dewar.server.threads.poller import READ, Poller
from dewar.server.wire.errors import UNAVAILABLE, Refusal

_logger = logging.getLogger("dewar.server")

# Taken at one go; the connections that are there already wait meanwhile.
_ACCEPTS = 64
# The process or the system is out of something. Trying at once again would only spin.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 1.0


class Acceptor:
    """Accepts on the listeners and pauses where the system has no more to give.

    Attributes:
        accepted: Connections taken since the start.
        refused: Those of them turned away with 503.
    """

    def __init__(self, service: Service, listeners: list[socket.socket], poller: Poller) -> None:
        self._service = service
        self._entrance = Entrance(service)
        self._poller = poller
        self._listeners = listeners
        self._by_fd = {listener.fileno(): listener for listener in listeners}
        self._resume_at: float | None = None
        self._is_back = False
        self.accepted = 0
        self.refused = 0
        self._watch_all()

    def __repr__(self) -> str:
        paused = "" if self._resume_at is None else ", paused"
        return f"<Acceptor {len(self._by_fd)} listeners, {self.accepted} accepted{paused}>"

    def accept(self, fd: int, room: int) -> list[Connection]:
        """Return the new connections on the listener *fd*, at most *room*; none is watched yet."""
        listener = self._by_fd.get(fd)
        made: list[Connection] = []
        if listener is None:
            return made  # a stale event
        for _ in range(_ACCEPTS):
            try:
                sock, peer = listener.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(error)
                    break
                continue  # ECONNABORTED and its like: that client has gone, the next may not
            self.accepted += 1
            if len(made) >= room:
                self._turn_away(sock, peer)
            else:
                made += self._welcome(sock, peer)
        return made

    def accept_left(self, room: int) -> list[Connection]:
        """Return the new connections on all listeners; for the time after `step_back`."""
        made: list[Connection] = []
        if self._resume_at is None:
            for fd in list(self._by_fd):
                made += self.accept(fd, room - len(made))
        return made

    def step_back(self) -> None:
        """Have no new connection reported: other processes have threads that are free."""
        self._is_back = True
        if self._resume_at is None:
            self._forget_all()

    def step_forward(self) -> None:
        """Have new connections reported again."""
        self._is_back = False
        if self._resume_at is None:
            self._watch_all()

    def is_paused(self) -> bool:
        """Tell whether accepting waits for the system to have something to give again."""
        return self._resume_at is not None

    def tick(self, now: float) -> None:
        """Resume after a pause; called about once a second."""
        if self._resume_at is not None and now >= self._resume_at:
            self._resume_at = None
            if not self._is_back:
                self._watch_all()

    def close(self, room: int) -> list[Connection]:
        """Stop listening; return the connections that the kernel had ready for us."""
        last: list[Connection] = []
        for fd in self._by_fd:
            # As many as the kernel can have had waiting, and no more: clients that keep coming
            # must not keep the server from stopping.
            for _ in range(self._service.settings.backlog // _ACCEPTS + 1):
                before = self.accepted
                last += self.accept(fd, room - len(last))
                if self.accepted == before:
                    break
        if self._resume_at is None and not self._is_back:
            self._forget_all()
        self._by_fd.clear()
        close_listeners(self._listeners)
        return last

    def _welcome(self, sock: socket.socket, peer: object) -> list[Connection]:
        try:
            sock.setblocking(False)
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return [self._entrance.open(sock, peer)]
        except OSError:
            sock.close()  # reset between its arrival and now, or not let in
            return []

    def _turn_away(self, sock: socket.socket, peer: Any) -> None:
        self.refused += 1
        refusal = Refusal(UNAVAILABLE, "There are too many connections. Try again later.")
        if self._service.logs_access:
            environ = {"REMOTE_ADDR": peer[0] if isinstance(peer, tuple) else ""}
            self._service.access_log.log_refusal(environ, refusal)
        with sock:
            if self._service.tls is not None:
                return  # before a handshake nothing can be said
            sock.setblocking(False)
            try:
                sock.send(self._service.writer.refuse(refusal))
            except OSError as error:
                _logger.debug("A client that was turned away has gone: %s", error)

    def _pause(self, error: OSError) -> None:
        _logger.warning("Accepting pauses for %g s: %s", _PAUSE, error)
        self._resume_at = self._service.now + _PAUSE
        if not self._is_back:
            self._forget_all()

    def _watch_all(self) -> None:
        for fd in self._by_fd:
            self._poller.watch(fd, READ)

    def _forget_all(self) -> None:
        for fd in self._by_fd:
            self._poller.forget(fd)
