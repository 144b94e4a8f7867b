"""Leading while all threads are inside the application.

The overflow leader accepts, reads, flushes and checks deadlines like any leader, but it does not
run requests: a complete request waits for the next thread that comes back. So slow handlers delay
only the requests that wait for a thread. These wait in order, and their number is limited.
"""

from dewar.server.connection.server_context import ServerContext
from dewar.server.threads.acceptor import UNCLAIMED_AFTER, Acceptor
from dewar.server.threads.leader_duties import LeaderDuties, PoolState
from dewar.server.threads.runner import RequestRunner
from dewar.server.threads.scores import LatencyScore
from dewar.server.threads.work_queue import WorkerThread, WorkQueue


class OverflowLeader:
    """The leader of one pool while no thread is free. Any thread may call `stuck_since`.

    Args:
        server_context: The server.
        acceptor: Leaves new connections to other processes meanwhile.
        duties: The duties of every leader.
        runner: Has threads run the requests.
        work_queue: The threads, one of which leads as soon as it is free.
        latency: The score of slow requests.
    """

    def __init__(
        self,
        server_context: ServerContext,
        acceptor: Acceptor,
        duties: LeaderDuties,
        runner: RequestRunner,
        work_queue: WorkQueue,
        latency: LatencyScore,
    ) -> None:
        self._server_context = server_context
        self._acceptor = acceptor
        self._duties = duties
        self._runner = runner
        self._work_queue = work_queue
        self._latency = latency
        self._leaves_clients = False
        self._last_return_count: tuple[int, float] = (-1, 0.0)

    def __repr__(self) -> str:
        return f"<OverflowLeader, {self._work_queue!r}>"

    def lead(self) -> bool:
        """Lead until a thread is free to; return whether one leads now. Else the pool has ended."""
        try:
            worker = self._lead()
        finally:
            self._share_clients(False)
        if worker is None:
            return False
        worker.wake()
        return True

    def stuck_since(self) -> float | None:
        """Return since when all threads have been inside the application and none has come back.

        The time is that of the server's clock, and at most a second late. None if one is free.
        """
        return_count, since = self._last_return_count
        if return_count != self._work_queue.return_count or not self._work_queue.is_exhausted():
            return None
        return since

    def _lead(self) -> WorkerThread | None:
        duties, work_queue = self._duties, self._work_queue
        has_others = self._server_context.settings.processes > 1
        while duties.pool_state is not PoolState.ENDED:
            # While requests are slow it leads on beside idle threads, and these can take new ones.
            self._share_clients(has_others and work_queue.is_exhausted())
            events = duties.poll(UNCLAIMED_AFTER if self._leaves_clients else duties.poll_timeout())
            # If handlers are slow in general, a leader that runs them would soon be stuck again.
            # Then it is cheaper to stay and to give the requests to free threads.
            if not self._latency.is_slow and (worker := work_queue.maybe_worker()) is not None:
                return worker  # polling is level-triggered: it gets the same events
            if self._last_return_count[0] != work_queue.return_count:
                self._last_return_count = work_queue.return_count, self._server_context.now
            for fd, mask in events:
                connection = duties.maybe_ready(fd, mask)
                if connection is not None:
                    self._runner.begin_or_queue(connection)
            if self._leaves_clients:
                duties.accept_unclaimed()
        return None

    def _share_clients(self, leaves: bool) -> None:
        """Leave new clients to the other processes from now on, or accept them again."""
        if leaves != self._leaves_clients:
            self._leaves_clients = leaves
            if leaves:
                self._acceptor.leave_to_others()
            else:
                self._acceptor.accept_again()
