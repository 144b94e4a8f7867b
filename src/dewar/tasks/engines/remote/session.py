"""`RemoteSession`: the jobs of one process on a remote engine, and its connection to it."""

import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from typing import Any
from uuid import uuid4

from dewar.loop.call_queue import CallQueue
from dewar.tasks.engines.interface import EngineStatistics, JobCall
from dewar.tasks.engines.remote.in_flight import InFlightJobs, InFlightState
from dewar.tasks.engines.settle import call_name, refusal
from dewar.tasks.job import Job


class RemoteSession(ABC):
    """Submits jobs, receives their outcomes and settles them. Belongs to one process.

    It makes no thread and no connection before the first job. It disconnects when it is shut down
    and its last job has ended. Any thread may call any method.

    Args:
        engine: The engine's name.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._settling_queue = CallQueue(f"dewar-{engine}-results")
        self._in_flight = InFlightJobs(self._settling_queue, self._end_soon)
        self._lock = threading.Lock()
        self._is_closed = False

    @abstractmethod
    def submit(self, job: Job, call: JobCall) -> None:
        """See `dewar.tasks.engines.interface.JobEngine.submit`."""

    @abstractmethod
    def _forget(self, id: str) -> None:
        """Remove a job that was cancelled before it began from the remote side."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Close the connections and end the threads, except the settling queue's."""

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        """See `dewar.tasks.engines.interface.JobEngine.shutdown`."""
        with self._lock:
            self._is_closed = True
        if cancel_futures:
            for one in self._in_flight.all(InFlightState.WAITING, InFlightState.BEGINNING):
                one.job.cancel()
        if wait:
            self._in_flight.wait_until_empty()
            self._end()
        elif not len(self._in_flight):
            self._end_soon()

    def statistics(self) -> EngineStatistics:
        """See `dewar.tasks.engines.interface.JobEngine.statistics`. No workers are known here."""
        return self._in_flight.statistics(self._engine)

    def _add(self, job: Job, call: JobCall) -> str:
        """Add a job to those in flight; return its id there.

        Raises:
            RuntimeError: After `shutdown`.
        """
        id = uuid4().hex
        with self._lock:
            if self._is_closed:
                raise refusal()
            self._in_flight.add(id, job, call)
        return id

    def _withdraw(self, job: Future[Any]) -> None:
        """Take back a job if it was cancelled. It is a done-callback of the job."""
        id = self._in_flight.withdraw(job) if job.cancelled() else ""
        if id:
            self._forget(id)

    def _end_soon(self) -> None:
        # Not on this thread, which may be one that `_end` waits for; and after the callbacks of
        # the last job, which come before it in the queue.
        if self._is_closed:
            self._settling_queue.call_soon(self._end)

    def _end(self) -> None:
        self._disconnect()
        self._settling_queue.close()


def description_of(call: JobCall) -> dict[str, Any]:
    """Return what `current_job` shows of a job on its worker, as plain JSON."""
    id, task, attempt = call.described or ("", call_name(call), 1)
    return {"id": id, "task": task, "attempt": attempt, "soft_timeout": call.soft_timeout}
