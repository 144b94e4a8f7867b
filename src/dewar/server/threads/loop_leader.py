"""Leading on the event loop's thread, while nearly all requests are for the loop.

A request that a thread of the pool reads and the loop answers costs two changes of threads. While
hardly anything else comes, the loop's thread had better read it itself. It watches the poller as
it watches any descriptor. What is not for the loop it gives to a thread of the pool, as the
overflow leader does. Where that becomes too much, or the loop is idle or blocked, one of these
leads again.

The token (see `dewar.server.threads.pool`) is the other way round here: in the list while the
loop's thread does something else, so that the leadership can be taken from a loop that is idle or
blocked, and out of it during a round. Only while a coroutine takes its first step in a round is
its connection in the list, as it is while any leader runs one: that step may block as well.
"""

import asyncio
import logging
import threading
from typing import Protocol

from dewar.loop.process_loop import process_loop
from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import ServerContext
from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.leader_duties import PoolState
from dewar.server.threads.loop_score import LoopScore
from dewar.server.threads.overflow_leader import OverflowLeader
from dewar.server.threads.poller import Poller
from dewar.server.threads.work_queue import WorkQueue
from dewar.server.threads.worker import WorkerThread

_logger = logging.getLogger("dewar.server")

LeaderToken = list[Connection | None]

# With more that wait than these, many may go on at once, and clients would wait for all of them.
_MAX_SUSPENDED = 128


class LoopLedPool(Protocol):
    """What a leader on the loop needs of its pool."""

    def note_round(self) -> None:
        """Take note that the loop's thread leads a round."""

    def take_from_loop(self, follower: WorkerThread | None) -> None:
        """Have *follower* lead in place of the loop's thread; None where the pool has ended."""


class LoopLeader:
    """The loop's thread as the leader of one pool.

    `note_suspended` and `begin` are for the leader on a thread; from then on all is the loop's,
    until the token is taken.
    """

    def __init__(
        self,
        pool: LoopLedPool,
        server_context: ServerContext,
        poller: Poller,
        connections: ConnectionTable,
        overflow_leader: OverflowLeader,
        work_queue: WorkQueue,
    ) -> None:
        self._pool = pool
        self._connections = connections
        self._duties = overflow_leader.duties
        self._overflow_leader = overflow_leader
        self._work_queue = work_queue
        self._loop_score = LoopScore()
        self._last_run_count = 0
        self._fd = poller.maybe_fd() if server_context.maybe_on_loop is not None else None
        self._token: LeaderToken = []
        self._has_led = False

    def __repr__(self) -> str:
        return f"<LoopLeader {self._loop_score!r}>"

    def note_suspended(self, run_count: int) -> bool:
        """Count a request that was suspended; return whether the loop's thread had better lead.

        Args:
            run_count: The number of the leader's run. What it ran since the last one that it
                suspended was not for the loop; so nobody needs to count those.
        """
        self._loop_score.note_others(run_count - self._last_run_count - 1)
        self._loop_score.note_loop()
        self._last_run_count = run_count
        return self._fd is not None and self._loop_score.prefers_loop and self._is_responsive()

    def reset(self) -> None:
        """Begin to count anew: another leads."""
        self._loop_score.reset()
        self._token = []

    def begin(self, token: LeaderToken) -> None:
        """Have the loop's thread lead.

        Args:
            token: The list of this leadership, for the token.
        """
        self._token = token
        self._has_led = True
        token.append(None)
        process_loop.call_soon(self._watch)

    def end(self, timeout: float) -> bool:
        """Have the loop look at the poller no more, so that this can be closed.

        Args:
            timeout: Seconds that the loop gets for it; a coroutine may block it.

        Returns:
            Whether it is so.
        """
        if not self._has_led:
            return True
        if process_loop.is_here():
            self._forget()
            return True
        is_forgotten = threading.Event()
        process_loop.call_soon(self._forget)
        process_loop.call_soon(is_forgotten.set)
        return is_forgotten.wait(timeout)

    # On the loop's thread.

    def _watch(self) -> None:
        if self._fd is not None:
            asyncio.get_running_loop().add_reader(self._fd, self._look)

    def _look(self) -> None:
        token = self._token
        try:
            token.pop()
        except IndexError:
            self._forget()  # another leads by now
            return
        try:
            leads_on = self._lead_round(token)
        except Exception:
            # As in `Pool._lead`: the server must not stand still with its port open.
            _logger.critical("Internal error in the server", exc_info=True)
            leads_on = token is self._token
        if leads_on:
            token.append(None)
        else:
            self._forget()

    def _lead_round(self, token: LeaderToken) -> bool:
        """Handle what the poller reports; return whether to lead on."""
        duties, overflow_leader = self._duties, self._overflow_leader
        self._pool.note_round()
        for fd, mask in duties.poll(0):
            connection = overflow_leader.maybe_ready(fd, mask)
            if connection is not None and not self._begin_or_queue(connection, token):
                return False
        has_ended = duties.pool_state is PoolState.ENDED
        leads_on = self._loop_score.prefers_loop and self._is_responsive()
        follower = None if has_ended or leads_on else self._work_queue.maybe_worker()
        if not has_ended and follower is None:
            return True
        self._pool.take_from_loop(follower)
        return False

    def _begin_or_queue(self, connection: Connection, token: LeaderToken) -> bool:
        """Begin with a request, or have a thread run it; return whether this one still leads."""
        overflow_leader, work_queue = self._overflow_leader, self._work_queue
        token.append(connection)
        is_for_loop = overflow_leader.begin_on_loop(connection)
        try:
            token.pop()
        except IndexError:
            # It was handed off when the leadership was taken.
            if is_for_loop:
                self._connections.take_back(connection)
            else:
                work_queue.submit(connection)
            return False
        if is_for_loop:
            self._loop_score.note_loop()
            self._connections.apply_state(connection)
        else:
            self._loop_score.note_others()
            overflow_leader.queue(connection, work_queue)
        return True

    def _is_responsive(self) -> bool:
        """Return whether the loop comes back to its clients soon, whatever coroutines may go on."""
        return len(self._connections.suspended) <= _MAX_SUSPENDED

    def _forget(self) -> None:
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
