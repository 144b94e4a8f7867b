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
* If all threads are busy, one more thread leads, the doorkeeper (see there).
* A connection whose application waits on the event loop is *suspended*: it has no thread. When
  it can go on, the loop's thread settles it, or has a thread run it where that may block.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import Context
from functools import partial
from socket import socket

from dewar.server.connection.connection import Connection
from dewar.server.connection.service import Service
from dewar.server.connection.state import State
from dewar.server.threads.acceptor import Acceptor
from dewar.server.threads.chores import Chores, Stage
from dewar.server.threads.doorkeeper import Doorkeeper
from dewar.server.threads.loop_leader import LoopLeader, Token
from dewar.server.threads.pace import Pace
from dewar.server.threads.poller import READ, Waker, open_poller
from dewar.server.threads.roster import Roster
from dewar.server.threads.staff import Staff
from dewar.server.threads.statistics import PoolStatistics
from dewar.server.threads.watchdog import Watchdog
from dewar.server.threads.worker import Worker

_IDLE = State.IDLE

# What is quicker than this, in seconds, is not worth a change of threads.
_QUICK = 0.001

# How often, and how long, to look whether a leader has heard that it is to end.
_TRIES = 20
_LOOK = 0.05

# After a fault of our own, so that one that stays can not fill the log at full speed.
_FAULT_PAUSE = 0.05

_logger = logging.getLogger("dewar.server")


