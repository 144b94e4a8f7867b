"""Leader and followers: who polls, who runs, and how that changes hands.

The rules, on which everything here stands:

* One thread is the leader. It polls and runs what is ready itself, so that a quick request
  costs no change of thread.
* The token is a list that belongs to one leadership. The leader puts the connection into it
  before a run and takes it out afterwards. Whoever takes it out owns the leadership: taking
  from a list is atomic, so exactly one thread does. A leader that finds its list empty has been
  deposed: it settles its connection and becomes a follower. It drops the rest of its events;
  polling is level-triggered, so the new leader is told of them again.
* A connection that runs on a thread that does not lead is *away*: not in the poller, and not
  touched by the leader. Going away and coming back happen under `_changing`, so that a deposed
  thread can not put its connection back into the poller before the taker has taken it out.
* Only the leader polls, so between its poll and its next one nothing needs to be disarmed:
  a quick request costs no system call but its own two.
* If all threads are busy, the last one keeps the leadership while it runs. New requests wait
  in the kernel then. The first thread to come back takes the leadership from it.
"""

import threading
import time
from dataclasses import dataclass
from enum import Enum
from socket import socket

from dewar.server.connection.connection import Connection
from dewar.server.connection.service import Service
from dewar.server.connection.state import State
from dewar.server.threads.acceptor import Acceptor
from dewar.server.threads.poller import READ, WRITE, Waker, open_poller
from dewar.server.threads.watchdog import Watchdog
from dewar.server.threads.worker import Worker

_IDLE, _FLUSHING, _CLOSED = State.IDLE, State.FLUSHING, State.CLOSED

# Handing a request over costs about 40 µs here, and a stuck leader costs all others about
# 1.5 ms. So handing over beforehand pays once more than one request in 35 is slow; the score
# drifts up from there on. It takes four slow ones in short order to be sure.
_SLOW_COST = 32
_SLOW = 96
_SCORE_MAX = 256
_QUICK = 0.001

_SWEEP = 1.0
_DRAIN_SWEEP = 0.05
# For a connection that has come just before the end and has sent nothing yet, in seconds.
_DRAIN_GRACE = 0.5


class Stage(Enum):
    """The life of a pool."""

    SERVING = "all is normal"
    DRAINING = "requests in flight are finished, no connection persists"
    ENDED = "threads leave as they come back"


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolStatistics:
    """What a pool was doing at one moment; the parts are not taken at the same instant.

    Attributes:
        threads: Threads started so far.
        parked: Those of them that wait for work.
        connections: Open connections.
        away: Connections whose request runs on a thread that does not lead.
        accepted: Connections since the start.
        turned_away: Connections answered with 503, because there were too many.
        requests: Requests answered since the start.
        take_overs: How often a stuck leader was deposed.
        hands_over: Whether the leader passes the leadership on before it runs a request.
    """

    threads: int
    parked: int
    connections: int
    away: int
    accepted: int
    turned_away: int
    requests: int
    take_overs: int
    hands_over: bool


