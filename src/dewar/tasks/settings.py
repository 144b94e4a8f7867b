"""`TasksSettings`: how an app's tasks are run and stored, checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from dewar.support.near_match import did_you_mean, maybe_near
from dewar.support.setting_values import maybe_expected
from dewar.support.units import parse_size
from dewar.tasks.errors import NotSupported, TaskSetupError
from dewar.tasks.placement import checked_queue

#: What the settings' names begin with in an app's configuration.
PREFIX = "TASKS_"

_Seconds = float | timedelta
_KINDS = {
    "durable": bool, "run_jobs": bool, "show_errors": bool,
    "threads": int, "processes": int, "prefetch": int, "max_jobs_per_worker": int,
    "poll": float, "lease": float, "retention": float, "shutdown_timeout": float,
}  # fmt: skip
_MAY_BE_ZERO = frozenset({"retention", "shutdown_timeout"})


@dataclass(frozen=True, kw_only=True, slots=True)
class TasksSettings:
    """How tasks are run and stored. In an app's configuration each is ``TASKS_`` and its name."""

    #: Where jobs are stored: a file for SQLite, or a URL, ``postgresql://host/name``. By default
    #: ``<name of the app>.tasks.sqlite3`` in the instance folder.
    ledger: str | Path | None = None
    #: The schema of the ledger in PostgreSQL, so that several apps may have one database.
    schema: str | None = None
    #: Whether the disk confirms each job, so that jobs survive a loss of power as well.
    durable: bool = False
    #: Where jobs run, as `TaskPool` takes it: ``dask://...``, ``celery+redis://...``.
    engine: str | None = None
    #: How many threads run jobs if neither `engine` nor `processes` is given.
    threads: int | None = None
    #: How many processes run jobs.
    processes: int | None = None
    #: After how many jobs a process that runs jobs is replaced.
    max_jobs_per_worker: int | None = None
    #: How much memory such a process may have after a job before it is replaced: a number of bytes,
    #: or a text such as ``200M``.
    max_memory_per_worker: int | str | None = None
    #: Where another process finds the app, as ``module:app``; by default in the app's module.
    app: str | None = None
    #: Whether this process runs jobs; if not, it only accepts them.
    run_jobs: bool = True
    #: The queues whose jobs this process runs; None for all.
    queues: Sequence[str] | None = None
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
        limits = (self.max_jobs_per_worker, self.max_memory_per_worker)
        if self.engine is not None and limits != (None, None):
            raise NotSupported(
                self.engine.partition("://")[0],
                "replace workers",
                "Set max_jobs_per_worker and max_memory_per_worker where the workers start: celery"
                " worker --max-tasks-per-child=100 --max-memory-per-child=200000, or dask worker"
                " --lifetime 1h --lifetime-restart.",
            )
        if self.processes is None and limits != (None, None):
            raise TaskSetupError(
                "max_jobs_per_worker and max_memory_per_worker are for processes, which can be"
                " replaced: set processes=2 as well."
            )
        maybe_size("max_memory_per_worker", self.max_memory_per_worker)  # a check
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
        self._check_queues()
        if isinstance(self.credentials, str):
            raise TaskSetupError(
                "credentials is a list of names: credentials=[*CREDENTIALS, 'x-tenant'], with"
                " 'from dewar.support.redaction import CREDENTIALS'."
            )

    def _check_queues(self) -> None:
        queues = self.queues
        if queues is None:
            return
        if isinstance(queues, str) or not queues:
            raise TaskSetupError(
                f"queues={queues!r} should be a list of names: queues=['mail', 'default']. To run"
                " no jobs in this process: run_jobs=False."
            )
        for queue in queues:
            checked_queue(queue)

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


def maybe_size(name: str, value: int | str | None) -> int | None:
    """Return the bytes of a setting, which may be a text such as ``200M``; None for None.

    Raises:
        TaskSetupError: If it is no size, or 0.
    """
    size: Any = value
    if isinstance(size, str):
        try:
            size = parse_size(size)
        except ValueError:
            size = 0
    if size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0):
        found: int | None = size
        return found
    raise TaskSetupError(
        f"{name}={value!r} should be a number of bytes above 0, or a text such as '200M', in which"
        " K, M and G stand for 1024, 1024 * 1024 and so on."
    )


def seconds(value: _Seconds) -> float:
    """Return a length of time in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
