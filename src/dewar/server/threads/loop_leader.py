"""Leading on the event loop's thread, while nearly all requests are for the loop.

A request that a thread of the pool reads and the loop answers costs two changes of threads. While
hardly anything else comes, the loop's thread had better read it itself. It watches the poller as
it watches any descriptor. What is not for the loop it gives to a thread of the pool, as the
doorkeeper does. Where that becomes too much, or the loop is idle or blocked, one of these leads
again.

The token (see `dewar.server.threads.pool`) is the other way round here: in the list while the
loop's thread does something else, so that the leadership can be taken from a loop that is idle or
blocked, and out of it during a round. Only while a coroutine takes its first step in a round is
its connection in the list, as it is while any leader runs one: that step may block as well.
"""

import asyncio
import logging
import threading
from typing import Protocol

from dewar.server.connection.connection import Connection
from dewar.server.connection.service import Service
from dewar.server.loop.process_loop import process_loop
from dewar.server.threads.affinity import Affinity
from dewar.server.threads.chores import Chores, Stage
from dewar.server.threads.doorkeeper import Doorkeeper
from dewar.server.threads.poller import Poller
from dewar.server.threads.staff import Staff

_logger = logging.getLogger("dewar.server")

Token = list[Connection | None]


class Led(Protocol):
    """What leading on the loop needs of the pool. All of it is called by the leader."""

    def begin_turn(self) -> None:
        """Count a turn, for the watchdog to see."""

    def settle_deposed(self, connection: Connection) -> None:
        """Take back a connection that was begun with when the leadership was taken."""

    def finish(self) -> None:
        """End the pool."""


class LoopLeader:
    """The loop's thread as the leader of one pool.

    Args:
        pool: Whose leader it is.
        service: What the pool serves.
        poller: Where the news of clients come from.
        chores: What there is to do besides.
        door: How requests are taken in without being run.
        staff: The threads that lead otherwise.

    Attributes:
        leads: Whether the loop's thread leads.
    """

    def __init__(
        self,
        pool: Led,
        service: Service,
        poller: Poller,
        chores: Chores,
        door: Doorkeeper,
        staff: Staff,
    ) -> None:
        self._pool = pool
        self._service = service
        self._poller = poller
        self._chores = chores
        self._door = door
        self._staff = staff
        fd = poller.maybe_fd() if service.suspends else None
        self._fd = -1 if fd is None else fd
        self._affinity = Affinity()
        self._running: Token = []
        self._last_for_loop = 0
        self._was_watched = False
        self.leads = False

    def __repr__(self) -> str:
        return f"<LoopLeader {'leading' if self.leads else 'not leading'}, {self._affinity!r}>"

    def is_wanted(self, turn: int, is_for_loop: bool) -> bool:
        """Tell whether the loop's thread had better lead; for a leader that is not.

        Args:
            turn: The number of a run that has just suspended its connection; the runs between
                this and the last such one were for threads.
            is_for_loop: Whether the loop alone can answer that request.
        """
        affinity = self._affinity
        affinity.note_others(turn - self._last_for_loop - 1)
        self._last_for_loop = turn
        if is_for_loop:
            affinity.note_loop()
        else:
            affinity.note_others()
        return affinity.is_loop and self._fd >= 0

    def begin(self, running: Token) -> None:
        """Have the loop's thread lead; the caller has led so far.

        Args:
            running: The list of this leadership.
        """
        self._running = running
        self._was_watched = True
        self.leads = True
        running.append(None)
        process_loop.call_soon(self._watch)

    def leave(self) -> None:
        """Lead no more; the caller has the token."""
        self._affinity.reset()
        self._running = []
        self.leads = False

    def end(self, timeout: float) -> bool:
        """Have the loop look at the poller no more, so that this can be closed.

        Args:
            timeout: Seconds that the loop gets for it; a coroutine may block it.

        Returns:
            Whether it is so.
        """
        if not self._was_watched or process_loop.is_here():
            self._forget()
            return True
        is_done = threading.Event()
        process_loop.call_soon(self._forget)
        process_loop.call_soon(is_done.set)
        return is_done.wait(timeout)

    # On the loop's thread.

    def _watch(self) -> None:
        if self.leads:
            asyncio.get_running_loop().add_reader(self._fd, self._look)

    def _look(self) -> None:
        running = self._running
        try:
            running.pop()
        except IndexError:
            self._forget()  # another leads by now
            return
        try:
            leads_on = self._lead_round(running)
        except Exception:
            # As in `Pool._lead`: the server must not stand still with its port open.
            _logger.critical("The server met an error of its own", exc_info=True)
            leads_on = True
        if leads_on and running is self._running:
            running.append(None)
        else:
            self._forget()

    def _forget(self) -> None:
        if self._was_watched:
            process_loop.get().remove_reader(self._fd)

    def _lead_round(self, running: Token) -> bool:
        """Take what the poller has to tell, without waiting; tell whether to lead on."""
        service, chores, door = self._service, self._chores, self._door
        self._pool.begin_turn()
        events = self._poller.poll(0)
        now = service.now = service.clock()
        if now >= chores.next_sweep or chores.stage is not Stage.SERVING:
            chores.sweep(now, events)
        for fd, mask in events:
            connection = door.maybe_ready(fd, mask)
            if connection is not None and not self._leads_after(connection, running):
                return False
        if chores.stage is Stage.ENDED:
            self.leave()
            self._pool.finish()
            return False
        follower = None if self._affinity.is_loop else self._staff.maybe_worker()
        if follower is None:
            return True
        self.leave()
        follower.wake()
        return False

    def _leads_after(self, connection: Connection, running: Token) -> bool:
        """Begin with a request, or have a thread run it; tell whether this one leads still."""
        door, staff = self._door, self._staff
        running.append(connection)
        is_for_loop = door.begins_on_loop(connection)
        try:
            running.pop()
        except IndexError:
            if is_for_loop:
                self._pool.settle_deposed(connection)
            else:
                staff.submit(connection)  # it was sent away when the leadership was taken
            return False
        if is_for_loop:
            self._affinity.note_loop()
            door.settle(connection)
        else:
            self._affinity.note_others()
            door.queue(connection, staff)
        return True
