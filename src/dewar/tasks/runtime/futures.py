"""`JobFutures`: the jobs that somebody in this process may wait for, wherever they run."""

import threading
from collections.abc import Callable, Iterable, Sequence
from weakref import WeakValueDictionary

from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.stored_job import StoredJob


class JobFutures:
    """Resolves each job once. It holds a job no longer than somebody else does, or wants a call.

    Any thread may call any method.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: WeakValueDictionary[str, StoredJob] = WeakValueDictionary()
        # Those that have something to call, which nobody else need hold.
        self._held: dict[str, StoredJob] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __repr__(self) -> str:
        return f"<JobFutures {len(self)}>"

    def add(self, id: str, make: Callable[[], StoredJob]) -> StoredJob:
        """Return the job with an id that is watched already, or make one and watch it."""
        with self._lock:
            job = self._jobs.get(id)
            if job is None:
                job = self._jobs[id] = make()
            return job

    def hold(self, job: StoredJob) -> None:
        """Hold a job until it is resolved."""
        with self._lock:
            if job.id in self._jobs:
                self._held[job.id] = job

    def ids(self) -> Sequence[str]:
        """Return the ids of the jobs that are not resolved."""
        with self._lock:
            return list(self._jobs)

    def resolve(self, records: Iterable[JobRecord]) -> None:
        """Resolve those whose records are final."""
        for record in records:
            if record.state.is_final:
                with self._lock:
                    job = self._jobs.pop(record.id, None)
                    self._held.pop(record.id, None)
                if job is not None:
                    job.resolve(record)