class Pool:
    """The threads of one server.

    Args:
        service: What they serve.
        listeners: Where clients come from; the pool closes them.

    Attributes:
        turn: The number of the leader's latest run.
        ended: Set once nobody leads any more.
    """

    def __init__(self, service: Service, listeners: list[socket]) -> None:
        self._service = service
        self._waker = Waker()
        self._poller = open_poller(self._waker)
        self._acceptor = Acceptor(service, listeners, self._poller)
        self._connections: dict[int, Connection] = {}
        self._away: set[Connection] = set()
        self._running: list[Connection] = []
        self._changing = threading.Lock()
        self._stage = Stage.SERVING
        self._wanted = False
        self._score = 0
        self._next_sweep = 0.0
        self._requests_before = 0
        self._take_overs = 0
        size = service.settings.threads
        self._workers = [Worker(f"dewar-{n}", self._work) for n in range(1, size + 1)]
        self._parked = self._workers[::-1]
        self._watchdog = Watchdog(self)
        self.turn = 0
        self.ended = threading.Event()

    def __repr__(self) -> str:
        return (
            f"<Pool {self._stage.name}, {len(self._workers)} threads,"
            f" {len(self._connections)} connections>"
        )

    def start(self) -> None:
        """Begin to serve."""
        if len(self._workers) > 1:
            self._watchdog.start()
        self._parked.pop().wake()

    def drain_soon(self) -> None:
        """Stop listening and finish what is in flight; `ended` is set when that is done."""
        if self._stage is Stage.SERVING:
            self._stage = Stage.DRAINING
            self._service.draining = True
            self._waker.wake()

    def end_soon(self) -> None:
        """Cut all connections. Threads leave as soon as they come back from the application."""
        self._stage = Stage.ENDED
        self._service.draining = True
        self._waker.wake()

    def join(self, timeout: float) -> bool:
        """Wait for all threads; tell whether they are gone within *timeout* seconds.

        Call it after `ended` is set or `end_soon` was called.
        """
        self._watchdog.stop()
        while self._parked:
            worker = self._parked.pop()
            if worker.is_started:
                worker.wake()
        deadline = time.monotonic() + timeout
        left = [w for w in self._workers if not w.join(max(0.0, deadline - time.monotonic()))]
        if not left:
            self._poller.close()
            self._waker.close()
        return not left

    def statistics(self) -> PoolStatistics:
        """Return what the pool is doing."""
        connections = list(self._connections.values())
        return PoolStatistics(
            threads=sum(worker.is_started for worker in self._workers),
            parked=sum(worker.is_started for worker in list(self._parked)),
            connections=len(connections),
            away=len(self._away),
            accepted=self._acceptor.accepted,
            turned_away=self._acceptor.refused,
            requests=self._requests_before + sum(c.served for c in connections),
            take_overs=self._take_overs,
            hands_over=self._score > _SLOW,
        )

    # The watchdog's side.

    def is_running(self) -> bool:
        """Tell whether the leader is inside a run."""
        return bool(self._running)

    def depose(self) -> None:
        """Give the leadership to another thread, unless the leader comes back first."""
        follower = self._maybe_follower()
        if follower is None:
            self._wanted = True
        elif self._seize():
            follower.wake()
        else:
            self._parked.append(follower)

    def credit(self, runs: int) -> None:
        """Note that the leader got through *runs* quickly enough."""
        self._score = max(0, self._score - runs)

    def _seize(self) -> bool:
        """Take the leadership from a leader inside a run; tell whether it was still there."""
        with self._changing:
            try:
                connection = self._running.pop()
            except IndexError:
                return False
            self._send_away(connection)
        self._take_overs += 1
        self._score = min(_SCORE_MAX, self._score + _SLOW_COST)
        return True

    def _maybe_follower(self) -> Worker | None:
        try:
            return self._parked.pop()
        except IndexError:
            return None

    # A thread's life.

    def _work(self, worker: Worker) -> None:
        while True:
            self._lead()
            while self._wanted and not self._has_ended():
                self._wanted = False
                if self._seize():
                    self._lead()
            self._parked.append(worker)
            if self._has_ended():
                return
            worker.park()
            if self._has_ended():
                return

    def _has_ended(self) -> bool:
        return self._stage is Stage.ENDED

    def _lead(self) -> None:
        """Poll and run until another thread leads or the pool has ended."""
        service = self._service
        connections = self._connections
        watchdog = self._watchdog
        clock = service.clock
        poll = self._poller.poll
        # A list of this leadership's own: with a shared one a deposed leader would take out what
        # its successor has put in.
        running = self._running = []
        while self._stage is not Stage.ENDED:
            events = poll(self._patience())
            now = service.now = clock()
            if now >= self._next_sweep or self._stage is not Stage.SERVING:
                self._sweep(now)
            for fd, mask in events:
                connection = connections.get(fd)
                if connection is None:
                    self._attend(fd)
                    continue
                # PERF: from here to the end of the loop is every request's way.
                if connection.receive() if mask == READ else self._see_to(connection):
                    if self._score > _SLOW and self._hand_over(connection):
                        return
                    self.turn += 1
                    running.append(connection)
                    if watchdog.is_asleep:
                        watchdog.wake()
                    connection.run()
                    try:
                        running.pop()
                    except IndexError:
                        self._come_back(connection)
                        return
                if connection.state is not _IDLE:
                    self._settle(connection)
        self._finish()

    def _hand_over(self, connection: Connection) -> bool:
        """Run *connection* after another thread has begun to lead; tell whether there was one."""
        follower = self._maybe_follower()
        if follower is None:
            return False
        self._send_away(connection)
        follower.wake()
        clock = self._service.clock
        began = clock()
        connection.run()
        if clock() - began < _QUICK:
            self._score = max(0, self._score - 1)
        else:
            self._score = min(_SCORE_MAX, self._score + _SLOW_COST)
        self._come_back(connection)
        return True

    def _send_away(self, connection: Connection) -> None:
        self._away.add(connection)
        self._poller.forget(connection.fd)
        connection.armed = 0

    def _come_back(self, connection: Connection) -> None:
        with self._changing:  # the taker may still be inside _seize
            self._away.discard(connection)
            self._settle(connection)

    # The leader's chores.

    def _patience(self) -> float:
        """Return how long to wait for events, in seconds; negative for ever."""
        if self._stage is not Stage.SERVING:
            return _DRAIN_SWEEP
        return _SWEEP if self._connections or self._acceptor.is_paused() else -1

    def _see_to(self, connection: Connection) -> bool:
        if connection.state is _FLUSHING:
            return connection.flush()
        return connection.receive()

    def _attend(self, fd: int) -> None:
        """Take an event of a descriptor that is no connection (any more)."""
        if fd == self._waker.fd:
            self._waker.settle()
        elif self._stage is Stage.SERVING:
            self._admit(self._acceptor.accept(fd, self._room()))

    def _room(self) -> int:
        return self._service.settings.max_connections - len(self._connections)

    def _admit(self, fresh: list[Connection]) -> None:
        for connection in fresh:
            self._connections[connection.fd] = connection
            self._settle(connection)

    def _settle(self, connection: Connection) -> None:
        """Have the poller report what *connection* now waits for, or close it."""
        if connection.state is _CLOSED or self._stage is Stage.ENDED:
            self._remove(connection)
            return
        interest = WRITE if connection.state is _FLUSHING else READ
        if interest == connection.armed:
            return
        was_armed, connection.armed = connection.armed, interest
        # The last step: from here on the connection is the leader's, who may be another thread
        # and may have sent it away again before this call returns.
        if was_armed:
            self._poller.change(connection.fd, interest)
        else:
            self._poller.watch(connection.fd, interest)

    def _remove(self, connection: Connection) -> None:
        # In this order: once the socket is closed its number may come back as a new client's.
        if self._connections.pop(connection.fd, None) is None:
            return
        self._requests_before += connection.served
        if connection.armed:
            self._poller.forget(connection.fd)
            connection.armed = 0
        connection.close()

    def _sweep(self, now: float) -> None:
        """Look at all deadlines, and at what a stop asks for."""
        self._next_sweep = now + _SWEEP
        self._service.writer.refresh(time.time())
        self._acceptor.tick(now)
        draining = self._stage is Stage.DRAINING
        if draining:
            self._admit(self._acceptor.close(self._room()))
        with self._changing:
            for connection in list(self._connections.values()):
                if connection in self._away:
                    continue
                connection.expire(now)
                if draining:
                    connection.drain(now, _DRAIN_GRACE)
                self._settle(connection)
        if draining and not self._connections:
            self._stage = Stage.ENDED

    def _finish(self) -> None:
        """Close what is left. A connection that is away is closed where it comes back."""
        self._stage = Stage.ENDED
        self._acceptor.close(0)
        with self._changing:
            for connection in list(self._connections.values()):
                if connection not in self._away:
                    self._remove(connection)
        self.ended.set()
