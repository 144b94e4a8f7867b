"""`StoredJob`: a Future of a job in the ledger; `JobFutures`: those that are not resolved yet."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakValueDictionary

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import JobFailed, JobLost
from dewar.tasks.job import Job, R
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.other_words import OF_JOBS, explaining
from dewar.tasks.progress import Progress
from dewar.tasks.serialization.failures import make_error
from dewar.tasks.serialization.values import Loads, unpack
from dewar.tasks.status import JobStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class JobBackend:
    """How a job asks the runtime that it came from.

    Attributes:
        directory: Reads JSON, and knows the URLs of jobs.
        futures: The jobs that are waited for.
        status: Returns what the ledger knows of a job.
        cancel: Cancels a job; the second argument is whether to stop it if it runs.
        call_soon: Has a function called on a thread for such functions.
        note_wait: Called before a thread begins to wait for a job.
        wait_for: Waits for a job in a thread that runs jobs; see `Job`.
    """

    directory: TaskDirectory
    futures: "JobFutures"
    status: Callable[[str], JobStatus]
    cancel: Callable[[str, bool], bool]
    call_soon: Callable[[Callable[[Any], object], Any], None]
    note_wait: Callable[[], object]
    wait_for: Callable[[Job], None] | None = None


class StoredJob(Job[R]):
    """A Future of a job in the ledger, whichever process runs it, now or after a restart.

    It is resolved when its outcome is in the ledger.

    Args:
        id: The job's id: unguessable, and safe in a URL.
        task: The name of its task.
        backend: The runtime that it came from.
    """

    def __init__(self, id: str, task: str, backend: JobBackend) -> None:
        super().__init__()
        self._wait = backend.wait_for
        self.id = id
        self.task = task
        self._backend = backend
        self._record: JobRecord | None = None
        #: Whether somebody waits for the outcome.
        self.is_awaited = False

    if not TYPE_CHECKING:  # a type checker would believe that there is everything
        __getattr__ = explaining(OF_JOBS)

    def __repr__(self) -> str:
        return f"<StoredJob {self.task} {self.id}{' done' if self.done() else ''}>"

    def status(self) -> JobStatus:
        """Return the status of the job in the ledger.

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
        return self._backend.cancel(self.id, False)

    def stop(self) -> bool:
        """Cancel the job, or ask its function to end if it runs; return whether that was possible.

        It never runs again then, also if its process dies. See `Job.stop`.

        Raises:
            NotSupported: If it runs already and its engine cannot ask it or stop it.
        """
        if self.done():
            return self.cancelled()
        return self._backend.cancel(self.id, True)

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call a function with the job when it has ended; see `concurrent.futures.Future`."""
        if self.done():
            super().add_done_callback(fn)
        else:
            super().add_done_callback(partial(self._backend.call_soon, fn))
            self._backend.futures.hold(self)
            self._note_wait()

    def accepted(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Return the answer of a view: 202 Accepted with ``Location`` (RFC 9110, 15.3.3).

        Raises:
            TaskSetupError: If the app has no `tasks_blueprint`.
        """
        links = dict(self._backend.directory.links(self.id))
        body = {"id": self.id, "task": self.task, "state": "queued", "links": links}
        return body, 202, {"Location": links["self"]}

    def result(self, timeout: float | None = None) -> R:
        """Return what the function returned; see `concurrent.futures.Future`.

        Raises:
            Unreadable: If this process cannot make the value again.
        """
        value, error = self._read(timeout)
        if error is None:
            result: R = value
            return result
        try:
            raise error
        finally:
            error = None  # its traceback holds this frame

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the function raised, or None; see `concurrent.futures.Future`."""
        return self._read(timeout)[1]

    def resolve(self, record: JobRecord) -> None:
        """Set the job's outcome from its final record. Called once.

        The outcome is read later, by who asks for it: the code of a value or an error may fail or
        never end, and the thread that resolves jobs has others to resolve.
        """
        if record.fraction is not None:
            self.progress = Progress(record.fraction, record.message or "")
        self._record = record
        if record.state is JobState.CANCELLED:
            super().cancel()
            super().set_running_or_notify_cancel()
        elif record.state is JobState.DONE:
            self.set_result(None)  # type: ignore[arg-type]  # `result` reads the record
        else:
            self.set_exception(JobFailed(record.task, record.state.value))

    def _note_wait(self) -> None:
        self.is_awaited = True
        self._backend.note_wait()

    def _read(self, timeout: float | None) -> "_Outcome":
        if self._record is None and not self.done():
            self._note_wait()
        try:
            super().exception(timeout)
        except CancelledError:
            raise self._cancelled() from None
        record, known = self._record, vars(self)
        if record is not None and "_outcome" not in known:
            outcome = _read_record(record, self._backend.directory.json.loads)
            # Of two threads that read it at once, both get the objects of the first.
            known.setdefault("_outcome", outcome)
            self._record = None
        found: _Outcome = known["_outcome"]
        return found

    def _cancelled(self) -> CancelledError:
        """Return the error of a job that was cancelled; it says why, if a job before it failed."""
        record = self._record
        if record is None or record.error is None:
            return CancelledError()
        return CancelledError(self._backend.directory.json.loads(record.error).get("text"))


#: The value and the error of a job; one of them is None.
_Outcome: TypeAlias = tuple[Any, BaseException | None]


def _read_record(record: JobRecord, loads: Loads) -> _Outcome:
    try:
        if record.state is JobState.DONE:
            return unpack(record.result or "null", loads), None
        if record.error is None:
            return None, JobLost(f"The job {record.id} ended as {record.state.value}.")
        return None, make_error(loads(record.error), loads)
    except Exception as error:  # noqa: BLE001  # its class does not exist here, or fails
        return None, error.with_traceback(None)


class JobFutures:
    """The jobs that somebody in this process may wait for, whichever process runs them.

    It resolves each job once. It keeps a job alive only if the job has a function to call.

    Any thread may call any method.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: WeakValueDictionary[str, StoredJob] = WeakValueDictionary()
        # Those with a function to call, which perhaps nobody else references.
        self._held: dict[str, StoredJob] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __repr__(self) -> str:
        return f"<JobFutures {len(self)}>"

    def add(self, id: str, make: Callable[[], StoredJob]) -> StoredJob:
        """Return the job with an id that is here already, or make one and add it."""
        with self._lock:
            job = self._jobs.get(id)
            if job is None:
                job = self._jobs[id] = make()
            return job

    def hold(self, job: StoredJob) -> None:
        """Keep a job alive until it is resolved."""
        with self._lock:
            if job.id in self._jobs:
                self._held[job.id] = job

    def is_awaited(self, id: str) -> bool:
        """Return whether somebody in this process waits for a job."""
        job = self._jobs.get(id)
        return job is not None and job.is_awaited

    def __contains__(self, id: str) -> bool:
        return id in self._jobs

    def ids(self) -> Sequence[str]:
        """Return the ids of the jobs that are not resolved."""
        with self._lock:
            return list(self._jobs)

    def resolve(self, records: Iterable[JobRecord]) -> None:
        """Resolve the jobs whose records are final."""
        for record in records:
            if record.state.is_final:
                with self._lock:
                    job = self._jobs.pop(record.id, None)
                    self._held.pop(record.id, None)
                if job is not None:
                    job.resolve(record)
