"""`LedgerUsers`: the `Tasks` of one process, of which none may run another's jobs.

A ledger knows a task by its name alone, so that any process of an app can run it. Two apps in one
process that have one ledger would take each other's jobs where a name is the same.
"""

import threading
from collections.abc import Sequence
from typing import Any, Protocol
from weakref import WeakSet

from dewar.tasks.errors import TaskSetupError


class LedgerUser(Protocol):
    """What is asked of `Tasks`."""

    app: Any

    @property
    def is_running(self) -> bool:
        """Whether it has jobs of this process, now."""

    @property
    def is_served(self) -> bool:
        """Whether its app is served by this process, now."""

    @property
    def ledger_location(self) -> str:
        """Where its ledger is."""

    def names(self) -> Sequence[str]:
        """Return the names of the tasks."""

    def find(self, name: str) -> Any:
        """Return a task."""

    def __hash__(self) -> int: ...


class LedgerUsers:
    """All `Tasks` that have begun in this process, for as long as anybody holds them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: WeakSet[LedgerUser] = WeakSet()

    def __repr__(self) -> str:
        return f"<LedgerUsers: {list(self._known)}>"

    def register(self, new: LedgerUser) -> None:
        """Take note of `Tasks` that begin.

        Raises:
            TaskSetupError: If others would run their jobs.
        """
        with self._lock:
            for other in self._known:
                if (
                    other is not new
                    and other.is_running
                    and other.ledger_location == new.ledger_location
                ):
                    _check(new, other)
            self._known.add(new)


def _check(new: LedgerUser, other: LedgerUser) -> None:
    if new.app is None or other.app is None:
        return
    shared = [name for name in new.names() if name in other.names()]
    # One app that is made again, by a test, is the same to the ledger; two that are served are two.
    if new.app.name == other.app.name and not (new.is_served and other.is_served):
        shared = [name for name in shared if not _is_same_task(new.find(name), other.find(name))]
    if shared:
        raise TaskSetupError(
            f"The apps {new.app.name!r} and {other.app.name!r} both have a task {shared[0]!r}, and"
            " one ledger, so each would run the other's jobs. Give one app a ledger of its own,"
            " app.config['TASKS_LEDGER'] = 'instance/other.sqlite3', or name the task otherwise:"
            f" @tasks.task({f'other {shared[0]}'!r})."
        )


def _is_same_task(task: Any, other: Any) -> bool:
    """Whether two tasks have the same function, which may have been defined twice."""
    code = getattr(task.function, "__code__", task.function)
    return code is getattr(other.function, "__code__", other.function)
