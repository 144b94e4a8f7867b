"""`StoredJob`: a job in the ledger, which any process may ask about."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from dewar.tasks.errors import JobLost
from dewar.tasks.job import Job
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.progress import Progress
from dewar.tasks.serialization.failures import make_error
from dewar.tasks.serialization.values import unpack
from dewar.tasks.status import JobStatus


class JobBackend(Protocol):
    """What a job asks of the `Tasks` it belongs to."""

    @property
    def json(self) -> Any:
        """Reads and writes JSON."""

    def status(self, id: str) -> JobStatus:
        """Return what the ledger knows of a job."""

    def cancel(self, id: str, running: bool) -> bool:
        """Cancel a job."""

    def links(self, id: str) -> Mapping[str, str]:
        """Return where a client finds out about a job."""

    def hold(self, job: "StoredJob") -> None:
        """Hold a job until it has ended."""

    def call_soon(self, function: Callable[[Any], object], argument: Any) -> None:
        """Have a function called on a thread for such functions."""


class StoredJob(Job):
    """A Future of a job in the ledger, wherever it runs, now or after a restart.

    It is resolved once its outcome is in the ledger.

    Args:
        id: The job's id: unguessable, and safe in a URL.
        task: The name of its task.
        backend: Where it is asked about.
    """

    def __init__(self, id: str, task: str, backend: JobBackend) -> None:
        super().__init__()
        self.id = id
        self.task = task
        self._backend = backend

    def __repr__(self) -> str:
        return f"<StoredJob {self.task} {self.id}{' done' if self.done() else ''}>"

    def status(self) -> JobStatus:
        """Return what the ledger knows of the job now.

        Raises:
            UnknownJob: If it has been purged.
        """
        return self._backend.status(self.id)

    def running(self) -> bool:
        """Return whether its function runs, here or in another process."""
        return not self.done() and self.status().state is JobState.RUNNING

    def cancel(self) -> bool:
        """Cancel the job if it has not begun; return whether it will not run."""
        if self.done():
            return self.cancelled()
        return self._backend.cancel(self.id, running=False)

    def stop(self) -> bool:
        """Cancel the job even if it runs; return whether it will not finish by itself.

        Raises:
            NotSupported: If it runs already and its engine cannot stop it.
        """
        if self.done():
            return self.cancelled()
        return self._backend.cancel(self.id, running=True)

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call a function with the job when it has ended; see `concurrent.futures.Future`."""
        if self.done():
            super().add_done_callback(fn)
        else:
            super().add_done_callback(partial(self._backend.call_soon, fn))
            self._backend.hold(self)

    def accepted(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Return what a view returns for it: 202 Accepted with ``Location`` (RFC 9110, 15.3.3).

        Raises:
            TaskSetupError: If the app has no `tasks_blueprint` to ask.
        """
        links = dict(self._backend.links(self.id))
        body = {"id": self.id, "task": self.task, "state": "queued", "links": links}
        return body, 202, {"Location": links["self"]}

    def resolve(self, record: JobRecord) -> None:
        """Take over how the job ended. Called once, by whoever has seen the record."""
        if record.fraction is not None:
            self.progress = Progress(record.fraction, record.message or "")
        if record.state is JobState.CANCELLED:
            super().cancel()
            super().set_running_or_notify_cancel()
        elif record.state is JobState.DONE:
            self._resolve_done(record.result or "null")
        elif record.error is None:
            self.set_exception(JobLost(f"The job {self.id} ended as {record.state.value}."))
        else:
            loads = self._backend.json.loads
            self.set_exception(make_error(loads(record.error), loads))

    def _resolve_done(self, result: str) -> None:
        try:
            value = unpack(result, self._backend.json.loads)
        except Exception as error:  # noqa: BLE001  # its class is gone here, or fails
            # Raised here, it would meet the thread that writes, and who waits would never hear.
            self.set_exception(error.with_traceback(None))
        else:
            self.set_result(value)
