"""`CommandTasks` and `JobStore`: what ``dewar tasks`` asks of an app's tasks and their ledger."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import click

from dewar.cli.group import command_app
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.serialization.task_address import EXTENSION


class JobStore(Protocol):
    """A ledger. It is a Protocol, because to import the ledger itself needs the extra libraries."""

    database: Any

    def get(self, id: str) -> JobRecord | None:
        """Return a job."""

    def list(
        self, state: JobState | None = None, task: str | None = None, limit: int = 50
    ) -> Sequence[JobRecord]:
        """Return jobs, the newest first."""

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""

    def cancel(self, id: str, now: float, describe: Callable[[JobRecord], str]) -> bool:
        """Cancel a job that waits."""

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

    def settings(self) -> Any:
        """Return the settings."""

    def open_ledger(self) -> JobStore:
        """Return the ledger without beginning to run jobs."""

    def start(self) -> None:
        """Begin to run jobs in this process."""

    def stop(self, timeout: float | None = None) -> bool:
        """Stop running jobs in this process."""


def tasks_of(ctx: click.Context) -> CommandTasks:
    """Return the tasks of the app that a command is for.

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
