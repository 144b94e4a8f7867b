"""Leader and followers: which thread polls, which threads run requests, and how that changes.

* One thread is the leader. It polls, and it runs the requests that are ready. So a quick request
  costs no thread switch.
* The leadership changes hands by a token; see `dewar.server.threads.leadership`.
* A connection that runs on a thread that does not lead is *handed off*: not in the poller, and not
  touched by the leader. Handing off and taking back happen under the connection table's lock, so
  that a replaced thread cannot put its connection back into the poller before the taker has
  taken it out.
* Only the leader polls, so nothing needs to be disarmed between two polls: a quick request costs
  only its own two system calls.
* If all threads are busy, one more thread leads, the overflow leader.
* A connection whose application waits on the event loop is *suspended*: it has no thread. When
  it can go on, the loop's thread applies its state, or has a thread run it if that may block.
"""

import logging
import time
from collections.abc import Callable
from socket import socket
from typing import TYPE_CHECKING

from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.errors import StartError
from dewar.server.system.last_threads import describe_threads
from dewar.server.threads.acceptor import Acceptor
from dewar.server.threads.idle_connections import IdleConnections
from dewar.server.threads.leader_duties import LeaderDuties, PoolState
from dewar.server.threads.leadership import Leadership, LeaderToken
from dewar.server.threads.loop_leader import LoopLeader
from dewar.server.threads.overflow_leader import OverflowLeader
from dewar.server.threads.poller import READ, open_poller
from dewar.server.threads.runner import RequestRunner, fail_connection
from dewar.server.threads.scores import LatencyScore
from dewar.server.threads.watchdog import Watchdog
from dewar.server.threads.work_queue import WorkerThread, WorkQueue
from dewar.support.waker import Waker

if TYPE_CHECKING:
    from dewar.server.metrics.statistics import PoolStatistics

_IDLE, _READY = ConnectionState.IDLE, ConnectionState.READY

# How often, and for how many seconds, to wait for a leader to end the pool.
_TRIES, _LOOK = 20, 0.05
# In seconds, after an internal error: one that repeats cannot fill the log at full speed.
_FAULT_PAUSE = 0.05
_NO_THREAD = (
    "The server starts with two threads, and the system does not give them: {}. Raise the limit of"
    " processes and threads: docker run --pids-limit, TasksMax= of systemd, or ulimit -u."
)
_logger = logging.getLogger("dewar.server")


