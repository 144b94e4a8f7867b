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

from dewar.loop.process_loop import process_loop
from dewar.server.connection.connection import Connection
from dewar.server.connection.service import Service
from dewar.server.threads.affinity import Affinity
from dewar.server.threads.chores import Stage
from dewar.server.threads.doorkeeper import Doorkeeper
from dewar.server.threads.poller import Poller
from dewar.server.threads.roster import Roster
from dewar.server.threads.staff import Staff
from dewar.server.threads.worker import Worker

_logger = logging.getLogger("dewar.server")

Token = list[Connection | None]

# With more that wait than these, many may go on at once, and clients would wait for all of them.
_FEW = 128


class Owner(Protocol):
    """What a leader on the loop needs of its pool."""

    def note_round(self) -> None:
        """Take note that the loop's thread leads a round."""

    def take_from_loop(self, follower: Worker | None) -> None:
        """Have *follower* lead in place of the loop's thread; None where the pool has ended."""


class LoopLeader:
    """The loop's thread as the leader of one pool.

    `note_suspended` and `begin` are for the leader on a thread; from then on all is the loop's,
    until the token is taken.
    """

    def __init__(
        self,
        owner: Owner,
        service: Service,
        poller: Poller,
        roster: Roster,
        door: Doorkeeper,
        staff: Staff,
    ) -> None:
        self._owner = owner
        self._roster = roster
        self._chores = door.chores
        self._door = door
        self._staff = staff
        self._affinity = Affinity()
        self._last_turn = 0
        self._fd = poller.maybe_fd() if service.maybe_on_loop is not None else None
        self._running: Token = []
        self._has_led = False

    def __repr__(self) -> str:
        return f"<LoopLeader {self._affinity!r}>"

    def note_suspended(self, turn: int) -> bool:
        """Count a request that was suspended; return whether the loop's thread had better lead.

        Args:
            turn: The number of the leader's run. What it ran since the last one that it suspended
                was not for the loop; so nobody needs to count those.
        """
        self._affinity.note_others(turn - self._last_turn - 1)
        self._affinity.note_loop()
        self._last_turn = turn
        return self._fd is not None and self._affinity.is_loop and self._is_at_hand()

    def reset(self) -> None:
        """Begin to count anew: another leads."""
        self._affinity.reset()
        self._running = []

    def begin(self, running: Token) -> None:
        """Have the loop's thread lead.

        Args:
            running: The list of this leadership, for the token.
        """
        self._running = running
        self._has_led = True
        running.append(None)
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
            leads_on = running is self._running
        if leads_on:
            running.append(None)
        else:
            self._forget()

    def _lead_round(self, running: Token) -> bool:
        """Handle what the poller reports; return whether to lead on."""
        chores, door = self._chores, self._door
        self._owner.note_round()
        for fd, mask in chores.news(0):
            connection = door.maybe_ready(fd, mask)
            if connection is not None and not self._begin_or_queue(connection, running):
                return False
        has_ended = chores.stage is Stage.ENDED
        leads_on = self._affinity.is_loop and self._is_at_hand()
        follower = None if has_ended or leads_on else self._staff.maybe_worker()
        if not has_ended and follower is None:
            return True
        self._owner.take_from_loop(follower)
        return False

    def _begin_or_queue(self, connection: Connection, running: Token) -> bool:
        """Begin with a request, or have a thread run it; return whether this one still leads."""
        door, staff = self._door, self._staff
        running.append(connection)
        is_for_loop = door.begin_on_loop(connection)
        try:
            running.pop()
        except IndexError:
            # It was sent away when the leadership was taken.
            if is_for_loop:
                self._roster.welcome_back(connection)
            else:
                staff.submit(connection)
            return False
        if is_for_loop:
            self._affinity.note_loop()
            self._roster.settle(connection)
        else:
            self._affinity.note_others()
            door.queue(connection, staff)
        return True

    def _is_at_hand(self) -> bool:
        """Return whether the loop comes back to its clients soon, whatever coroutines may go on."""
        return len(self._roster.suspended) <= _FEW

    def _forget(self) -> None:
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
