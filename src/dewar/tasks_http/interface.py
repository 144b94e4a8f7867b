"""What the pages ask of the `dewar.tasks.tasks.Tasks` whose jobs they show, and of the app."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from dewar.tasks.settings import TasksSettings
from dewar.tasks.status import JobStatus

#: What somebody wants to do with a job.
Action: TypeAlias = Literal["see", "cancel"]

#: Whether who asks may do that. It is called in the request, and may look at ``session`` and ``g``.
Access: TypeAlias = Callable[[JobStatus, Action], object]


class WatchedLedger(Protocol):
    """What the pages ask of a ledger."""

    def changes(self) -> object:
        """Return something that is another value once anything was committed."""

    def get_many(self, ids: Sequence[str]) -> Mapping[str, Any]:
        """Return the records of those jobs, by id, that there are."""


class ServedTasks(Protocol):
    """What the pages ask of `Tasks`."""

    @property
    def ledger(self) -> WatchedLedger:
        """The ledger, which may be asked without beginning any work."""

    def status(self, id: str) -> JobStatus:
        """Return what the ledger knows of a job."""

    def status_of(self, record: Any) -> JobStatus:
        """Return what a record of the ledger says."""

    def cancel(self, id: str, *, running: bool = False) -> bool:
        """Cancel a job; return whether it will not run to its end."""

    def settings(self) -> TasksSettings:
        """Return the settings."""

    def set_links(self, links: Callable[[str], Mapping[str, str]]) -> None:
        """Have a function say where a client finds out about a job."""
