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
  touched by the leader. Going away and coming back happen under the roster's lock, so
  that a deposed thread can not put its connection back into the poller before the taker has
  taken it out.
* Only the leader polls, so between its poll and its next one nothing needs to be disarmed:
  a quick request costs no system call but its own two.
* If all threads are busy, the last one keeps the leadership while it runs. New requests wait
  in the kernel then. The first thread to come back takes the leadership from it.
"""

import logging
import threading
import time
from enum import Enum
from socket import socket

from dewar.server.connection.connection import Connection
from dewar.server.connection.service import Service
from dewar.server.connection.state import State
from dewar.server.threads.acceptor import Acceptor
from dewar.server.threads.pace import Pace
from dewar.server.threads.poller import READ, Waker, open_poller
from dewar.server.threads.roster import Roster
from dewar.server.threads.statistics import PoolStatistics
from dewar.server.threads.watchdog import Watchdog
from dewar.server.threads.worker import Worker

_IDLE, _FLUSHING = State.IDLE, State.FLUSHING

# What is quicker than this, in seconds, is not worth a change of threads.
_QUICK = 0.001

_SWEEP = 1.0
_DRAIN_SWEEP = 0.05
_TRIES = 20
# For a connection that has come just before the end and has sent nothing yet, in seconds.
_DRAIN_GRACE = 0.5


# After a fault of our own, so that one that stays can not fill the log at full speed.
_FAULT_PAUSE = 0.05

_logger = logging.getLogger("dewar.server")


class Stage(Enum):
    """The life of a pool."""

    SERVING = "all is normal"
    DRAINING = "requests in flight are finished, no connection persists"
    ENDED = "threads leave as they come back"


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
        self._roster = Roster(self._poller)
        self._running: list[Connection] = []
        self._stage = Stage.SERVING
        self._wanted = False
        self._pace = Pace()
        self._next_sweep = 0.0
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
            f" {len(self._roster.open)} connections>"
        )

    def start(self) -> None:
        """Begin to serve."""
        if len(self._workers) > 1:
            self._watchdog.start()
        first = self._parked.pop()
        first.start()
        first.wake()

    def drain_soon(self) -> None:
        """Stop listening and finish what is in flight; `ended` is set when that is done."""
        if self._stage is Stage.SERVING:
            self._stage = Stage.DRAINING
            self._service.draining = True
            self._waker.wake()

    def end(self) -> None:
        """Cut all connections. Threads leave as soon as they come back from the application.

        Where the leader itself is inside the application, its leadership ends here, so that the
        listeners are closed in any case. Returns when they are, or after a second.
        """
        self._stage = Stage.ENDED
        self._service.draining = True
        self._waker.wake()
        for _ in range(_TRIES):
            if self.ended.wait(_DRAIN_SWEEP):
                return
            if self._seize():
                self._finish()

    def join(self, timeout: float) -> bool:
        """Wait for all threads; tell whether they are gone within *timeout* seconds.

        Call it after `ended` is set or `end` was called.
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
        connections = list(self._roster.open.values())
        return PoolStatistics(
            threads=sum(worker.is_started for worker in self._workers),
            parked=sum(worker.is_started for worker in list(self._parked)),
            connections=len(connections),
            away=len(self._roster.away),
            accepted=self._acceptor.accepted,
            turned_away=self._acceptor.refused,
            requests=self._roster.served + sum(c.served for c in connections),
            take_overs=self._take_overs,
            hands_over=self._pace.is_slow,
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
        self._pace.note_quick(runs)

    def _seize(self) -> bool:
        """Take the leadership from a leader inside a run; tell whether it was still there."""
        with self._roster.changing:
            try:
                connection = self._running.pop()
            except IndexError:
                return False
            self._hand_off(connection)
        self._take_overs += 1
        self._pace.note_slow()
        return True

    def _maybe_follower(self) -> Worker | None:
        """Take a thread off the stack, so that it waits for this caller's call alone."""
        try:
            worker = self._parked.pop()
        except IndexError:
            return None
        if not worker.is_started:
            try:
                worker.start()
            except RuntimeError as error:
                _logger.warning("%r does not start: %s", worker, error)
                self._parked.append(worker)
                return None
        return worker

    # A thread's life.

    def _work(self, worker: Worker) -> None:
        worker.park()
        while not self.ended.is_set():  # not the stage: who was called to lead has to finish
            self._lead()
            while self._wanted and not self._has_ended():
                self._wanted = False
                if self._seize():
                    self._lead()
            self._parked.append(worker)
            if not self.ended.is_set():  # after the append: else nobody would call us again
                worker.park()

    def _has_ended(self) -> bool:
        return self._stage is Stage.ENDED

    def _lead(self) -> None:
        """Lead until another thread does or the pool has ended; survive a mistake of ours."""
        # A list of this leadership's own: with a shared one a deposed leader would take out what
        # its successor has put in.
        running = self._running = []
        while True:
            try:
                self._poll_and_run(running)
            except Exception:
                # Out of memory or of a kernel's table, say. Were the leader to end with it, the
                # server would stand still with its port open.
                _logger.critical("The server met an error of its own", exc_info=True)
                if not self._recover(running):
                    return
            else:
                return

    def _recover(self, running: list[Connection]) -> bool:
        """Drop the connection that a fault was met on; tell whether this thread still leads."""
        with self._roster.changing:
            if self._running is not running:
                return False
            while running:
                self._roster.remove(running.pop())
        time.sleep(_FAULT_PAUSE)
        return True

    def _poll_and_run(self, running: list[Connection]) -> None:
        service = self._service
        connections = self._roster.open
        watchdog = self._watchdog
        pace = self._pace
        settle = self._roster.settle
        clock = service.clock
        poll = self._poller.poll
        while self._stage is not Stage.ENDED:
            events = poll(self._patience())
            now = service.now = clock()
            if now >= self._next_sweep or self._stage is not Stage.SERVING:
                self._sweep(now, events)
            for fd, mask in events:
                connection = connections.get(fd)
                if connection is None:
                    self._attend(fd)
                    continue
                # PERF: from here to the end of the loop is every request's way.
                if connection.receive() if mask == READ else self._see_to(connection):
                    if pace.is_slow and self._hand_over(connection):
                        return
                    self.turn += 1
                    running.append(connection)
                    if watchdog.is_asleep:
                        watchdog.wake()
                    connection.run()
                    try:
                        running.pop()
                    except IndexError:
                        self._roster.welcome_back(connection)
                        return
                if connection.state is not _IDLE:
                    settle(connection)
        self._finish()

    def _hand_over(self, connection: Connection) -> bool:
        """Run *connection* after another thread has begun to lead; tell whether there was one."""
        follower = self._maybe_follower()
        if follower is None:
            self._wanted = True
            return False
        self._hand_off(connection)
        follower.wake()
        clock = self._service.clock
        began = clock()
        connection.run()
        if clock() - began < _QUICK:
            self._pace.note_quick()
        else:
            self._pace.note_slow()
        self._roster.welcome_back(connection)
        return True

    def _hand_off(self, connection: Connection) -> None:
        self._roster.send_away(connection)
        self._running = []  # what tells the former leader that it does not lead any more

    # The leader's chores.

    def _patience(self) -> float:
        """Return how long to wait for events, in seconds; negative for ever."""
        if self._stage is not Stage.SERVING:
            return _DRAIN_SWEEP
        is_idle = not self._roster.open and not self._acceptor.is_paused()
        return -1 if is_idle and self._service.pulse is None else _SWEEP

    def _see_to(self, connection: Connection) -> bool:
        if connection.state is not _FLUSHING:
            return connection.receive()
        ready = connection.flush()
        if ready or connection.state is _IDLE:
            self._roster.arm(connection, READ)
        return ready

    def _attend(self, fd: int) -> None:
        """Take an event of a descriptor that is no connection (any more)."""
        if fd == self._waker.fd:
            self._waker.settle()
        elif self._stage is Stage.SERVING:
            self._roster.admit(self._acceptor.accept(fd, self._room()))

    def _room(self) -> int:
        return self._service.settings.max_connections - len(self._roster.open)

    def _sweep(self, now: float, events: list[tuple[int, int]]) -> None:
        """Look at all deadlines, and at what a stop asks for.

        A connection among *events* is not idle: a request has come on it.
        """
        self._next_sweep = now + _SWEEP
        self._service.writer.refresh(time.time())
        self._acceptor.tick(now)
        if self._service.pulse is not None:
            self._service.pulse()
        draining = self._stage is Stage.DRAINING
        if draining:
            self._roster.admit(self._acceptor.close(self._room()))
        ready = {fd for fd, _ in events}
        with self._roster.changing:
            for connection in self._roster.at_home():
                if connection.state is _IDLE and connection.fd in ready:
                    continue
                connection.expire(now)
                if draining:
                    connection.drain(now, _DRAIN_GRACE)
                self._roster.settle(connection)
        if draining and not self._roster.open:
            self._stage = Stage.ENDED

    def _finish(self) -> None:
        """Close what is left."""
        self._stage = Stage.ENDED
        self._acceptor.close(0)
        self._roster.close()
        self.ended.set()
