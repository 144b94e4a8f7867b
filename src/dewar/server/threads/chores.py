"""What the leader does besides running requests: accepting, deadlines, flushing, the stop.

Only the leader calls these, whichever thread that is, but for what ends with ``_soon``. `stage` is
written by any thread, and only ever moves on.
"""

import logging
import threading
import time
from enum import Enum

from dewar.server.connection.connection import Connection
from dewar.server.connection.service import Service
from dewar.server.connection.state import State
from dewar.server.threads.accept_state import AcceptState
from dewar.server.threads.acceptor import Acceptor
from dewar.server.threads.poller import READ, Poller, Waker
from dewar.server.threads.roster import Roster
from dewar.server.threads.turns import MANY, by_turn

_logger = logging.getLogger("dewar.server")

_IDLE, _FLUSHING = State.IDLE, State.FLUSHING
_YIELDING = AcceptState.YIELDING

_SWEEP = 1.0
_DRAIN_SWEEP = 0.05
# For a connection that has come just before the end and has sent nothing yet, in seconds.
_DRAIN_GRACE = 0.5
# How long an idle connection may still carry a request when the server stops, in seconds. A client
# that asks without pause is told by an answer that the connection ends, and not by a closed one.
_LAST_CALL = 0.2


class Stage(Enum):
    """The life of a pool."""

    SERVING = "all is normal"
    RETIRING = "no connection persists, others take the new ones, and idle ones have some time"
    DRAINING = "requests in flight are finished, no connection persists"
    ENDED = "threads leave as they come back"


# PERF: a member of an enum is slower to reach than a name of this module.
_SERVING = Stage.SERVING


class Chores:
    """The leader's duties to everybody who is not being answered right now.

    Attributes:
        stage: How far the pool's life has come.
        next_sweep: When deadlines are looked at again.
        linger_until: When a pool that retires or drains closes connections that are idle still.
        ended: Set once nobody leads any more.
    """

    def __init__(
        self, service: Service, poller: Poller, waker: Waker, acceptor: Acceptor, roster: Roster
    ) -> None:
        self._service = service
        self._poller = poller
        self._waker = waker
        self._acceptor = acceptor
        self._roster = roster
        self.stage = Stage.SERVING
        self.next_sweep = 0.0
        self.linger_until = 0.0
        self.ended = threading.Event()

    def __repr__(self) -> str:
        return f"<Chores {self.stage.name}>"

    def drain_soon(self) -> None:
        """Stop listening and finish what is in flight; `ended` is set when that is done."""
        if self.stage in (Stage.SERVING, Stage.RETIRING):
            self._end_soon(Stage.DRAINING, _LAST_CALL)

    def retire_soon(self, linger: float) -> None:
        """Leave the listeners to other processes and finish; `ended` is set when that is done.

        An idle connection may be about to carry a request, so it is told with its next answer
        that it ends, and closed without one only after *linger* seconds.
        """
        if self.stage is Stage.SERVING:
            self._end_soon(Stage.RETIRING, linger)

    def patience(self) -> float:
        """Return how long to wait for events, in seconds; negative for ever."""
        if self.stage is not _SERVING:
            return _DRAIN_SWEEP
        if self._acceptor.state is _YIELDING:
            return self._acceptor.listen_again(self._service.clock(), _SWEEP)
        is_idle = not self._roster.count and not self._acceptor.is_paused()
        return -1 if is_idle and self._service.pulse is None else _SWEEP

    def news(self, patience: float) -> list[tuple[int, int]]:
        """Wait for events; return those that have their turn, after a look at what else is due.

        Args:
            patience: How long to wait, in seconds; negative for ever.
        """
        events = self._poller.poll(patience)
        now = self._service.now = self._service.clock()
        if now >= self.next_sweep or self.stage is not _SERVING:
            self.sweep(now, events)
        return by_turn(events, self._roster.open) if len(events) > MANY else events

    def see_to(self, connection: Connection) -> bool:
        """Go on with *connection*, about which there is news; tell whether it can be run."""
        if connection.state is not _FLUSHING:
            return connection.receive()
        ready = connection.flush()
        if ready or connection.state is _IDLE:
            self._roster.arm(connection, READ)
        return ready

    def attend(self, fd: int) -> None:
        """Take an event of a descriptor that is no connection (any more)."""
        if fd == self._waker.fd:
            self._waker.settle()
        elif not self._roster.look_at(fd) and self.stage is Stage.SERVING:
            self._roster.admit(self._acceptor.accept(fd, self._room()))

    def attend_left(self) -> None:
        """Accept whom no other process has taken on; see `Acceptor.step_back`."""
        if self.stage is Stage.SERVING:
            self._roster.admit(self._acceptor.accept_left(self._room()))

    def drop(self, connection: Connection, error: Exception) -> bool:
        """Log a fault of the server's own; have *connection* closed where it is settled.

        Whoever runs or leads calls it. False, for there is nothing to run.
        """
        _logger.critical("The server met an error of its own", exc_info=error)
        connection.break_off()
        return False

    def sweep(self, now: float, events: list[tuple[int, int]]) -> None:
        """Look at all deadlines, and at what a stop asks for.

        A connection among *events* is not idle: a request has come on it.
        """
        self.next_sweep = now + _SWEEP
        self._service.writer.refresh(time.time())
        self._acceptor.tick(now)
        if self._service.pulse is not None:
            self._service.pulse()
        if self.stage is Stage.RETIRING:
            self._acceptor.leave()
            if now >= self.linger_until or not self._roster.count:
                self.stage = Stage.DRAINING
        draining = self.stage is Stage.DRAINING
        if draining:
            self._roster.admit(self._acceptor.close(self._room()))
        ready = {fd for fd, _ in events}
        with self._roster.changing:
            for connection in self._roster.at_home():
                if connection.state is _IDLE and connection.fd in ready:
                    continue
                connection.expire(now)
                if draining and now >= self.linger_until:
                    connection.drain(now, _DRAIN_GRACE)
                self._roster.settle(connection)
        if draining and not self._roster.count:
            self.stage = Stage.ENDED

    def finish(self, abandoned: list[Connection]) -> None:
        """Close what is left. Those *abandoned* wait for a thread that will not come."""
        self.stage = Stage.ENDED
        self._acceptor.leave()
        self._roster.close(abandoned)
        self.ended.set()

    def _end_soon(self, stage: Stage, linger: float) -> None:
        self.linger_until = self._service.clock() + linger
        self.stage = stage
        self._service.draining = True
        self._waker.wake()

    def _room(self) -> int:
        return self._service.settings.max_connections - self._roster.count
