"""`Watcher`: the one thread that reads the ledger for all streams of a process.

Which thread does what:

- Any thread subscribes to a job, and unsubscribes.
- The watcher's thread runs while there are subscribers. It waits until it is told that one of their
  jobs has changed, reads all subscribed jobs in one query, and calls `Subscriber.tell`.
- Whichever thread commits, here, or hears from another process calls `_note`.

A notice may be lost, and older processes or those that cannot be heard send none. So the ledger is
asked from time to time whether anything was committed: seldom if this process hears others, and
every ``poll`` seconds if it does not.

No change is missed: the ledger is asked for its changes before it is asked for the jobs, a notice
that comes meanwhile leads to another look, and a new subscriber always gets the record of its job.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

from dewar.support.background_thread import BackgroundThread
from dewar.tasks.errors import TasksError
from dewar.tasks.ledger.ids import is_workflow
from dewar.tasks.ledger.notifications import Notice
from dewar.tasks_http.interface import ServedTasks, WatchedLedger

_logger = logging.getLogger("dewar.tasks")
# The seconds between two looks without a notice, if others are heard.
_SELDOM = 1.0
# The least seconds between two looks.
_PAUSE = 0.01


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
        self._ids: frozenset[str] = frozenset()
        # A notice names the jobs of a workflow, and not the workflow.
        self._has_workflows = False
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        # Set when there may be something to tell.
        self._woken = threading.Event()

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
        self._woken.set()
        try:
            yield
        finally:
            with self._changing:
                self._subscribers.discard(subscriber)
                self._new.discard(subscriber)
                if not self._subscribers:
                    self._woken.set()  # for the thread to end

    def end(self) -> None:
        """Call all subscribers with None, and watch nothing from now on."""
        self._over.set()
        self._woken.set()

    def _note(self, notice: Notice) -> None:
        """Have the ledger looked at, if a notice may be about a subscribed job."""
        is_partial = notice.is_partial or self._has_workflows
        if is_partial or not self._ids.isdisjoint((*notice.changed, *notice.ended)):
            self._woken.set()

    def _run(self) -> None:
        with ExitStack() as watched:
            # Once: if the tasks have stopped, to ask again would start them again.
            self._watch(cache(partial(self._open, watched)))

    def _open(self, watched: ExitStack) -> WatchedLedger:
        ledger = self._tasks.ledger
        watched.enter_context(ledger.watched(self._note))
        return ledger

    def _watch(self, ledger: Callable[[], WatchedLedger]) -> None:
        known: object = None
        poll = self._tasks.settings().poll
        while (turn := self._turn()) is not None:
            # First: what comes from now on leads to another look.
            self._woken.clear()
            is_told = False
            try:
                known = self._look(ledger(), known, *turn)
                is_told = ledger().is_listening
            except TasksError as error:
                _logger.info("The streams of events end early: %s", error)
                self._tell(turn[0], {})
            except Exception:
                _logger.exception("The streams of events end early")
                self._tell(turn[0], {})
            self._over.wait(_PAUSE)
            self._woken.wait(max(poll, _SELDOM) if is_told else poll)

    def _look(
        self,
        ledger: WatchedLedger,
        known: object,
        everybody: Sequence[Subscriber],
        new: Sequence[Subscriber],
    ) -> object:
        """Tell subscribers what has changed since a look; return what tells that apart."""
        changes = ledger.changes()
        asked = new if changes == known else everybody
        self._tell(asked, _records(ledger, sorted({one.id for one in asked})))
        return changes

    def _turn(self) -> tuple[Sequence[Subscriber], Sequence[Subscriber]] | None:
        """Return all subscribers, and the new ones among them; None if the thread may end."""
        with self._changing:
            everybody, new = list(self._subscribers), list(self._new)
            self._new.clear()
            self._ids = frozenset(one.id for one in everybody)
            self._has_workflows = any(map(is_workflow, self._ids))
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


def _records(ledger: WatchedLedger, ids: Sequence[str]) -> Mapping[str, Any]:
    """Return the records of jobs and workflows that exist, by id."""
    jobs = [id for id in ids if not is_workflow(id)]
    found = dict(ledger.get_many(jobs)) if jobs else {}
    for id in ids:
        record = ledger.workflows.find(id) if is_workflow(id) else None
        if record is not None:
            found[id] = record
    return found