class Pool:
    """The threads of one server.

    Args:
        service: What they serve.
        listeners: Where clients come from; it closes them.

    Attributes:
        turn: The number of the leader's latest run.
        ended: Set once nobody leads any more.
    """

    def __init__(self, service: Service, listeners: list[socket]) -> None:
        self._service = service
        self._waker = Waker()
        self._poller = open_poller(self._waker)
        self._acceptor = Acceptor(service, listeners, self._poller)
        self._roster = Roster(self._poller, self._take_back, service.share)
        self._running: Token = []
        self._chores = Chores(service, self._poller, self._waker, self._acceptor, self._roster)
        self._door = Doorkeeper(service, self._poller, self._acceptor, self._roster, self._chores)
        self._pace = Pace()
        self._is_on_loop = False
        self._take_overs = 0
        settings = service.settings
        self._workers = [Worker(f"dewar-{n}", self._work) for n in range(1, settings.threads + 1)]
        self._doorkeeper = Worker("dewar-doorkeeper", self._keep_door)
        self._staff = Staff(self._workers, self._doorkeeper, settings.max_queue)
        self._loop = LoopLeader(self, service, self._poller, self._roster, self._door, self._staff)
        self._watchdog = Watchdog(self)
        self.turn = 0
        self.ended = self._chores.ended

    def __repr__(self) -> str:
        return (
            f"<Pool {self._chores.stage.name}, {len(self._workers)} threads,"
            f" {self._roster.count} connections>"
        )

    def start(self) -> None:
        """Begin to serve."""
        self._watchdog.start()
        first = self._workers[0]
        first.start()  # here, and not when it is needed: without it there is no server
        self._staff.maybe_worker()
        first.wake()

    def drain_soon(self) -> None:
        """Stop listening and finish what is in flight; `ended` is set when that is done."""
        self._chores.drain_soon()

    def retire_soon(self, linger: float) -> None:
        """Leave the listeners to other processes and finish; see `Chores.retire_soon`."""
        self._chores.retire_soon(linger)

    def end(self) -> None:
        """Cut all connections. Threads leave as soon as they come back from the application.

        Where the leader itself is inside the application, its leadership ends here, so that the
        listeners are closed in any case. Returns when they are, or after a second.
        """
        self._chores.stage = Stage.ENDED
        self._service.draining = True
        self._waker.wake()
        for _ in range(_TRIES):
            if self.ended.wait(_LOOK):
                return
            if self._seize():
                self._finish()

    def join(self, timeout: float) -> bool:
        """Wait for all threads; tell whether they are gone within *timeout* seconds.

        Call it after `ended` is set or `end` was called.
        """
        self._watchdog.stop()
        for worker in self._staff.dismiss():
            worker.wake()
        deadline = time.monotonic() + timeout
        threads = [*self._workers, self._doorkeeper]
        left = [w for w in threads if not w.join(max(0.0, deadline - time.monotonic()))]
        is_quiet = self._roster.is_quiet.wait(max(0.0, deadline - time.monotonic()))
        is_unwatched = self._loop.end(max(_LOOK, deadline - time.monotonic()))
        is_over = not left and is_quiet and is_unwatched
        if is_over:
            self._poller.close()
            self._waker.close()
        return is_over

    def statistics(self) -> PoolStatistics:
        """Return what the pool is doing."""
        parked, waiting = self._staff.counts()
        return PoolStatistics(
            threads=sum(worker.is_started for worker in self._workers),
            parked=parked,
            waiting=waiting,
            connections=self._roster.count,
            away=len(self._roster.away),
            suspended=len(self._roster.suspended),
            accepted=self._acceptor.accepted,
            turned_away=self._acceptor.refused + self._door.refused,
            requests=self._roster.requests(),
            take_overs=self._take_overs,
            hands_over=self._pace.is_slow,
        )

    def stuck_since(self) -> float | None:
        """Return since when all threads have been inside the application; see `Doorkeeper`."""
        return self._door.stuck_since(self._staff)

    # The watchdog's side.

    def is_running(self) -> bool:
        """Tell whether the leader is inside a run."""
        return bool(self._running) and not self._is_on_loop

    def leads_on_loop(self) -> bool:
        """Tell whether the event loop's thread leads."""
        return self._is_on_loop

    def depose(self) -> None:
        """Give the leadership to another thread, unless the leader comes back first."""
        follower = self._staff.maybe_leader()
        if follower is None:
            return  # the system has no thread to give; the leader goes on alone
        if self._seize():
            follower.wake()
        else:
            self._staff.put_back(follower)

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
            if self._is_on_loop:
                self._leave_loop()
            if connection is None:
                return True
            self._hand_off(connection)
        self._take_overs += 1
        self._pace.note_slow()
        return True

    # A thread's life.

    def _work(self, worker: Worker) -> None:
        job = worker.park()
        # Not the stage: who was called to lead has to finish.
        while job is not None or not self.ended.is_set():
            if job is None:
                self._lead(self._poll_and_run)
            else:
                self._run_away(job)
            job = self._staff.next_or_park(worker)
            if job is None:
                if self.ended.is_set() and self._staff.withdraw(worker):
                    return  # nobody would call it any more
                job = worker.park()

    def _keep_door(self, doorkeeper: Worker) -> None:
        doorkeeper.park()
        while not self.ended.is_set():
            self._lead(self._poll_and_queue)
            self._staff.put_back(doorkeeper)
            if not self.ended.is_set():
                doorkeeper.park()

    def _lead(self, loop: Callable[[Token], None]) -> None:
        """Lead until another thread does or the pool has ended; survive a mistake of ours."""
        # Its own: a deposed leader would take out of a shared one what its successor has put in.
        running = self._running = []
        while self._running is running:
            try:
                loop(running)
            except Exception:
                # Out of memory, say. Were the leader to end with it, the server would stand still.
                _logger.critical("The server met an error of its own", exc_info=True)
                time.sleep(_FAULT_PAUSE)
            else:
                return

    def _poll_and_run(  # noqa: C901  # PERF: one pass, in one frame
        self, running: Token
    ) -> None:
        chores = self._chores
        connections = self._roster.open
        watchdog = self._watchdog
        pace = self._pace
        leaves_to_loop = self._leaves_to_loop
        while chores.stage is not Stage.ENDED:
            for fd, mask in chores.news(chores.patience()):
                connection = connections.get(fd)
                if connection is None and self._attend(fd):
                    return
                if connection is None:
                    continue
                # PERF: from here to the end of the loop is every request's way.
                try:
                    is_ready = connection.receive() if mask == READ else chores.see_to(connection)
                except Exception as error:  # noqa: BLE001  # a fault of ours costs one connection
                    is_ready = chores.drop(connection, error)
                if not is_ready and connection.state is not _IDLE and leaves_to_loop(connection):
                    return
                if not is_ready:
                    continue
                if pace.is_slow and self._hand_over(connection):
                    return
                self.turn += 1
                running.append(connection)
                if watchdog.is_asleep:
                    watchdog.wake()
                try:
                    connection.run()
                except Exception as error:  # noqa: BLE001  # as above
                    chores.drop(connection, error)
                try:
                    running.pop()
                except IndexError:
                    self._roster.welcome_back(connection)
                    return
                if connection.state is not _IDLE and leaves_to_loop(connection):
                    return
        self._finish()

    def _poll_and_queue(self, running: Token) -> None:  # noqa: ARG002  # runs nothing
        if not self._door.lead(self._staff, self._pace):
            self._finish()

    def _leaves_to_loop(self, connection: Connection) -> bool:
        """Settle *connection*; have the loop's thread lead if that is better, and tell if so."""
        is_for_loop = connection.awaits_loop_alone()
        self._roster.settle(connection)
        if not is_for_loop or not self._loop.is_wanted(self.turn):
            return False
        running = self._running = []
        self._is_on_loop = True
        self._loop.begin(running)
        self._watchdog.rouse()
        return True

    def _attend(self, fd: int) -> bool:
        """Attend to what is no connection; return whether another thread leads from now on."""
        self._chores.attend(fd)
        # Requests may wait for this thread.
        follower = self._staff.maybe_leader() if self._staff.has_waiting() else None
        if follower is None:
            return False
        self._running = []
        follower.wake()
        return True

    def note_round(self) -> None:
        """Take note that the loop's thread leads a round; the watchdog looks at that."""
        self.turn += 1
        self._watchdog.rouse()

    def take_from_loop(self, follower: Worker | None) -> None:
        """Have *follower* lead in place of the loop's thread; None where the pool has ended.

        The loop's thread calls it, which holds the token.
        """
        self._leave_loop()
        if follower is None:
            self._finish()
        else:
            follower.wake()

    def _leave_loop(self) -> None:
        self._loop.reset()
        self._is_on_loop = False
        self._running = []

    def _hand_over(self, connection: Connection) -> bool:
        """Run *connection* after another thread has begun to lead; tell whether there was one."""
        follower = self._staff.maybe_leader()
        if follower is None:
            return False
        self._hand_off(connection)
        follower.wake()
        self._run_away(connection)
        return True

    def _run_away(self, connection: Connection) -> None:
        """Run *connection*, which is away, on a thread that does not lead."""
        clock = self._service.clock
        began = clock()
        self._run(connection)
        if clock() - began < _QUICK:
            self._pace.note_quick()
        else:
            self._pace.note_slow()

    def _run(self, connection: Connection) -> None:
        """Run *connection*, which is away or suspended, and give it to whoever leads."""
        try:
            connection.run()
        except Exception as error:  # noqa: BLE001  # a fault of ours costs one connection
            self._chores.drop(connection, error)
        self._roster.welcome_back(connection)

    def _take_back(self, connection: Connection) -> None:
        """Go on with *connection*, on the event loop's thread, which must not block."""
        if not connection.has_more():
            self._run(connection)
            return
        with self._roster.changing:
            self._roster.send_away(connection)
        if not self._staff.submit(connection):
            # The only thread that could run it may be the one that leads.
            self._waker.wake()
            if self.ended.is_set():
                self._see_out(self._staff.give_up())

    def _finish(self) -> None:
        """End the pool; the caller leads, or nobody does."""
        left = self._staff.give_up()
        self._chores.finish([c for c in left if c.suspension is None])
        # The loop may have given one back meanwhile.
        self._see_out([c for c in left if c.suspension is not None] + self._staff.give_up())

    def _see_out(self, connections: list[Connection]) -> None:
        """Bring to its end what the application has begun, where no thread of the pool will."""
        for connection in connections:
            run = partial(Context().run, self._run_away, connection)
            threading.Thread(target=run, name="dewar-last", daemon=True).start()

    def _hand_off(self, connection: Connection) -> None:
        self._roster.send_away(connection)
        self._running = []  # what tells the former leader that it does not lead any more
