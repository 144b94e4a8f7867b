"""`InlineEngine`: runs jobs in the thread that asks for it. For tests."""

import threading
from collections import deque
from contextvars import Context
from sys import modules
from threading import Thread

from dewar.tasks.engines.interface import STOP_GRACE, Ability, EngineStatistics, JobCall
from dewar.tasks.engines.settle import drop, run_here
from dewar.tasks.engines.soft_limits import SoftLimits
from dewar.tasks.job import Job


class InlineEngine:
    """Keeps the jobs that a thread submits until the same thread calls `run_next`.

    Args:
        abilities: What the engine can do that it stands for.
    """

    name = "threads"  # jobs run in this process, on their objects

    def __init__(self, abilities: frozenset[Ability]) -> None:
        self.abilities = abilities
        self._soft_limits = SoftLimits()
        self._local = threading.local()
        self._finished = 0

    def submit(self, job: Job, call: JobCall) -> None:
        """See `JobEngine.submit`."""
        self._queue.append((job, call))

    @property
    def has_jobs(self) -> bool:
        """Whether this thread has submitted jobs that have not run."""
        return bool(self._queue)

    def run_next(self) -> bool:
        """Run the next job that this thread has submitted; return whether there was one."""
        if not self._queue:
            return False
        job, call = self._queue.popleft()
        # As on a thread of its own: the job sees nothing of who submitted it but what it is given.
        if call.context is None and _has_running_loop():
            thread = Thread(target=Context().run, args=(run_here, job, call, self._soft_limits))
            thread.start()
            thread.join()
        else:
            Context().run(run_here, job, call, self._soft_limits)
        self._finished += 1
        return True

    def stop(self, job: Job, grace: float = STOP_GRACE) -> bool:  # noqa: ARG002  # the interface's
        """Ask the function of a running job to end."""
        if job.interruptible is None or job.done():
            return False
        job.interruptible.cancel()
        return True

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:  # noqa: ARG002  # the interface's
        """See `JobEngine.shutdown`."""
        while self._queue:
            drop(self._queue.popleft()[0])

    def statistics(self) -> EngineStatistics:
        """See `JobEngine.statistics`."""
        return EngineStatistics(
            engine="inline",
            workers=1,
            queued=len(self._queue),
            running=0,
            finished=self._finished,
        )

    @property
    def _queue(self) -> deque[tuple[Job, JobCall]]:
        try:
            found: deque[tuple[Job, JobCall]] = self._local.queue
        except AttributeError:
            found = self._local.queue = deque()
        return found

    def __repr__(self) -> str:
        return f"<InlineEngine, {self._finished} finished>"


def _has_running_loop() -> bool:
    """Return whether an event loop runs in this thread, which cannot run another one."""
    asyncio = modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001
