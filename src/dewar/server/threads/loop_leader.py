"""Leading on the event loop's thread, while nearly all requests are for the loop.

A request that a thread of the pool reads and the loop answers costs two thread switches. While
hardly any other request comes, the loop's thread reads them itself. It watches the poller like any
descriptor. Requests that are not for the loop go to a thread of the pool, as with the overflow
leader. If these become too many, or the loop is idle or blocked, a thread of the pool leads again.
"""

import asyncio
import logging
import threading

from dewar.loop.process_loop import process_loop
from dewar.server.connection.connection import Connection
from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.leader_duties import LeaderDuties, PoolState
from dewar.server.threads.leadership import Leadership, LeaderToken
from dewar.server.threads.runner import RequestRunner
from dewar.server.threads.watchdog import Watchdog

_logger = logging.getLogger("dewar.server")

# If more than these are suspended, many may resume at once, and clients would wait for them all.
_MAX_SUSPENDED = 128


class LoopLeader:
    """The event loop's thread as the leader of one pool.

    A leader on a thread calls `try_begin`. From then on everything is the loop's, until the
    token is taken.

    Args:
        fd: The descriptor of the poller; None if the loop's thread cannot lead.
        leadership: The leadership of the pool.
        watchdog: Takes the leadership from a loop that is idle or blocked.
        connections: The connections of the pool.
        duties: The duties of every leader.
        runner: Runs the requests that are not for the loop.
    """

    def __init__(
        self,
        fd: int | None,
        leadership: Leadership,
        watchdog: Watchdog,
        connections: ConnectionTable,
        duties: LeaderDuties,
        runner: RequestRunner,
    ) -> None:
        self._fd = fd
        self._leadership = leadership
        self._watchdog = watchdog
        self._connections = connections
        self._duties = duties
        self._runner = runner
        self._last_run_count = 0
        self._token: LeaderToken = []
        self._has_led = False

    def __repr__(self) -> str:
        return f"<LoopLeader {self._leadership.loop_score!r}>"

    def try_begin(self) -> bool:
        """Count a request that was suspended; return whether the loop's thread leads from now on.

        The requests since the last suspended one were not for the loop. They are counted here, so
        that they need not be counted one by one.
        """
        leadership = self._leadership
        leadership.loop_score.note_others(leadership.run_count - self._last_run_count - 1)
        leadership.loop_score.note_loop()
        self._last_run_count = leadership.run_count
        if self._fd is None or not self._is_preferred():
            return False
        token = self._token = leadership.begin_on_loop()
        self._has_led = True
        token.append(None)
        process_loop.call_soon(self._watch)
        self._watchdog.wake_if_asleep()
        return True

    def end(self, timeout: float) -> bool:
        """Have the loop stop watching the poller, so that the poller can be closed.

        Args:
            timeout: How long to wait for the loop, in seconds; a coroutine may block it.

        Returns:
            Whether the loop has stopped.
        """
        if not self._has_led:
            return True
        if process_loop.is_here():
            self._unwatch()
            return True
        is_unwatched = threading.Event()
        process_loop.call_soon(self._unwatch)
        process_loop.call_soon(is_unwatched.set)
        return is_unwatched.wait(timeout)

    # On the loop's thread.

    def _watch(self) -> None:
        if self._fd is not None:
            asyncio.get_running_loop().add_reader(self._fd, self._look)

    def _unwatch(self) -> None:
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)

    def _look(self) -> None:
        token = self._token
        try:
            token.pop()
        except IndexError:
            self._unwatch()  # another thread leads by now
            return
        try:
            leads_on = self._lead_round(token)
        except Exception:
            # As in `Pool._lead`: the server must not stand still with its port open.
            _logger.critical("Internal error in the server", exc_info=True)
            leads_on = token is self._leadership.token
        if leads_on:
            token.append(None)
        else:
            self._unwatch()

    def _lead_round(self, token: LeaderToken) -> bool:
        """Handle the poller's events; return whether to lead on."""
        duties, leadership = self._duties, self._leadership
        leadership.run_count += 1  # shows the watchdog that the loop is alive
        self._watchdog.wake_if_asleep()
        for fd, mask in duties.poll(0):
            connection = duties.maybe_ready(fd, mask)
            if connection is not None and not self._begin_or_queue(connection, token):
                return False
        if duties.pool_state is PoolState.ENDED:
            leadership.leave_loop()
            duties.finish()
            return False
        return self._is_preferred() or not leadership.promote_idle()

    def _begin_or_queue(self, connection: Connection, token: LeaderToken) -> bool:
        """Begin with a request, or have a thread run it; return whether to lead on."""
        token.append(connection)
        is_for_loop = self._runner.begin_on_loop(connection)
        try:
            token.pop()
        except IndexError:
            # The connection was handed off when the leadership was taken.
            if is_for_loop:
                self._runner.give_back(connection)
            else:
                self._runner.resume(connection)
            return False
        loop_score = self._leadership.loop_score
        if is_for_loop:
            loop_score.note_loop()
            self._connections.apply_state(connection)
        else:
            loop_score.note_others()
            self._runner.queue(connection)
        return True

    def _is_preferred(self) -> bool:
        """Return whether the loop's thread should lead, and would return to its clients soon."""
        return (
            self._leadership.loop_score.prefers_loop
            and len(self._connections.suspended) <= _MAX_SUSPENDED
        )
