"""`Watcher`: the one thread that looks at the ledger for all streams of a process.

Who does what, on which thread:

- Any thread begins and ends to follow a job.
- The watcher's thread is there while somebody follows. It asks the ledger every ``poll`` seconds
  whether anything was committed, and only then, in one go, for the jobs that are followed. It
  calls `Follower.tell`.

Nothing is missed: the ledger is asked for its changes before it is asked for the jobs, and whoever
begins to follow is told how the job is.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context
from typing import Any

from dewar.tasks.errors import TasksError
from dewar.tasks_http.interface import Desk, Recorded

_logger = logging.getLogger("dewar.tasks")


class Follower:
    """Who wants to know of a job.

    Args:
        id: The job's id.
        tell: Called on the watcher's thread with each new record of the job, and with None when
            there will be none any more.
    """

    __slots__ = ("id", "seen", "tell")

    def __init__(self, id: str, tell: Callable[[Any], object]) -> None:
        self.id = id
        self.tell = tell
        #: The record that it was told last; the watcher's.
        self.seen: Any = None


class Watcher:
    """Tells followers of their jobs. Any thread may call any method.

    Args:
        desk: Whose jobs they are.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._changing = threading.Lock()
        self._followers: set[Follower] = set()
        self._fresh: set[Follower] = set()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def __repr__(self) -> str:
        return f"<Watcher, {len(self._followers)} follow{', over' if self._over.is_set() else ''}>"

    @contextmanager
    def following(self, follower: Follower) -> Iterator[None]:
        """Have a follower told of its job."""
        with self._changing:
            self._followers.add(follower)
            self._fresh.add(follower)
            # A thread does not live on in a process that was forked.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=lambda: Context().run(self._run), name="dewar-tasks-watcher", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            with self._changing:
                self._followers.discard(follower)
                self._fresh.discard(follower)

    def end(self) -> None:
        """Tell all that there is no more to come, and watch nothing from now on."""
        self._over.set()

    def _run(self) -> None:
        known: object = None
        ledger: Recorded | None = None
        poll = self._desk.settings().poll
        while (turn := self._turn()) is not None:
            everybody, fresh = turn
            try:
                # Once: after its end, the desk would begin anew for whoever asks.
                ledger = ledger or self._desk.ledger
                changes = ledger.changes()
                asked, known = (fresh if changes == known else everybody), changes
                self._tell(asked, ledger.get_many(sorted({one.id for one in asked})))
            except TasksError as error:
                _logger.info("The streams of events end early: %s", error)
                self._tell(everybody, {})
            except Exception:
                _logger.exception("The streams of events end early")
                self._tell(everybody, {})
            self._over.wait(poll)

    def _turn(self) -> tuple[Sequence[Follower], Sequence[Follower]] | None:
        """Return all who follow, and of them those who are new; None where the thread may end."""
        with self._changing:
            everybody, fresh = list(self._followers), list(self._fresh)
            self._fresh.clear()
            if everybody and not self._over.is_set():
                return everybody, fresh
            self._thread = None
        self._tell(everybody, {})
        return None

    def _tell(self, asked: Sequence[Follower], found: Mapping[str, Any]) -> None:
        for follower in asked:
            record = found.get(follower.id)
            if record is None or record != follower.seen:
                follower.seen = record
                follower.tell(record)