class Pool:
    """The threads of one server.

    Args:
        server_context: The server.
        listeners: The sockets that clients connect to; the pool closes them.

    Attributes:
        ended: Set once no thread leads any more.
    """

    def __init__(self, server_context: ServerContext, listeners: list[socket]) -> None:
        settings = server_context.settings
        numbers = range(1, settings.threads + 1)
        self._workers = [WorkerThread(f"dewar-{n}", self._work) for n in numbers]
        self._overflow_thread = WorkerThread("dewar-overflow-leader", self._run_overflow_thread)
        work_queue = WorkQueue(self._workers, self._overflow_thread, settings.max_queue)
        waker, latency = Waker(), LatencyScore()
        poller = open_poller(waker)
        runner = RequestRunner(server_context, poller, waker, work_queue, latency)
        connections = runner.connections
        idle = IdleConnections(server_context, connections)
        acceptor = Acceptor(server_context, listeners, poller, idle.close_longest)
        leadership = Leadership(connections, work_queue, latency)
        duties = LeaderDuties(server_context, poller, waker, acceptor, connections, runner)
        watchdog = Watchdog(leadership)
        fd = None if server_context.begin_on_loop is None else poller.maybe_fd()
        self._overflow_leader = OverflowLeader(
            server_context, acceptor, duties, runner, work_queue, latency
        )
        self._loop_leader = LoopLeader(fd, leadership, watchdog, connections, duties, runner)
        self._body_storage = server_context.body_storage
        self._latency = latency
        self._work_queue = work_queue
        self._waker = waker
        self._poller = poller
        self._acceptor = acceptor
        self._runner = runner
        self._connections = connections
        self._leadership = leadership
        self._duties = duties
        self._watchdog = watchdog
        self.ended = duties.ended

    def __repr__(self) -> str:
        return (
            f"<Pool {self._duties.pool_state.name}, {len(self._workers)} threads,"
            f" {self._connections.count} connections>"
        )

    def start(self) -> None:
        """Begin to serve.

        Raises:
            StartError: The system gives this process no thread.
        """
        first = self._workers[0]
        try:
            self._watchdog.start()
            first.start()  # at once, and not when it is needed: without it there is no server
        except RuntimeError as error:
            self._watchdog.stop()
            raise StartError(_NO_THREAD.format(error)) from error
        self._work_queue.maybe_worker()
        first.wake()

    def drain_soon(self) -> None:
        """Stop listening and finish requests in flight; `ended` is set when that is done."""
        self._duties.drain_soon()

    def retire_soon(self, linger: float) -> None:
        """Leave the listeners to other processes and finish; see `LeaderDuties.retire_soon`."""
        self._duties.retire_soon(linger)

    def end(self) -> None:
        """Cut all connections. Threads end as soon as they come back from the application.

        If the leader itself is inside the application, its leadership ends here, so that the
        listeners are closed in any case. Return when they are, or after a second.
        """
        self._duties.cut_soon()
        for _ in range(_TRIES):
            if self.ended.wait(_LOOK):
                return
            if self._leadership.take():
                self._duties.finish()

    def join(self, timeout: float) -> bool:
        """Wait for all threads; return whether they have ended within *timeout* seconds.

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
        if left:
            _logger.warning(
                "Left inside the application: %s.", describe_threads(w.thread for w in left)
            )
        if is_over:
            self._poller.close()
            self._waker.close()
        return is_over

    def statistics(self) -> "PoolStatistics":
        """Return what the pool is doing."""
        from dewar.server.metrics.statistics import PoolStatistics  # PERF: seldom asked for

        idle_threads, waiting = self._work_queue.counts()
        return PoolStatistics(
            threads=sum(worker.is_started for worker in self._workers),
            idle_threads=idle_threads,
            waiting=waiting,
            connections=self._connections.count,
            handed_off=len(self._connections.handed_off),
            suspended=len(self._connections.suspended),
            accepted=self._acceptor.accepted,
            rejected=self._acceptor.rejected + self._runner.rejected,
            displaced=self._acceptor.displaced,
            requests=self._connections.requests(),
            leader_takeovers=self._leadership.takeovers,
            early_promotion=self._leadership.latency.is_slow,
            websockets=len(self._connections.upgraded),
            websocket_threads=self._runner.upgrade_threads.count,
            spooled=self._body_storage.disk.used,
        )

    def stuck_since(self) -> float | None:
        """Return since when all threads have been inside the application; see `OverflowLeader`."""
        return self._overflow_leader.stuck_since()

    # The life of a thread.

    def _work(self, worker: WorkerThread) -> None:
        connection = worker.park()
        # Not the pool's state: a thread that was called to lead has to end the pool.
        while connection is not None or not self.ended.is_set():
            if connection is None:
                self._lead(self._poll_and_run)
            else:
                self._runner.run(connection)
            connection = self._work_queue.next_or_idle(worker)
            if connection is None:
                if self.ended.is_set() and self._work_queue.withdraw(worker):
                    return  # no thread would call it any more
                connection = worker.park()

    def _run_overflow_thread(self, overflow_thread: WorkerThread) -> None:
        overflow_thread.park()
        while not self.ended.is_set():
            self._lead(self._poll_and_queue)
            self._work_queue.put_back(overflow_thread)
            if not self.ended.is_set():
                overflow_thread.park()

    def _lead(self, loop: Callable[[LeaderToken], None]) -> None:
        """Lead until another thread does or the pool has ended; go on after an internal error."""
        leadership = self._leadership
        token = leadership.token = []
        while leadership.token is token:
            try:
                loop(token)
            except Exception:
                # For example MemoryError. If the leader ended with it, the server would hang.
                _logger.critical("Internal error in the server", exc_info=True)
                time.sleep(_FAULT_PAUSE)
            else:
                return

    def _poll_and_run(  # noqa: C901  # PERF: one pass, in one frame
        self, token: LeaderToken
    ) -> None:
        duties, connections = self._duties, self._connections.open
        leadership, latency, watchdog = self._leadership, self._latency, self._watchdog
        flush, leave_to_loop = duties.receive_or_flush, self._leave_to_loop
        while duties.pool_state is not PoolState.ENDED:
            events = duties.poll(duties.poll_timeout())
            for fd, mask in events:
                connection = connections.get(fd)
                if connection is None and self._handle_other_fd(fd):
                    return  # to run one of the requests that wait
                if connection is None:
                    continue
                # PERF: every request runs from here to the end of the loop.
                try:
                    is_ready = connection.receive() if mask == READ else flush(connection)
                except Exception as error:  # noqa: BLE001  # an internal error costs one connection
                    is_ready = fail_connection(connection, error)
                if not is_ready and connection.state is not _IDLE and leave_to_loop(connection):
                    return
                if not is_ready:
                    continue
                if latency.is_slow and leadership.promote(connection):
                    self._runner.run(connection)
                    return
                leadership.run_count += 1
                token.append(connection)
                if watchdog.is_asleep:
                    watchdog.wake()
                try:
                    connection.run()
                except Exception as error:  # noqa: BLE001  # as above
                    fail_connection(connection, error)
                if connection.state is _READY and len(events) == 1 and token:
                    self._runner.run_alone(connection)
                try:
                    token.pop()
                except IndexError:
                    self._runner.give_back(connection)
                    return
                if (connection.state is not _IDLE or mask != READ) and leave_to_loop(connection):
                    return
        duties.finish()

    def _handle_other_fd(self, fd: int) -> bool:
        """Handle another descriptor; let another thread lead if requests wait for this one."""
        self._duties.handle_other_fd(fd)
        return self._work_queue.has_waiting() and self._leadership.promote()

    def _poll_and_queue(self, token: LeaderToken) -> None:  # noqa: ARG002  # runs nothing
        if not self._overflow_leader.lead():
            self._duties.finish()

    def _leave_to_loop(self, connection: Connection) -> bool:
        """Apply the state of *connection*; return whether the loop's thread leads from now on."""
        is_for_loop = connection.awaits_loop_alone()
        self._connections.apply_state(connection)
        return is_for_loop and self._loop_leader.try_begin()
