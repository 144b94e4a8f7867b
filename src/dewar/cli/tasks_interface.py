"""`CommandTasks` and `JobStore`: what ``dewar tasks`` asks of an app's tasks and their ledger."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import click

from dewar.cli.group import command_app
from dewar.tasks.errors import UnknownJob
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.serialization.task_address import EXTENSION


class JobStore(Protocol):
    """A ledger. It is a Protocol, because to import the ledger itself needs the extra libraries."""

    database: Any
    #: Its workflows; see `dewar.tasks.ledger.workflow_rows.LedgerWorkflows`.
    workflows: Any
    notifications: Any

    def get(self, id: str) -> JobRecord | None:
        """Return a job."""

    def find(self, wanted: Any, limit: int = 50) -> Sequence[JobRecord]:
        """Return the jobs that meet a `JobFilter`, the newest first."""

    def count(self, wanted: Any) -> int:
        """Return how many jobs meet a `JobFilter`."""

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""

    def cancel(self, id: str, now: float, describe: Callable[[JobRecord], str]) -> bool:
        """Cancel a job that waits."""

    def cancel_workflow(
        self, id: str, now: float, describe: Callable[[JobRecord], str]
    ) -> Sequence[str]:
        """Cancel the jobs of a workflow that wait; return their ids."""

    def cancel_running(self, id: str) -> bool:
        """Ask the process that runs a job to stop it."""

    def retry(self, id: str, now: float) -> bool:
        """Let a job run again that failed, was cancelled or is lost."""

    def purge(self, before: float, limit: int = 1000) -> int:
        """Delete some of the jobs that ended before a time."""

    def changes(self) -> object:
        """Return a value that changes when anything is committed."""

    def close(self) -> None:
        """Close the database."""


class CommandTasks(Protocol):
    """What commands ask of the `Tasks` of an app."""

    @property
    def json(self) -> Any:
        """Reads and writes JSON."""

    def names(self) -> Sequence[str]:
        """Return the names of the tasks."""

    def schedules(self) -> Mapping[str, Any]:
        """Return the schedules of the tasks that have one, by the names of the tasks."""

    def maybe_task(self, name: str) -> Any:
        """Return a task, or None."""

    def settings(self) -> Any:
        """Return the settings."""

    def open_ledger(self) -> JobStore:
        """Return the ledger without beginning to run jobs."""

    def ledger_location(self) -> str:
        """Return where the ledger is."""

    def start(self) -> None:
        """Begin to run jobs in this process."""

    def stop(self, timeout: float | None = None) -> bool:
        """Stop running jobs in this process."""


def tasks_of(ctx: click.Context) -> CommandTasks:
    """Return the tasks of the app that a command is for.

    Call it before anything is imported that needs the extra libraries: an app without tasks may be
    installed without them.

    Raises:
        click.ClickException: If the app has none.
    """
    app: Any = command_app(ctx)
    tasks: CommandTasks | None = app.extensions.get(EXTENSION)
    if tasks is None:
        raise click.ClickException(f"The app {app.name!r} has no tasks: tasks = Tasks(app).")
    return tasks


def open_store(ctx: click.Context) -> JobStore:
    """Return the ledger of the app that a command is for; it is closed with the context."""
    store = tasks_of(ctx).open_ledger()
    ctx.call_on_close(store.close)
    return store


def known_job(store: JobStore, id: str) -> JobRecord:
    """Return a job.

    Raises:
        UnknownJob: If the ledger has none with the id.
    """
    job = store.get(id)
    if job is None:
        raise UnknownJob(id)
    return job
