"""`TasksRuntime`: what one process has for an app's tasks: ledger, pool, job runner, webhooks."""

import atexit
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from dewar.loop.call_queue import CallQueue
from dewar.tasks.engines.execution import is_remote, perform, perform_remote
from dewar.tasks.engines.interface import Ability, JobCall
from dewar.tasks.errors import NotSupported, QueueFull, UnknownJob
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.owners import this_owner
from dewar.tasks.ledger.records import JobRecord, JobState, NewJob
from dewar.tasks.pool import TaskPool
from dewar.tasks.retry import RetryPolicy
from dewar.tasks.runtime.maintenance import RunnerSettings
from dewar.tasks.runtime.runner import JobRunner
from dewar.tasks.serialization.context_transfer import CapturedContext
from dewar.tasks.serialization.task_address import TaskAddress
from dewar.tasks.settings import TasksSettings
from dewar.tasks.status import JobStatus
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.webhooks.webhooks import Webhooks

# Threads that run jobs, where nobody says how many.
_THREADS = 4
_FILE = "tasks.sqlite3"  # behind the app's name, for several apps may have one folder
# What threads of ours get to end, in seconds.
_FINAL_WAIT = 5.0


class RuntimeTasks(Protocol):
    """What the runtime asks of the `Tasks` that it is of."""

    app: Any

    @property
    def json(self) -> Any:
        """Reads and writes JSON."""

    def settings(self) -> TasksSettings:
        """Return the settings."""

    def names(self) -> Sequence[str]:
        """Return the names of the tasks."""

    def find(self, name: str) -> Any:
        """Return a task."""

    def address_of(self, task: Any) -> TaskAddress:
        """Return where another process finds a task."""

    def app_path(self) -> str:
        """Return where another process finds the app."""

    def links(self, id: str) -> Mapping[str, str]:
        """Return where a client finds out about a job."""


