"""What the pages ask of the `dewar.tasks.tasks.Tasks` whose jobs they show."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeAlias

from dewar.tasks.interface import TasksApp
from dewar.tasks.settings import TasksSettings
from dewar.tasks.status import JobStatus

#: What a client wants to do with a job.
Action: TypeAlias = Literal["see", "cancel"]

#: Returns whether the client may do that. Called in the request, so it may use ``session``.
Access: TypeAlias = Callable[[JobStatus, Action], object]


class WatchedLedger(Protocol):
    """What the pages ask of a ledger."""

    #: The workflows; its `find` returns the record of one, or None.
    workflows: Any

    def changes(self) -> object:
        """Return a value that changes when anything is committed."""

    @property
    def is_listening(self) -> bool:
        """Whether other processes tell of their changes, so that the ledger need not be polled."""

    def watched(self, tell: Callable[[Any], object]) -> AbstractContextManager[None]:
        """Call a function with notices of changes, on any thread, during a ``with`` block."""

    def get_many(self, ids: Sequence[str]) -> Mapping[str, Any]:
        """Return the records of the jobs that exist, by id."""


class ServedTasks(Protocol):
    """What the pages ask of `Tasks`."""

    @property
    def ledger(self) -> WatchedLedger:
        """The ledger."""

    def status(self, id: str) -> JobStatus:
        """Return what the ledger knows of a job."""

    def status_of(self, record: Any) -> JobStatus:
        """Return the status that a record of the ledger describes."""

    def cancel(self, id: str, *, running: bool = False) -> bool:
        """Cancel a job; return whether it will not run to its end."""

    def settings(self) -> TasksSettings:
        """Return the settings."""

    def set_links(self, app: TasksApp, links: Callable[[str], Mapping[str, str]]) -> None:
        """Set the function that returns the URLs of a job."""
