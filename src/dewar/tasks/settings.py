"""`TasksSettings`: how an app's tasks are run and kept, checked once."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from dewar.tasks.errors import TaskSetupError

#: What the settings' names begin with in an app's configuration.
PREFIX = "TASKS_"

_Seconds = float | timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class TasksSettings:
    """How tasks are run and kept. In an app's configuration each is ``TASKS_`` and its name.

    Attributes:
        ledger: Where jobs are kept: a file for SQLite, or a URL, ``postgresql://host/name``.
            ``<name of the app>.tasks.sqlite3`` in the instance folder if left out.
        durable: Have the disk confirm each job, so that it outlives a loss of power as well.
        engine: Where jobs run, as `TaskPool` takes it: ``dask://...``, ``celery+redis://...``.
        threads: How many threads run jobs, where neither `engine` nor `processes` is given.
        processes: How many processes run jobs.
        app: Where a process or another machine finds the app, as ``module:app``; worked out if
            left out.
        run_jobs: Whether this process runs jobs; where not, it only accepts them.
        prefetch: The most jobs that one process takes from the ledger before they can run.
        poll: How often, in seconds, a process looks for what others left in the ledger.
        lease: After how many seconds without a sign of life a process counts as dead.
        retention: For how long the ledger keeps a job that has ended; None for ever.
        shutdown_timeout: For how long jobs that run may go on when the process is told to end.
        callback_secrets: What callbacks are signed with, the newest first (``whsec_...``).
        callback_allow: Networks and hosts that callbacks may reach though they are internal.
    """

    ledger: str | Path | None = None
    durable: bool = False
    engine: str | None = None
    threads: int | None = None
    processes: int | None = None
    app: str | None = None
    run_jobs: bool = True
    prefetch: int = 1000
    poll: float = 0.25
    lease: float = 15.0
    retention: _Seconds | None = field(default_factory=lambda: timedelta(days=7))
    shutdown_timeout: float = 30.0
    callback_secrets: Sequence[str] = ()
    callback_allow: Sequence[str] = ()

    def __post_init__(self) -> None:
        ways = [name for name in ("engine", "threads", "processes") if getattr(self, name)]
        if len(ways) > 1:
            raise TaskSetupError(
                f"Jobs run in one way, and {' and '.join(ways)} are given. Leave out all but one."
            )
        for name in ("threads", "processes", "prefetch", "poll", "lease"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise TaskSetupError(f"{name}={value!r} should be greater than 0.")
        if isinstance(self.callback_secrets, str) or isinstance(self.callback_allow, str):
            raise TaskSetupError(
                "callback_secrets and callback_allow are lists, so that secrets can be changed:"
                " callback_secrets=['whsec_...']."
            )

    @classmethod
    def of(cls, given: Mapping[str, Any], config: Mapping[str, Any]) -> Self:
        """Return the settings that were given, and from an app's configuration what was not.

        Raises:
            TaskSetupError: For a name that is no setting, and values that cannot be.
        """
        names = {field.name for field in fields(cls)}
        for name in given:
            if name not in names:
                near = difflib.get_close_matches(name, names, 1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise TaskSetupError(f"Tasks has no setting {name!r}.{hint}")
        for key in config:
            name = key.removeprefix(PREFIX).lower()
            if key.startswith(PREFIX) and name not in names:
                near = difflib.get_close_matches(name, names, 1)
                hint = f" Did you mean {PREFIX}{near[0].upper()}?" if near else ""
                raise TaskSetupError(f"The configuration has {key}, which is no setting.{hint}")
        configured = {name: config.get(PREFIX + name.upper()) for name in names}
        found = {name: value for name, value in configured.items() if value is not None}
        return cls(**{**found, **given})

    @property
    def retention_seconds(self) -> float | None:
        """The retention in seconds."""
        return seconds(self.retention) if self.retention is not None else None


def seconds(value: _Seconds) -> float:
    """Return a length of time in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
