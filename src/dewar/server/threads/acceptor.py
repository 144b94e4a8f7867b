"""New connections: taken from the listeners, counted, and turned away where there are too many.

Only the leader uses it.
"""

import errno
import logging
import socket
from typing import Any

from dewar.server.connection.connection import Connection
from dewar.server.connection.entrance import Entrance
from dewar.server.connection.outbox import is_readable
from dewar.server.connection.service import Service
from dewar.server.listeners import close_listeners
from dewar.server.threads.poller import READ, Poller
from dewar.server.wire.errors import UNAVAILABLE, Refusal

_logger = logging.getLogger("dewar.server")

# Taken at one go; the connections that are there already wait meanwhile.
_ACCEPTS = 128
# The process or the system is out of something. Trying at once again would only spin.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 1.0
# How long a new connection is left to other processes that may have a thread for it, in seconds.
RELUCTANCE = 0.02
# Connections beyond the bound that may wait for their clients to see why they are turned away.
_EXCESS = 256
# How long a process leaves a client to one that has fewer, in seconds: enough for an idle one to
# be woken. If it was in vain it takes so many clients first, and twice as many the next time.
_ASIDE = 0.002
_MOST_VAIN = 6


class Acceptor:
    """Accepts on the listeners and pauses where the system has no more to give.

    Attributes:
        accepted: Connections taken since the start.
        refused: Those of them turned away with 503.
        aside_until: Until when clients are left to another process; 0.0 where they are not.
    """

    def __init__(self, service: Service, listeners: list[socket.socket], poller: Poller) -> None:
        self._service = service
        self._entrance = Entrance(service)
        self._poller = poller
        self._listeners = listeners
        self._by_fd = {listener.fileno(): listener for listener in listeners}
        self._resume_at: float | None = None
        self._is_back = False
        self._left: set[int] = set()  # listeners that somebody waited on at the last look
        self._look_at = 0.0
        self._is_watching = False
        self._came_back = 0.0
        self._vain = 0
        self._unasked = 0
        self.aside_until = 0.0
        self.accepted = 0
        self.refused = 0
        self._watch_or_forget()

    def __repr__(self) -> str:
        paused = "" if self._resume_at is None else ", paused"
        return f"<Acceptor {len(self._by_fd)} listeners, {self.accepted} accepted{paused}>"

    def accept(self, fd: int, room: int) -> list[Connection]:
        """Return the new connections on the listener *fd*; none is watched yet.

        Those beyond *room* have been told that they are too many.
        """
        listener = self._by_fd.get(fd)
        made: list[Connection] = []
        if listener is None:
            return made  # a stale event
        held = self._service.settings.max_connections - room
        for _ in range(_ACCEPTS):
            if self._steps_aside(held + len(made)):
                break
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
            if self._came_back:  # in vain: it was still there
                self._vain = min(self._vain + 1, _MOST_VAIN)
                self._came_back = 0.0
            if len(made) >= room:
                made += self._turn_away(sock, peer, len(made) - room)
            else:
                made += self._welcome(sock, peer)
        return made

    def accept_left(self, room: int) -> list[Connection]:
        """Return new connections that nobody has taken for a while; for after `step_back`."""
        now = self._service.now
        made: list[Connection] = []
        if self._resume_at is not None or now < self._look_at:
            return made
        self._look_at = now + RELUCTANCE
        waiting = {fd for fd, listener in self._by_fd.items() if is_readable(listener)}
        for fd in waiting & self._left:
            made += self.accept(fd, room - len(made))
        self._left = waiting
        return made

    def step_back(self) -> None:
        """Have no new connection reported: other processes have threads that are free."""
        self._is_back = True
        self._left = set()
        self._watch_or_forget()

    def step_forward(self) -> None:
        """Have new connections reported again."""
        self._is_back = False
        self._watch_or_forget()

    def wait_aside(self, now: float, patience: float) -> float:
        """Listen again if it is time; return how long to wait otherwise, at most *patience*."""
        if now < self.aside_until:
            return self.aside_until - now
        self.aside_until = 0.0
        self._came_back = now
        self._unasked = 1 << self._vain
        self._watch_or_forget()
        return patience

    def is_paused(self) -> bool:
        """Tell whether accepting waits for the system to have something to give again."""
        return self._resume_at is not None

    def tick(self, now: float) -> None:
        """Resume after a pause; called about once a second."""
        if self._resume_at is not None and now >= self._resume_at:
            self._resume_at = None
            self._watch_or_forget()

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
        self.leave()
        return last

    def leave(self) -> None:
        """Stop listening, and leave whoever waits to the other processes that do."""
        self._is_back = True
        self._watch_or_forget()
        self._by_fd.clear()
        close_listeners(self._listeners)

    def _steps_aside(self, count: int) -> bool:
        """Tell whether the next client is left to another process; *count* are open here."""
        service = self._service
        if service.share is None or service.draining or self._is_back:
            return False
        if self._came_back and service.now - self._came_back >= _ASIDE:
            # Somebody took the one that was left, and this is another.
            self._came_back = 0.0
            self._vain = self._unasked = 0
        if self._unasked:
            self._unasked -= 1
            return False
        if not service.share.steps_back(count):
            return False
        self.aside_until = service.now + _ASIDE
        self._watch_or_forget()
        return True

    def _welcome(self, sock: socket.socket, peer: object) -> list[Connection]:
        try:
            sock.setblocking(False)
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return [self._entrance.open(sock, peer)]
        except OSError:
            sock.close()  # reset between its arrival and now, or not let in
            return []

    def _turn_away(self, sock: socket.socket, peer: Any, excess: int) -> list[Connection]:
        """Answer with 503, as a connection that stays until the client has seen it.

        Closing at once would reset what the client is sending, and it would see that instead. Of
        such connections there may be some; past them, and before TLS or a PROXY header, where
        nothing can be said, clients are cut off.
        """
        self.refused += 1
        refusal = Refusal(UNAVAILABLE, "There are too many connections. Try again later.")
        for connection in self._welcome(sock, peer):
            if excess < _EXCESS and type(connection) is Connection:
                connection.turn_away(refusal)
                return [connection]
            connection.log_refusal(refusal)
            connection.close()
        return []

    def _pause(self, error: OSError) -> None:
        _logger.warning("Accepting pauses for %g s: %s", _PAUSE, error)
        self._resume_at = self._service.now + _PAUSE
        self._watch_or_forget()

    def _watch_or_forget(self) -> None:
        """Have the listeners reported, unless there is a reason not to."""
        wanted = self._resume_at is None and not self._is_back and not self.aside_until
        if wanted == self._is_watching:
            return
        self._is_watching = wanted
        for fd in self._by_fd:
            if wanted:
                self._poller.watch(fd, READ)
            else:
                self._poller.forget(fd)
