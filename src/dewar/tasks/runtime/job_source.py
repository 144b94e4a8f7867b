"""`JobSource`: what a process runs for a job of the ledger."""

import json
from collections.abc import Callable
from typing import Any

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.engines.execution import perform, perform_remote
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.placement import OnDuplicate
from dewar.tasks.retry import RetryPolicy
from dewar.tasks.runtime.stored_results import StoredResults
from dewar.tasks.serialization.context_transfer import CapturedContext
from dewar.tasks.tracing import span_of


class JobSource:
    """Makes the call of each attempt.

    Args:
        directory: The tasks.
        is_local: Whether jobs run on threads of this process.
        results: The results of other jobs that are arguments of some.
    """

    def __init__(self, directory: TaskDirectory, is_local: bool, results: StoredResults) -> None:
        self._directory = directory
        self._results = results
        self._is_local = is_local
        self._perform: Callable[..., list[str]] = perform if is_local else perform_remote
        # PERF: where another process finds the app and its tasks. To find it out took nearly 40 µs
        # for each job, most of it to read the settings.
        self._addresses: dict[str, dict[str, Any]] = {}
        self._app_path: str | None = None
        # PERF: one for all jobs of which no context is stored.
        self._plain_context: CapturedContext | None = None

    def __repr__(self) -> str:
        return f"<JobSource of {self._directory!r}>"

    @property
    def json(self) -> Any:
        """What writes and reads arguments and results."""
        return self._directory.json

    def policy(self, task: str) -> RetryPolicy:
        """Return a task's rules for another attempt: none, if this process does not have it."""
        found = self._directory.tasks.get(task)
        policy: RetryPolicy = RetryPolicy() if found is None else found.options.policy
        return policy

    def may_begin_unwritten(self, record: JobRecord) -> bool:
        """Return whether an attempt at a job may begin before that is in the ledger.

        Not if a new job may take its place until then: both would run.
        """
        if not record.idempotent or record.error is not None:
            return False
        if record.unique_key is None:
            return True
        task = self._directory.tasks.get(record.task)
        return task is None or task.options.on_duplicate is not OnDuplicate.REPLACE

    def call(self, record: JobRecord, attempt: int) -> JobCall:
        """Return what the engine is to run for an attempt at a job.

        Args:
            record: The job.
            attempt: 1 for the first.

        Raises:
            UnknownTask: If this process does not have the task.
            TasksError: If a result that is an argument is not there.
        """
        # PERF: no call for a task that is there.
        task = self._directory.tasks.get(record.task)
        if task is None:
            task = self._directory.find(record.task)
        stored = None if record.context is None else json.loads(record.context)
        context = self._plain_context
        if stored is not None or context is None:
            context = self._make_context(stored)
        span = span_of(stored, record.queue)
        arguments = record.arguments
        if record.limited:  # PERF: as all are that have waited for others
            arguments = self._results.fill(arguments)
        return JobCall(
            function=self._perform,
            args=(
                task if self._is_local else self._address_of(task),
                arguments,
                record.id,
                attempt,
            ),
            kwargs={} if span is None else {"span": span},
            context=context,
            timeout=task.options.timeout,
            soft_timeout=task.options.soft_timeout,
            repeatable=record.idempotent,
            described=(record.id, record.task, attempt),
        )

    def _make_context(self, stored: dict[str, Any] | None) -> CapturedContext | None:
        app = self._directory.app
        if app is None:
            return None
        if stored is not None:
            return CapturedContext(app, self._path_of_app, stored)
        self._plain_context = CapturedContext(app, self._path_of_app, None)
        return self._plain_context

    def _address_of(self, task: Any) -> dict[str, Any]:
        found = self._addresses.get(task.name)
        if found is None:
            found = self._addresses[task.name] = self._directory.address_of(task).as_dict()
        return found

    def _path_of_app(self) -> str:
        if self._app_path is None:
            self._app_path = self._directory.app_path()
        return self._app_path
