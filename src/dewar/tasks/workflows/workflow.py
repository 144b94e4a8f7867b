"""`Workflow`: the handle of jobs that were submitted together."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from dewar.tasks.ledger.workflow_rows import ids_in
from dewar.tasks.other_words import OF_JOBS, explaining
from dewar.tasks.runtime.runtime import TasksRuntime
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.workflows.workflow_status import WorkflowStatus


class Workflow:
    """Jobs that wait for each other, as one. `Tasks.get_workflow` finds it again anywhere.

    Args:
        id: Its id: unguessable, and safe in a URL.
        ends: The jobs whose results are that of the workflow: an id, or a list of such.
        runtime: This process's part in the jobs.
    """

    if not TYPE_CHECKING:  # a type checker would believe that there is everything
        __getattr__ = explaining(OF_JOBS)

    def __init__(self, id: str, ends: Any, runtime: TasksRuntime) -> None:
        self.id = id
        self.ends = ends
        self._runtime = runtime

    @classmethod
    def find(cls, id: str, runtime: TasksRuntime) -> "Workflow":
        """Return the workflow with an id; see `Tasks.get_workflow`."""
        return cls(id, json.loads(runtime.workflows.find(id).ends), runtime)

    def __repr__(self) -> str:
        return f"<Workflow {self.id}>"

    @property
    def jobs(self) -> list[StoredJob]:
        """All of its jobs, in the order in which they were given.

        Raises:
            UnknownJob: If it has been purged.
        """
        return self._runtime.lookup.jobs([job.id for job in self._runtime.workflows.jobs(self.id)])

    def status(self) -> WorkflowStatus:
        """Return what the ledger knows of it.

        Raises:
            UnknownJob: If it has been purged.
        """
        loads = self._runtime.directory.json.loads
        return WorkflowStatus.of_workflow(self._runtime.workflows.find(self.id), loads)

    def done(self) -> bool:
        """Return whether all of its jobs have ended."""
        return self._runtime.workflows.find(self.id).state.is_final

    def cancel(self) -> bool:
        """Cancel its jobs that have not begun; return whether there were any."""
        return self._runtime.cancel_workflow(self.id, False)

    def stop(self) -> bool:
        """Cancel it, and ask the jobs that run to end; return whether there were any.

        Raises:
            NotSupported: If one runs, and its engine cannot ask it or stop it. What waited is
                cancelled.
        """
        return self._runtime.cancel_workflow(self.id, True)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its end, and return the result of its last job, or the list of its last jobs'.

        It raises what the job raised that failed, or a `CancelledError` if it was cancelled.

        Args:
            timeout: In seconds; None for as long as it takes.

        Raises:
            TimeoutError: If it has not ended by then.
            UnknownJob: If it has been purged.
        """
        until = None if timeout is None else time.monotonic() + timeout
        jobs = {job.id: job for job in self._runtime.lookup.jobs(list(ids_in(self.ends)))}
        try:
            return _value(self.ends, jobs, until)
        except CancelledError:
            failed = self._runtime.workflows.find(self.id).failed
            if failed is None:
                raise
        (job,) = self._runtime.lookup.jobs([failed.id])
        return job.result(timeout)

    def add_done_callback(self, fn: Callable[["Workflow"], object]) -> None:
        """Call a function with the workflow when all of its jobs have ended."""
        jobs = self.jobs
        left, counting = len(jobs), threading.Lock()

        def count(job: StoredJob) -> None:  # noqa: ARG001  # as a Future calls it
            nonlocal left
            with counting:
                left -= 1
                is_last = not left
            if is_last:
                fn(self)

        for job in jobs:
            job.add_done_callback(count)

    def accepted(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Return the answer of a view: 202 Accepted with ``Location`` (RFC 9110, 15.3.3).

        Raises:
            TaskSetupError: If the app has no `tasks_blueprint`.
        """
        links = dict(self._runtime.directory.links(self.id))
        body = {"id": self.id, "task": None, "state": "queued", "links": links}
        return body, 202, {"Location": links["self"]}


def _value(ends: Any, jobs: Mapping[str, StoredJob], until: float | None) -> Any:
    if not isinstance(ends, str):
        several: Sequence[Any] = ends
        return [_value(one, jobs, until) for one in several]
    return jobs[ends].result(None if until is None else max(0.0, until - time.monotonic()))
