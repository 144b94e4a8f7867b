"""Leading on the event loop's thread, while nearly all requests are for the loop.

A request that a thread of the pool reads and the loop answers costs two changes of threads. While
hardly anything else comes, the loop's thread had better read it itself. It watches the poller as
it watches any descriptor. What is not for the loop it gives to a thread of the pool, as the
doorkeeper does. Where that becomes too much, or the loop is idle or blocked, one of these leads
again.

The token (see `dewar.server.threads.pool`) is the other way round here: in the list while the
loop's thread does something else, so that the leadership can be taken from a loop that is idle or
blocked, and out of it during a round.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from dewar.server.loop.process_loop import process_loop

_logger = logging.getLogger("dewar.server")


class LoopLeader:
    """The loop's thread as the leader of one pool.

    Args:
        fd: Readable while the poller has something to tell.
        lead_round: Takes what the poller has to tell, without blocking; tells whether to go on.
            Where not, it has seen to another leader.
    """

    def __init__(self, fd: int, lead_round: Callable[[], bool]) -> None:
        self._fd = fd
        self._lead_round = lead_round
        self._running: list[Any] = []

    def __repr__(self) -> str:
        return f"<LoopLeader {'between rounds' if self._running else 'in a round, or not leading'}>"

    def begin(self, running: list[Any]) -> None:
        """Have the loop's thread lead; the caller has led so far.

        Args:
            running: The list of this leadership.
        """
        self._running = running
        running.append(None)
        process_loop.call_soon(self._watch)

    def _watch(self) -> None:
        asyncio.get_running_loop().add_reader(self._fd, self._look)

    def _look(self) -> None:
        running = self._running
        try:
            running.pop()
        except IndexError:
            self._forget()  # another leads by now
            return
        try:
            goes_on = self._lead_round()
        except Exception:
            # As in `Pool._lead`: the server must not stand still with its port open.
            _logger.critical("The server met an error of its own", exc_info=True)
            goes_on = True
        if goes_on:
            running.append(None)
        else:
            self._forget()

    def _forget(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