class TasksRuntime:
    """One process's share of an app's tasks, from the first job to the end of the process.

    Args:
        tasks: Whose tasks they are.
    """

    def __init__(self, tasks: RuntimeTasks) -> None:
        self._tasks = tasks
        self._process = os.getpid()
        self._settings = settings = tasks.settings()
        # On the remote side of an engine another process keeps the jobs and runs them.
        run_jobs = settings.run_jobs and not is_remote.get()
        self._pool = _open_pool(settings) if run_jobs else None
        self.ledger: Ledger = open_configured_ledger(settings, tasks.app)
        self._callback_queue = CallQueue("dewar-tasks-callbacks")
        owner = this_owner(time.time())
        self.webhooks = Webhooks(self.ledger, settings, owner.id)
        runner_settings = RunnerSettings(
            owner=owner,
            workers=_workers(settings),
            prefetch=settings.prefetch,
            poll=settings.poll,
            lease=settings.lease,
            retention=settings.retention_seconds,
        )
        self._runner = JobRunner(self.ledger, self._pool, self, runner_settings)
        self.has_ended = False
        # PERF: where another process finds the app and its tasks. To work that out took nearly 40
        # µs for each job, most of it to read the settings.
        self._addresses: dict[str, dict[str, Any]] = {}
        self._app_path: str | None = None

    def __repr__(self) -> str:
        return f"<TasksRuntime of process {self._process}: {self._runner!r}>"

    @property
    def is_of_this_process(self) -> bool:
        """Whether it was not inherited by a fork."""
        return self._process == os.getpid()

    def start(self) -> None:
        """Begin.

        Raises:
            LedgerError: If the ledger cannot be written.
        """
        self._runner.start()
        self.webhooks.start()
        # The pool finishes what it has when the interpreter ends, and that has to be written.
        atexit.register(self.stop)

    def stop(self, timeout: float | None = None) -> bool:
        """End; see `Tasks.stop`."""
        atexit.unregister(self.stop)
        if self.has_ended or not self.is_of_this_process:
            return True
        self.has_ended = True
        shutdown_timeout = self._settings.shutdown_timeout if timeout is None else timeout
        ended = self._runner.stop(shutdown_timeout)
        self._callback_queue.close(_FINAL_WAIT)
        self.webhooks.stop(_FINAL_WAIT)
        if self._pool is not None:
            self._pool.shutdown(wait=ended, cancel_futures=True)
        self.ledger.close()
        return ended

    # Jobs.

    def accept(self, new: Sequence[NewJob], task: Any) -> list[StoredJob]:
        """Accept jobs of a task, all with the same callback; see `Task.submit` and `Task.map`."""
        if new and new[0].callback is not None:
            self.webhooks.check(new[0].callback)
        if task.options.timeout is not None:
            self._check_timeout()
        jobs = [self._future_of(one.id, one.task) for one in new]
        accepted = self._runner.submit(new)
        if not all(accepted):
            kept = [job for job, is_kept in zip(jobs, accepted, strict=True) if is_kept]
            raise QueueFull(f"The task {task.name}", task.options.max_queue, kept)
        return jobs

    def _future_of(self, id: str, task: str) -> StoredJob:
        return self._runner.futures.add(id, lambda: StoredJob(id, task, self))

    def job(self, id: str) -> StoredJob:
        """Return a job; see `Tasks.get`."""
        record = self._record(id)
        job = self._future_of(id, record.task)
        # Looked up again, for it may have ended before it was watched.
        self._runner.futures.resolve([self._record(id)])
        return job

    def status(self, id: str) -> JobStatus:
        """Return what the ledger knows of a job; see `Tasks.status`."""
        return JobStatus.of(self._record(id), self.json.loads)

    def cancel(self, id: str, running: bool) -> bool:
        """Cancel a job; see `Tasks.cancel`."""
        here = self._runner.cancel(id, running)
        if here is not None:
            return here
        record = self._record(id)
        if record.state is JobState.QUEUED and self._runner.cancel_elsewhere(id):
            return True
        if record.state.is_final or not running:
            return self._record(id).state is JobState.CANCELLED
        if self._pool is not None:
            self._check(Ability.STOP, "Wait for it, or have it look at a flag of yours.")
        return self.ledger.cancel_running(id)

    def links(self, id: str) -> Mapping[str, str]:
        """Return where a client finds out about a job; see `Tasks.links`."""
        return self._tasks.links(id)

    def hold(self, job: StoredJob) -> None:
        """Hold a job that has something to call until it has ended."""
        self._runner.futures.hold(job)

    def call_soon(self, function: Callable[[Any], object], argument: Any) -> None:
        """Have what was added to a job called, away from the writer's thread."""
        self._callback_queue.call_soon(function, argument)

    # What the job runner asks.

    @property
    def json(self) -> Any:
        """Reads and writes JSON."""
        return self._tasks.json

    def names(self) -> Sequence[str]:
        """See `dewar.tasks.runtime.runner.TaskDirectory`."""
        return self._tasks.names()

    def policy(self, task: str) -> RetryPolicy:
        """See `dewar.tasks.runtime.runner.TaskDirectory`."""
        policy: RetryPolicy = self._tasks.find(task).options.policy
        return policy

    def call(self, record: JobRecord, attempt: int) -> JobCall:
        """See `dewar.tasks.runtime.runner.TaskDirectory`."""
        task = self._tasks.find(record.task)
        given = (record.arguments, record.id, attempt)
        is_here = self._pool is not None and self._pool.engine.name == "threads"
        context = None
        if self._tasks.app is not None:
            stored = None if record.context is None else json.loads(record.context)
            context = CapturedContext(self._tasks.app, self._path_of_app, stored)
        return JobCall(
            function=perform if is_here else perform_remote,
            args=(task if is_here else self._address_of(task), *given),
            kwargs={},
            context=context,
            timeout=task.options.timeout,
            repeatable=record.idempotent,
            described=(record.id, record.task, attempt),
        )

    def wake_webhooks(self) -> None:
        """See `dewar.tasks.runtime.runner.TaskDirectory`."""
        self.webhooks.wake()

    def _address_of(self, task: Any) -> dict[str, Any]:
        found = self._addresses.get(task.name)
        if found is None:
            found = self._addresses[task.name] = self._tasks.address_of(task).as_dict()
        return found

    def _path_of_app(self) -> str:
        if self._app_path is None:
            self._app_path = self._tasks.app_path()
        return self._app_path

    def _record(self, id: str) -> JobRecord:
        record = self.ledger.get(id)
        if record is None:
            raise UnknownJob(id)
        return record

    def _check_timeout(self) -> None:
        self._check(
            Ability.TIMEOUT, "Run tasks with a timeout in processes: Tasks(app, processes=2)."
        )

    def _check(self, ability: Ability, repair: str) -> None:
        engine = None if self._pool is None else self._pool.engine
        if engine is not None and ability not in engine.abilities:
            raise NotSupported(engine.name, ability.value, repair)


def _open_pool(settings: TasksSettings) -> TaskPool:
    if settings.engine is not None:
        return TaskPool(engine=settings.engine)
    if settings.processes is not None:
        return TaskPool(processes=settings.processes)
    return TaskPool(threads=settings.threads or _THREADS, thread_name_prefix="dewar-task")


def _workers(settings: TasksSettings) -> int | None:
    """Return how many jobs run at a time; None where only the remote side knows."""
    return (
        None if settings.engine is not None else settings.processes or settings.threads or _THREADS
    )


def open_configured_ledger(settings: TasksSettings, app: Any) -> Ledger:
    """Return the ledger that the settings name; in the instance folder, if they don't.

    Raises:
        TaskSetupError: If there can be none.
        MissingExtra: If its libraries are not installed.
    """
    return open_ledger(locate_ledger(settings, app), durable=settings.durable)


def locate_ledger(settings: TasksSettings, app: Any) -> str:
    """Return where the ledger is: an absolute path, or a URL."""
    where = settings.ledger
    if where is None:
        folder = Path("instance") if app is None else Path(app.instance_path)
        where = folder / (_FILE if app is None else f"{quote(app.name, safe='')}.{_FILE}")
    text = os.fspath(where)
    return text if "://" in text else str(Path(text).absolute())
