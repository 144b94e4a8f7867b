"""Running requests on threads that do not lead."""

import logging
from functools import partial

from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.errors import Refusal
from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.poller import Poller
from dewar.server.threads.scores import LatencyScore
from dewar.server.threads.upgrade_threads import UpgradeThreads
from dewar.server.threads.work_queue import WorkQueue
from dewar.server.wire.errors import UNAVAILABLE
from dewar.support.background_thread import BackgroundThread
from dewar.support.waker import Waker

_logger = logging.getLogger("dewar.server")

# In seconds. A change of threads does not pay for a request that is quicker.
_QUICK = 0.001
# For how many seconds after a poll, and how many requests, the leader goes on with the only client
# that is ready. A poll costs a share of a quick request.
_TURN, _TURN_REQUESTS = 0.0002, 8
_READY = ConnectionState.READY


def fail_connection(connection: Connection, error: Exception) -> bool:
    """Log an internal error and mark *connection* broken; it is closed when its state is applied.

    Returns:
        False: there is nothing to run.
    """
    _logger.critical("Internal error in the server", exc_info=error)
    connection.mark_broken()
    return False


class RequestRunner:
    """Runs the requests that the leader does not run itself, and those the event loop gives back.

    It holds the table, and the table holds its `resume` and `begin_upgrade`: the table starts what
    waits for the event loop, and `resume` goes on with it.

    Args:
        server_context: The server that the requests are for.
        poller: What reports the connections.
        waker: Wakes the leader.
        work_queue: The threads that run requests.
        latency: The score of slow requests.

    Attributes:
        connections: The connections of the pool.
        rejected: Requests answered with 503, because too many waited.
        upgrade_threads: The threads of requests for another protocol.
    """

    def __init__(
        self,
        server_context: ServerContext,
        poller: Poller,
        waker: Waker,
        work_queue: WorkQueue,
        latency: LatencyScore,
    ) -> None:
        self.connections = ConnectionTable(
            poller, self.resume, self.begin_upgrade, server_context.balancer
        )
        settings = server_context.settings
        self.upgrade_threads = UpgradeThreads(
            settings.websocket_threads, settings.max_queue, self._run_once, self.give_back
        )
        self._server_context = server_context
        self._begins_on_loop = server_context.begin_on_loop is not None
        self._waker = waker
        self._work_queue = work_queue
        self._latency = latency
        self._busy = Refusal(
            UNAVAILABLE,
            "The server is busy. Try again later.",
            f"max_queue={settings.max_queue} requests wait for a thread. Start more"
            " threads or processes.",
        )
        self.rejected = 0

    def __repr__(self) -> str:
        return f"<RequestRunner, {self._work_queue!r}, {self.rejected} rejected>"

    # The leader calls these.

    def begin_or_queue(self, connection: Connection) -> None:
        """Begin with a request if it is for the event loop; else have a thread run it."""
        if self._begins_on_loop and self.begin_on_loop(connection):
            self._latency.note_quick()  # it does not hold a leader
            self.connections.apply_state(connection)
        else:
            self.queue(connection)

    def begin_on_loop(self, connection: Connection) -> bool:
        """Begin with a request if the event loop alone can answer it; return whether it can.

        This blocks only on the loop's own thread, where a coroutine takes its first step.
        """
        try:
            return connection.begin_on_loop()
        except Exception as error:  # noqa: BLE001  # an internal error costs one connection
            fail_connection(connection, error)
            return True

    def queue(self, connection: Connection) -> None:
        """Have a thread run a request, or reject a new one if too many wait."""
        if self._work_queue.is_full() and not connection.has_begun():
            self.rejected += 1
            connection.reject(self._busy)
            self.connections.apply_state(connection)
        else:
            self.connections.hand_off(connection)
            self._work_queue.submit(connection)

    def begin_upgrade(self, connection: Connection) -> None:
        """Begin with a request that may leave HTTP: on the loop, else on a thread of its own.

        It may take hours, so it never runs on a thread of the pool.
        """
        connections = self.connections
        connections.hand_off(connection)
        try:
            connection.offer_upgrade(partial(self._note_upgraded, connection))
            has_begun = self._begins_on_loop and connection.begin_on_loop()
            refusal = None if has_begun else self.upgrade_threads.maybe_refuse(connection)
        except Exception as error:  # noqa: BLE001  # an internal error costs one connection
            fail_connection(connection, error)
            has_begun, refusal = True, None
        if refusal is not None:
            self._reject(connection, refusal)
        elif has_begun:
            self.give_back(connection)

    def run_alone(self, connection: Connection) -> None:
        """Run further requests of *connection* for a moment: the last poll found nobody else.

        The caller still leads: while it was replaced, others may have come.
        """
        server_context = self._server_context
        until = server_context.now + _TURN
        for _ in range(_TURN_REQUESTS):
            if connection.state is not _READY or server_context.clock() >= until:
                return
            self._run_once(connection)

    def close(self) -> None:
        """Close all connections. Requests that the application has begun are finished."""
        # First, so that no thread begins with them.
        waiting = self._work_queue.take_waiting() + self.upgrade_threads.take_waiting()
        unfinished = self.connections.close()
        # The loop may have given one back meanwhile.
        self._end_waiting([*waiting, *unfinished, *self._work_queue.take_waiting()])

    # A thread that does not lead calls this.

    def run(self, connection: Connection) -> None:
        """Run *connection*, which is handed off, and give it back to the leader."""
        clock = self._server_context.clock
        began = clock()
        self._run(connection)
        if clock() - began < _QUICK:
            self._latency.note_quick()
        else:
            self._latency.note_slow()

    # The event loop's thread, which must not block, calls this.

    def resume(self, connection: Connection) -> None:
        """Go on with *connection*; have a thread run what may block."""
        if not connection.can_block():
            self._run(connection)
            return
        with self.connections.ownership_lock:
            self.connections.hand_off(connection)
        if not self._work_queue.submit(connection):
            # The only thread that could run it may be the leader.
            self._waker.wake()
            if self.connections.is_closing:
                self._end_waiting(self._work_queue.take_waiting())

    # Any thread calls these.

    def _note_upgraded(self, connection: Connection) -> None:
        self.connections.note_upgraded(connection)
        hopeless, refusal = self.upgrade_threads.take_hopeless()
        for each in hopeless:
            self._reject(each, refusal or self._busy)

    def _reject(self, connection: Connection, refusal: Refusal) -> None:
        """Refuse a request that is handed off."""
        self.rejected += 1
        connection.reject(refusal)
        self.give_back(connection)

    def give_back(self, connection: Connection) -> None:
        """Give *connection* back to the leader, or finish it if there is none any more."""
        if self._server_context.logs_access:
            self._server_context.access_log.flush()
        while not self.connections.take_back(connection):
            self._run_once(connection)

    def _run(self, connection: Connection) -> None:
        self._run_once(connection)
        self.give_back(connection)

    def _run_once(self, connection: Connection) -> None:
        try:
            connection.run()
        except Exception as error:  # noqa: BLE001  # an internal error costs one connection
            fail_connection(connection, error)

    def _end_waiting(self, connections: list[Connection]) -> None:
        """Finish *connections* without a thread of the pool: these end. The table is closing."""
        for connection in connections:
            if not connection.has_begun():
                self.connections.take_back(connection)  # this closes it
            else:
                self._run_apart(connection)

    def _run_apart(self, connection: Connection) -> None:
        try:
            BackgroundThread("dewar-drain", self.run, connection).start()
        except RuntimeError:
            self.run(connection)  # no thread to be had: the others wait, and none is lost
