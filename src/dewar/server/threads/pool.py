"""Leader and followers: who polls, who runs, and how that changes hands.

The rules, on which everything here stands:

* One thread is the leader. It polls and runs what is ready itself, so that a quick request
  costs no change of thread.
* The token is a list that belongs to one leadership. The leader puts the connection into it
  before a run and takes it out afterwards. Whoever takes it out owns the leadership: taking
  from a list is atomic, so exactly one thread does. A leader that finds its list empty has been
  replaced: it applies the state of its connection, becomes a follower, and drops the rest of its
  events: polling is level-triggered, so the new leader gets them again.
* A connection that runs on a thread that does not lead is *handed off*: not in the poller, and not
  touched by the leader. Handing off and taking back happen under the connection table's lock, so
  that a replaced thread cannot put its connection back into the poller before the taker has
  taken it out.
* Only the leader polls, so between its poll and its next one nothing needs to be disarmed:
  a quick request costs no system call but its own two.
* If all threads are busy, one more thread leads, the overflow leader (see there).
* A connection whose application waits on the event loop is *suspended*: it has no thread. When
  it can go on, the loop's thread applies its state, or has a thread run it where that may block.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import Context
from functools import partial
from socket import socket

from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.metrics.statistics import PoolStatistics
from dewar.server.threads.acceptor import Acceptor
from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.latency_score import LatencyScore
from dewar.server.threads.leader_duties import LeaderDuties, PoolState
from dewar.server.threads.loop_leader import LeaderToken, LoopLeader
from dewar.server.threads.overflow_leader import OverflowLeader
from dewar.server.threads.poller import READ, Waker, open_poller
from dewar.server.threads.watchdog import Watchdog
from dewar.server.threads.work_queue import WorkQueue
from dewar.server.threads.worker import WorkerThread

_IDLE = ConnectionState.IDLE
# What is quicker than this, in seconds, is not worth a change of threads.
_QUICK = 0.001

# How often, and how long, to look whether a leader has heard that it is to end.
_TRIES, _LOOK = 20, 0.05
# After a fault of our own, so that one that stays cannot fill the log at full speed.
_FAULT_PAUSE = 0.05
_logger = logging.getLogger("dewar.server")


class Pool:
    """The threads of one server.

    Args:
        server_context: What they serve.
        listeners: Where clients come from; it closes them.

    Attributes:
        run_count: The number of the leader's latest run.
        ended: Set once nobody leads any more.
    """

    def __init__(self, server_context: ServerContext, listeners: list[socket]) -> None:
        self._server_context = server_context
        self._waker = Waker()
        self._poller = open_poller(self._waker)
        self._acceptor = Acceptor(server_context, listeners, self._poller)
        balancer = server_context.balancer
        self._connections = ConnectionTable(self._poller, self._resume_from_loop, balancer)
        self._token: LeaderToken = []
        shared = (server_context, self._poller)
        self._duties = LeaderDuties(*shared, self._waker, self._acceptor, self._connections)
        self._overflow_leader = OverflowLeader(
            *shared, self._acceptor, self._connections, self._duties
        )
        self._latency = LatencyScore()
        self._is_on_loop = False
        self._takeovers = 0
        settings = server_context.settings
        numbers = range(1, settings.threads + 1)
        self._workers = [WorkerThread(f"dewar-{n}", self._work) for n in numbers]
        self._overflow_thread = WorkerThread("dewar-overflow-leader", self._run_overflow_thread)
        self._work_queue = WorkQueue(self._workers, self._overflow_thread, settings.max_queue)
        self._loop_leader = LoopLeader(
            self, server_context, self._poller,
            self._connections, self._overflow_leader, self._work_queue,
        )  # fmt: skip
        self._watchdog = Watchdog(self)
        self.run_count = 0
        self.ended = self._duties.ended

    def __repr__(self) -> str:
        return (
            f"<Pool {self._duties.pool_state.name}, {len(self._workers)} threads,"
            f" {self._connections.count} connections>"
        )

    def start(self) -> None:
        """Begin to serve."""
        self._watchdog.start()
        first = self._workers[0]
        first.start()  # here, and not when it is needed: without it there is no server
        self._work_queue.maybe_worker()
        first.wake()

    def drain_soon(self) -> None:
        """Stop listening and finish what is in flight; `ended` is set when that is done."""
        self._duties.drain_soon()

    def retire_soon(self, linger: float) -> None:
        """Leave the listeners to other processes and finish; see `LeaderDuties.retire_soon`."""
        self._duties.retire_soon(linger)

    def end(self) -> None:
        """Cut all connections. Threads leave as soon as they come back from the application.

        Where the leader itself is inside the application, its leadership ends here, so that the
        listeners are closed in any case. Returns when they are, or after a second.
        """
        self._duties.pool_state = PoolState.ENDED
        self._server_context.draining = True
        self._waker.wake()
        for _ in range(_TRIES):
            if self.ended.wait(_LOOK):
                return
            if self._take_token():
                self._finish()

    def join(self, timeout: float) -> bool:
        """Wait for all threads; tell whether they are gone within *timeout* seconds.

        Call it after `ended` is set or `end` was called.
        """
        self._watchdog.stop()
        for worker in self._work_queue.take_idle_started():
            worker.wake()
        deadline = time.monotonic() + timeout
        threads = [*self._workers, self._overflow_thread]
        left = [w for w in threads if not w.join(max(0.0, deadline - time.monotonic()))]
        is_quiescent = self._connections.is_quiescent.wait(max(0.0, deadline - time.monotonic()))
        is_unwatched = self._loop_leader.end(max(_LOOK, deadline - time.monotonic()))
        is_over = not left and is_quiescent and is_unwatched
        if is_over:
            self._poller.close()
            self._waker.close()
        return is_over

    def statistics(self) -> PoolStatistics:
        """Return what the pool is doing."""
        idle_threads, waiting = self._work_queue.counts()
        return PoolStatistics(
            threads=sum(worker.is_started for worker in self._workers),
            idle_threads=idle_threads,
            waiting=waiting,
            connections=self._connections.count,
            handed_off=len(self._connections.handed_off),
            suspended=len(self._connections.suspended),
            accepted=self._acceptor.accepted,
            rejected=self._acceptor.rejected + self._overflow_leader.rejected,
            requests=self._connections.requests(),
            leader_takeovers=self._takeovers,
            early_promotion=self._latency.is_slow,
        )

    def stuck_since(self) -> float | None:
        """Return since when all threads have been inside the application; see `OverflowLeader`."""
        return self._overflow_leader.stuck_since(self._work_queue)

    # The watchdog's side.

    def is_running(self) -> bool:
        """Return whether the leader is inside a run."""
        return bool(self._token) and not self._is_on_loop

    def leads_on_loop(self) -> bool:
        """Return whether the event loop's thread leads."""
        return self._is_on_loop

    def take_over(self) -> None:
        """Give the leadership to another thread, unless the leader comes back first."""
        follower = self._work_queue.maybe_leader()
        if follower is None:
            return  # the system has no thread to give; the leader goes on alone
        if self._take_token():
            follower.wake()
        else:
            self._work_queue.put_back(follower)

    def note_quick(self, runs: int) -> None:
        """Note that the leader got through *runs* quickly enough."""
        self._latency.note_quick(runs)

    def _take_token(self) -> bool:
        """Take the leadership from a leader inside a run; tell whether it was still there."""
        with self._connections.ownership_lock:
            try:
                connection = self._token.pop()
            except IndexError:
                return False
            if self._is_on_loop:
                self._leave_loop()
            if connection is None:
                return True
            self._release_leadership(connection)
        self._takeovers += 1
        self._latency.note_slow()
        return True

    # A thread's life.

    def _work(self, worker: WorkerThread) -> None:
        connection = worker.park()
        # Not the stage: who was called to lead has to finish.
        while connection is not None or not self.ended.is_set():
            if connection is None:
                self._lead(self._poll_and_run)
            else:
                self._run_handed_off(connection)
            connection = self._work_queue.next_or_idle(worker)
            if connection is None:
                if self.ended.is_set() and self._work_queue.withdraw(worker):
                    return  # nobody would call it any more
                connection = worker.park()

    def _run_overflow_thread(self, overflow_thread: WorkerThread) -> None:
        overflow_thread.park()
        while not self.ended.is_set():
            self._lead(self._poll_and_queue)
            self._work_queue.put_back(overflow_thread)
            if not self.ended.is_set():
                overflow_thread.park()

    def _lead(self, loop: Callable[[LeaderToken], None]) -> None:
        """Lead until another thread does or the pool has ended; survive a mistake of ours."""
        # Its own: a replaced leader would take out of a shared one what its successor has put in.
        token = self._token = []
        while self._token is token:
            try:
                loop(token)
            except Exception:
                # Out of memory, say. Were the leader to end with it, the server would stand still.
                _logger.critical("Internal error in the server", exc_info=True)
                time.sleep(_FAULT_PAUSE)
            else:
                return

    def _poll_and_run(  # noqa: C901  # PERF: one pass, in one frame
        self, token: LeaderToken
    ) -> None:
        duties = self._duties
        connections = self._connections.open
        watchdog = self._watchdog
        latency = self._latency
        while duties.pool_state is not PoolState.ENDED:
            for fd, mask in duties.poll(duties.poll_timeout()):
                connection = connections.get(fd)
                if connection is None:
                    duties.handle_other_fd(fd)
                    if self._work_queue.has_waiting() and self._leave_to_another():
                        return
                    continue
                # PERF: from here to the end of the loop is every request's way.
                try:
                    is_ready = (
                        connection.receive()
                        if mask == READ
                        else duties.receive_or_flush(connection)
                    )
                except Exception as error:  # noqa: BLE001  # a fault of ours costs one connection
                    is_ready = duties.fail_connection(connection, error)
                if is_ready:
                    if latency.is_slow and self._promoted_and_ran(connection):
                        return
                    self.run_count += 1
                    token.append(connection)
                    if watchdog.is_asleep:
                        watchdog.wake()
                    try:
                        connection.run()
                    except Exception as error:  # noqa: BLE001  # as above
                        duties.fail_connection(connection, error)
                    try:
                        token.pop()
                    except IndexError:
                        self._connections.take_back(connection)
                        return
                if connection.state is not _IDLE and self._leave_to_loop(connection):
                    return
        self._finish()

    def _poll_and_queue(self, token: LeaderToken) -> None:  # noqa: ARG002  # runs nothing
        if not self._overflow_leader.lead(self._work_queue, self._latency):
            self._finish()

    def _leave_to_loop(self, connection: Connection) -> bool:
        """Apply the state of *connection*; return whether the loop's thread leads from here."""
        is_for_loop = connection.awaits_loop_alone()
        self._connections.apply_state(connection)
        if not is_for_loop or not self._loop_leader.note_suspended(self.run_count):
            return False
        token = self._token = []
        self._is_on_loop = True
        self._loop_leader.begin(token)
        self._watchdog.wake_if_asleep()
        return True

    def _leave_to_another(self) -> bool:
        """Let another thread lead, because requests wait for this one; return whether it does."""
        follower = self._work_queue.maybe_leader()
        if follower is not None:
            self._token = []
            follower.wake()
        return follower is not None

    def note_round(self) -> None:
        """Note that the loop's thread leads a round; the watchdog looks at that."""
        self.run_count += 1
        self._watchdog.wake_if_asleep()

    def take_from_loop(self, follower: WorkerThread | None) -> None:
        """Have *follower* lead in place of the loop's thread; None where the pool has ended.

        The loop's thread calls it, which holds the token.
        """
        self._leave_loop()
        if follower is None:
            self._finish()
        else:
            follower.wake()

    def _leave_loop(self) -> None:
        self._loop_leader.reset()
        self._is_on_loop = False
        self._token = []

    def _promoted_and_ran(self, connection: Connection) -> bool:
        """Run *connection* after another thread has begun to lead; return whether one has."""
        follower = self._work_queue.maybe_leader()
        if follower is None:
            return False
        self._release_leadership(connection)
        follower.wake()
        self._run_handed_off(connection)
        return True

    def _run_handed_off(self, connection: Connection) -> None:
        """Run *connection*, which is handed off, on a thread that does not lead."""
        clock = self._server_context.clock
        began = clock()
        self._run(connection)
        if clock() - began < _QUICK:
            self._latency.note_quick()
        else:
            self._latency.note_slow()

    def _run(self, connection: Connection) -> None:
        """Run *connection*, which is handed off or suspended, and give it to whoever leads."""
        try:
            connection.run()
        except Exception as error:  # noqa: BLE001  # a fault of ours costs one connection
            self._duties.fail_connection(connection, error)
        self._connections.take_back(connection)

    def _resume_from_loop(self, connection: Connection) -> None:
        """Go on with *connection*, on the event loop's thread, which must not block."""
        if not connection.has_more():
            self._run(connection)
            return
        with self._connections.ownership_lock:
            self._connections.hand_off(connection)
        if not self._work_queue.submit(connection):
            # The only thread that could run it may be the one that leads.
            self._waker.wake()
            if self.ended.is_set():
                self._drain_remaining(self._work_queue.take_waiting())

    def _finish(self) -> None:
        """End the pool; the caller leads, or nobody does."""
        left = self._work_queue.take_waiting()
        self._duties.finish([c for c in left if c.async_exchange is None])
        # The loop may have given one back meanwhile.
        self._drain_remaining(
            [c for c in left if c.async_exchange is not None] + self._work_queue.take_waiting()
        )

    def _drain_remaining(self, connections: list[Connection]) -> None:
        """Bring to its end what the application has begun, where no thread of the pool will."""
        for connection in connections:
            run = partial(Context().run, self._run_handed_off, connection)
            threading.Thread(target=run, name="dewar-drain", daemon=True).start()

    def _release_leadership(self, connection: Connection) -> None:
        self._connections.hand_off(connection)
        self._token = []  # what tells the former leader that it does not lead any more
