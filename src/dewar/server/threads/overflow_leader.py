"""Leading while all threads are inside the application.

The overflow leader accepts, reads, flushes and looks at deadlines as any leader does, but runs no
request: what is complete waits for the next thread that comes back. So slow handlers hold up
nobody but those who wait for a thread, and these wait in order and in bounded number.
"""

from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import ServerContext
from dewar.server.errors import Refusal
from dewar.server.threads.acceptor import UNCLAIMED_AFTER, Acceptor
from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.fairness import FAIRNESS_THRESHOLD, select_fairly
from dewar.server.threads.latency_score import LatencyScore
from dewar.server.threads.leader_duties import LeaderDuties, PoolState
from dewar.server.threads.poller import READ, Poller
from dewar.server.threads.work_queue import WorkQueue
from dewar.server.threads.worker import WorkerThread
from dewar.server.wire.errors import UNAVAILABLE


class OverflowLeader:
    """One pool's leader of last resort. All but `stuck_since` and `rejected` is the leader's.

    Attributes:
        duties: What a leader does besides.
        rejected: Requests answered with 503, because too many waited.
    """

    def __init__(
        self,
        server_context: ServerContext,
        poller: Poller,
        acceptor: Acceptor,
        connections: ConnectionTable,
        duties: LeaderDuties,
    ) -> None:
        self._server_context = server_context
        self._poller = poller
        self._acceptor = acceptor
        self._connections = connections
        self.duties = duties
        self._last_return_count: tuple[int, float] = (-1, 0.0)
        self.rejected = 0

    def __repr__(self) -> str:
        return f"<OverflowLeader, {self.rejected} rejected>"

    def lead(self, work_queue: WorkQueue, latency: LatencyScore) -> bool:
        """Lead until a thread is free to; tell whether one does now. Else the pool has ended."""
        if self._server_context.settings.processes == 1:
            worker = self._lead(work_queue, latency, None)
        else:
            self._acceptor.leave_to_others()
            try:
                worker = self._lead(work_queue, latency, UNCLAIMED_AFTER)
            finally:
                self._acceptor.accept_again()
        if worker is None:
            return False
        worker.wake()
        return True

    def handle(self, fd: int, mask: int, work_queue: WorkQueue) -> None:
        """Take an event. What is for the event loop is begun; other requests wait for a thread."""
        connection = self.maybe_ready(fd, mask)
        if connection is None:
            return
        if self.begin_on_loop(connection):
            self._connections.apply_state(connection)
        else:
            self.queue(connection, work_queue)

    def maybe_ready(self, fd: int, mask: int) -> Connection | None:
        """Take an event; return the connection if a request is complete on it."""
        connection = self._connections.open.get(fd)
        if connection is None:
            self.duties.handle_other_fd(fd)
            return None
        try:
            is_ready = (
                connection.receive() if mask == READ else self.duties.receive_or_flush(connection)
            )
        except Exception as error:  # noqa: BLE001  # a fault of ours costs one connection
            is_ready = self.duties.fail_connection(connection, error)
        if is_ready:
            return connection
        self._connections.apply_state(connection)
        return None

    def begin_on_loop(self, connection: Connection) -> bool:
        """Begin with a request if the event loop alone can answer it; return whether it is handled.

        It does not block, but on the loop's own thread, where a coroutine takes its first step.
        """
        try:
            return connection.begin_on_loop()
        except Exception as error:  # noqa: BLE001  # as above
            self.duties.fail_connection(connection, error)
            return True

    def queue(self, connection: Connection, work_queue: WorkQueue) -> None:
        """Let a request wait for a thread, or reject it where too many do."""
        if work_queue.is_full():
            self.rejected += 1
            connection.reject(Refusal(UNAVAILABLE, "The server is busy. Try again later."))
            self._connections.apply_state(connection)
        else:
            self._connections.hand_off(connection)
            work_queue.submit(connection)

    def stuck_since(self, work_queue: WorkQueue) -> float | None:
        """Return since when all threads have been inside the application without one's return.

        The time is the service's clock's, and at most a second late. None where one is free.
        """
        return_count, since = self._last_return_count
        return (
            since if return_count == work_queue.return_count and work_queue.is_exhausted() else None
        )

    def _lead(
        self, work_queue: WorkQueue, latency: LatencyScore, poll_timeout: float | None
    ) -> WorkerThread | None:
        server_context = self._server_context
        duties = self.duties
        while duties.pool_state is not PoolState.ENDED:
            events = self._poller.poll(
                duties.poll_timeout() if poll_timeout is None else poll_timeout
            )
            now = server_context.now = server_context.clock()
            # Where handlers are slow on the whole, a leader would soon be stuck again: then it is
            # cheaper to stay, and to give the requests to whoever is free.
            if not latency.is_slow and (worker := work_queue.maybe_worker()) is not None:
                return worker  # polling is level-triggered: the events will be told again
            if now >= duties.next_sweep or duties.pool_state is not PoolState.SERVING:
                duties.sweep(now, events)
                self._note_return_count(work_queue.return_count, now)
            if len(events) > FAIRNESS_THRESHOLD:
                events = select_fairly(events, self._connections.open)
            for fd, mask in events:
                self.handle(fd, mask, work_queue)
            if poll_timeout is not None:
                duties.accept_unclaimed()
        return None

    def _note_return_count(self, return_count: int, now: float) -> None:
        if self._last_return_count[0] != return_count:
            self._last_return_count = return_count, now
