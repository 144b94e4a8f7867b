"""`TasksSettings`: how an app's tasks are run and stored, checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from dewar.support.near_match import did_you_mean, maybe_near
from dewar.support.setting_values import maybe_expected
from dewar.tasks.errors import TaskSetupError

#: What the settings' names begin with in an app's configuration.
PREFIX = "TASKS_"

_Seconds = float | timedelta
_KINDS = {
    "durable": bool, "run_jobs": bool, "show_errors": bool,
    "threads": int, "processes": int, "prefetch": int,
    "poll": float, "lease": float, "retention": float, "shutdown_timeout": float,
}  # fmt: skip
_MAY_BE_ZERO = frozenset({"retention", "shutdown_timeout"})


@dataclass(frozen=True, kw_only=True, slots=True)
class TasksSettings:
    """How tasks are run and stored. In an app's configuration each is ``TASKS_`` and its name."""

    #: Where jobs are stored: a file for SQLite, or a URL, ``postgresql://host/name``. By default
    #: ``<name of the app>.tasks.sqlite3`` in the instance folder.
    ledger: str | Path | None = None
    #: Whether the disk confirms each job, so that jobs survive a loss of power as well.
    durable: bool = False
    #: Where jobs run, as `TaskPool` takes it: ``dask://...``, ``celery+redis://...``.
    engine: str | None = None
    #: How many threads run jobs if neither `engine` nor `processes` is given.
    threads: int | None = None
    #: How many processes run jobs.
    processes: int | None = None
    #: Where another process finds the app, as ``module:app``; by default in the app's module.
    app: str | None = None
    #: Whether this process runs jobs; if not, it only accepts them.
    run_jobs: bool = True
    #: The most jobs that one process claims before they can run.
    prefetch: int = 1000
    #: The seconds between two looks at what other processes left in the ledger.
    poll: float = 0.25
    #: The seconds without a sign of life after which a process on another host counts as dead; the
    #: same for all processes of a ledger.
    lease: float = 15.0
    #: How long the ledger keeps a job that has ended; None for ever.
    retention: _Seconds | None = field(default_factory=lambda: timedelta(days=7))
    #: The seconds that running jobs get when the process stops.
    shutdown_timeout: float = 30.0
    #: The secrets that sign callbacks, the newest first (``whsec_...``).
    callback_secrets: Sequence[str] = ()
    #: Networks and hosts that callbacks may reach although they are internal.
    callback_allow: Sequence[str] = ()
    #: The names of header fields, parameters and form fields that do not leave the process with a
    #: job, because they have credentials; None for `dewar.support.redaction.CREDENTIALS`.
    credentials: Sequence[str] | None = None
    #: Whether the pages of jobs show the type and the text of a job's exception to clients.
    show_errors: bool = False

    def __post_init__(self) -> None:
        ways = [name for name in ("engine", "threads", "processes") if getattr(self, name)]
        if len(ways) > 1:
            raise TaskSetupError(
                f"Jobs run in one way, but {' and '.join(ways)} are given. Leave out all but one."
            )
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if value is None or (name == "retention" and isinstance(value, timedelta)):
                continue
            expected = maybe_expected(value, kind, or_zero=name in _MAY_BE_ZERO)
            if expected is not None:
                raise TaskSetupError(f"{name}={value!r} should be {expected}.")
        if isinstance(self.callback_secrets, str) or isinstance(self.callback_allow, str):
            raise TaskSetupError(
                "callback_secrets and callback_allow are lists, so that secrets can be changed:"
                " callback_secrets=['whsec_...']."
            )
        if isinstance(self.credentials, str):
            raise TaskSetupError(
                "credentials is a list of names: credentials=[*CREDENTIALS, 'x-tenant'], with"
                " 'from dewar.support.redaction import CREDENTIALS'."
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
                raise TaskSetupError(f"Tasks has no setting {name!r}.{did_you_mean(name, names)}")
        keys = {PREFIX + name.upper(): name for name in names}
        for key in config:
            if key.startswith(PREFIX) and key not in keys:
                near = maybe_near(key.removeprefix(PREFIX).lower(), names)
                hint = f" Did you mean {PREFIX}{near.upper()}?" if near else ""
                raise TaskSetupError(f"The configuration has {key}, which is no setting.{hint}")
        configured = {name: config.get(key) for key, name in keys.items()}
        found = {name: value for name, value in configured.items() if value is not None}
        return cls(**{**found, **given})

    @property
    def retention_seconds(self) -> float | None:
        """The retention in seconds."""
        return seconds(self.retention) if self.retention is not None else None


def seconds(value: _Seconds) -> float:
    """Return a length of time in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
