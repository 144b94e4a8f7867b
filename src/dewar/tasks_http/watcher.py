"""`Watcher`: the one thread that reads the ledger for all streams of a process.

Which thread does what:

- Any thread subscribes to a job, and unsubscribes.
- The watcher's thread runs while there are subscribers. Every ``poll`` seconds it asks the ledger
  whether anything was committed. Only then it reads all subscribed jobs, in one query, and calls
  `Subscriber.tell`.

No change is missed: the ledger is asked for its changes before it is asked for the jobs, and a new
subscriber always gets the record of its job.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dewar.support.background_thread import BackgroundThread
from dewar.tasks.errors import TasksError
from dewar.tasks_http.interface import ServedTasks, WatchedLedger

_logger = logging.getLogger("dewar.tasks")


class Subscriber:
    """A function that gets the records of a job.

    Args:
        id: The job's id.
        tell: Called on the watcher's thread with each new record of the job, and with None when
            there will be no more.
    """

    __slots__ = ("id", "seen", "tell")

    def __init__(self, id: str, tell: Callable[[Any], object]) -> None:
        self.id = id
        self.tell = tell
        #: The last record that it got. Only the watcher sets it.
        self.seen: Any = None


class Watcher:
    """Calls subscribers with the records of their jobs. Any thread may call any method.

    Args:
        tasks: The tasks whose jobs they are.
    """

    def __init__(self, tasks: ServedTasks) -> None:
        self._tasks = tasks
        self._changing = threading.Lock()
        self._subscribers: set[Subscriber] = set()
        self._new: set[Subscriber] = set()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def __repr__(self) -> str:
        over = ", over" if self._over.is_set() else ""
        return f"<Watcher, {len(self._subscribers)} subscribed{over}>"

    @contextmanager
    def subscribed(self, subscriber: Subscriber) -> Iterator[None]:
        """Call a subscriber with the records of its job during a ``with`` block."""
        with self._changing:
            self._subscribers.add(subscriber)
            self._new.add(subscriber)
            # A forked process does not have its parent's threads.
            if self._thread is None or not self._thread.is_alive():
                self._thread = BackgroundThread("dewar-tasks-watcher", self._run)
                self._thread.start()
        try:
            yield
        finally:
            with self._changing:
                self._subscribers.discard(subscriber)
                self._new.discard(subscriber)

    def end(self) -> None:
        """Call all subscribers with None, and watch nothing from now on."""
        self._over.set()

    def _run(self) -> None:
        known: object = None
        ledger: WatchedLedger | None = None
        poll = self._tasks.settings().poll
        while (turn := self._turn()) is not None:
            everybody, new = turn
            try:
                # Once: if the tasks have stopped, to ask again would start them again.
                ledger = ledger or self._tasks.ledger
                changes = ledger.changes()
                asked, known = (new if changes == known else everybody), changes
                self._tell(asked, ledger.get_many(sorted({one.id for one in asked})))
            except TasksError as error:
                _logger.info("The streams of events end early: %s", error)
                self._tell(everybody, {})
            except Exception:
                _logger.exception("The streams of events end early")
                self._tell(everybody, {})
            self._over.wait(poll)

    def _turn(self) -> tuple[Sequence[Subscriber], Sequence[Subscriber]] | None:
        """Return all subscribers, and the new ones among them; None if the thread may end."""
        with self._changing:
            everybody, new = list(self._subscribers), list(self._new)
            self._new.clear()
            if everybody and not self._over.is_set():
                return everybody, new
            self._thread = None
        self._tell(everybody, {})
        return None

    def _tell(self, asked: Sequence[Subscriber], found: Mapping[str, Any]) -> None:
        for subscriber in asked:
            record = found.get(subscriber.id)
            if record is None or record != subscriber.seen:
                subscriber.seen = record
                subscriber.tell(record)
