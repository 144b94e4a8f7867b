"""`ThreadEngine`: runs jobs on threads of this process.

Threads start on demand and stay. The lock guards the state, the counters and the list of workers.
A worker's counter is written by its own thread only. The queue and the list of idle tokens need no
lock. The threads hold this engine but not the pool: an unreferenced pool is collected, and its
finalizer calls `release`.
"""

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures.thread import BrokenThreadPool
from contextlib import suppress
from contextvars import Context
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, NoReturn

from dewar.tasks.engines.interface import STOP_GRACE, Ability, EngineStatistics, JobCall
from dewar.tasks.engines.process_hooks import process_hooks
from dewar.tasks.engines.settle import EngineState, drop, fail, refusal, run_here, start_thread
from dewar.tasks.engines.soft_limits import SoftLimits
from dewar.tasks.errors import PoolExhausted, ThreadRefused
from dewar.tasks.job import Job

# The logger of concurrent.futures, whose users expect these messages there.
_log = logging.getLogger("concurrent.futures")
# How often a worker that waits for a job looks whether all do, in seconds.
_RECHECK = 0.5
_BROKEN = "The initializer of a thread failed, so the pool runs no jobs. Repair the initializer."


class _Worker:
    """A thread, and the number of jobs that it has finished."""

    __slots__ = ("finished", "thread")

    def __init__(self, name: str, work: Callable[["_Worker"], object]) -> None:
        self.finished = 0
        # The context is empty: in some builds of Python a thread inherits its starter's.
        self.thread = Thread(name=name, target=Context().run, args=(work, self))


class ThreadEngine:
    """Runs jobs on threads, which start on demand.

    Args:
        threads: How many threads there may be.
        name_prefix: The beginning of the threads' names.
        initializer: Called in each thread before its first job.
        initargs: The arguments of the initializer.
    """

    name = "threads"
    abilities = frozenset(
        {
            Ability.CANCEL_QUEUED,
            Ability.ASK_TO_STOP,
            Ability.SOFT_TIMEOUT,
            Ability.PROGRESS,
            Ability.PRIORITY,
        }
    )

    def __init__(
        self,
        threads: int,
        name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        self._max_workers = threads
        self._name_prefix = name_prefix or f"dewar-pool-{id(self):x}"
        self._initializer = initializer
        self._initargs = initargs
        self._state = EngineState.OPEN
        self._released = False
        self._reset()
        process_hooks.add(self)

    def submit(self, job: Job, call: JobCall) -> None:
        """Put the job into the queue. Start a thread if none is idle and the limit allows it.

        If the system refuses a thread, the job waits for those that there are.

        Raises:
            ThreadRefused: If there is none yet. The job is not in the queue then.
            RuntimeError: After `shutdown`, or as a `BrokenThreadPool` after an initializer failed.
        """
        with self._lock:
            if self._state is not EngineState.OPEN or process_hooks.is_exiting:
                self._refuse()
            if len(self._workers) < self._max_workers:
                # Below the limit of threads, each token stands for an idle worker.
                if self._idle:
                    self._idle.pop()
                else:
                    self._missing += 1
                    self._start_missing()
            self._accepted += 1
            self._queue.put((job, call))

    def stop(self, job: Job, grace: float = STOP_GRACE) -> bool:  # noqa: ARG002  # the interface's
        """Ask the function of a running job to end. A thread cannot be stopped."""
        if job.interruptible is None or job.done():
            return False
        job.interruptible.cancel()
        return True

    def wait_for(self, job: Job, give_way: Callable[[], bool] | None = None) -> None:
        """Wait for a job if this thread is a worker; otherwise return at once.

        Args:
            job: A job that this engine runs.
            give_way: Called when all workers wait; returns whether others may run their jobs.

        Raises:
            PoolExhausted: If all workers wait for such jobs. One of them is told, and is free then.
        """
        thread = current_thread()
        if all(worker.thread is not thread for worker in self._workers):
            return
        try:
            while not job.done():
                if self._note_blocked(thread, job) and (give_way is None or not give_way()):
                    raise PoolExhausted(self._name_prefix, self._max_workers)
                with suppress(TimeoutError, CancelledError):
                    Future.exception(job, _RECHECK)
        finally:
            self._note_free(thread)

    def _note_blocked(self, thread: Thread, job: Job) -> bool:
        """Note what a worker waits for; return whether no worker is left.

        Of the workers that ask, only one gets this answer: the others find its place free.
        """
        with self._lock:
            self._blocked[thread] = job
            if len(self._blocked) < self._max_workers:
                return False
            # A worker whose job has ended is about to go on.
            is_full = not any(awaited.done() for awaited in self._blocked.values())
            if is_full:
                del self._blocked[thread]
            return is_full

    def _note_free(self, thread: Thread) -> None:
        with self._lock:
            self._blocked.pop(thread, None)

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        """Take no more jobs; with `wait`, wait until the threads have ended."""
        with self._lock:
            if self._state is EngineState.OPEN:
                self._state = EngineState.CLOSED
            waiting = self._drain() if cancel_futures else []
            self._queue.put(None)
            workers = list(self._workers)
        for job in waiting:
            drop(job)
        if wait:
            for worker in workers:
                # A job may shut down the pool that it runs in.
                if worker.thread is not current_thread():
                    worker.thread.join()

    def release(self) -> None:
        """Let the threads end after the last job. Safe in a finalizer: it takes no lock."""
        self._released = True
        self._queue.put(None)

    def end(self) -> None:
        """Finish the accepted jobs, and wait for them."""
        self.shutdown(wait=True, cancel_futures=False)

    def after_fork(self) -> None:
        """Reset, in a forked child: without threads and jobs."""
        self._reset()

    def statistics(self) -> EngineStatistics:
        """Return the numbers of jobs and threads."""
        with self._lock:
            finished = sum(worker.finished for worker in self._workers) + self._dropped
            unfinished = max(0, self._accepted - finished)
            return EngineStatistics(
                engine=self.name,
                workers=len(self._workers),
                queued=max(0, unfinished - self._max_workers),
                running=min(unfinished, self._max_workers),
                finished=finished,
            )

    def _reset(self) -> None:
        self._lock = Lock()
        self._queue: SimpleQueue[tuple[Job, JobCall] | None] = SimpleQueue()
        self._soft_limits = SoftLimits()
        self._workers: list[_Worker] = []
        self._idle: list[None] = []
        self._accepted = self._dropped = 0
        # What the workers wait for.
        self._blocked: dict[Thread, Job] = {}
        # The jobs in the queue for which the system has refused a thread.
        self._missing = 0

    def _start_missing(self) -> None:
        """Start the threads that jobs in the queue wait for, as many as the system gives."""
        while self._missing and len(self._workers) < self._max_workers:
            worker = _Worker(f"{self._name_prefix}_{len(self._workers)}", self._work)
            try:
                start_thread(worker.thread, repr(self))
            except ThreadRefused as error:
                if not self._workers:
                    self._missing = 0
                    raise
                _log.debug("%s", error)
                return
            self._missing -= 1
            self._workers.append(worker)

    def _note_idle(self) -> None:
        """Note that a worker takes the next job, for which a thread may be missing."""
        if not self._missing:
            self._idle.append(None)
            return
        with self._lock:
            self._missing = max(0, self._missing - 1)
            self._start_missing()

    def _work(self, worker: _Worker) -> None:
        if self._initializer is not None and not self._initialize(self._initializer):
            return
        queue = self._queue
        while True:
            item = queue.get()
            if item is not None:
                try:
                    run_here(*item, self._soft_limits)
                except BaseException as error:  # noqa: BLE001  # logged, and its job's
                    # Whatever a callback of the job raises, the thread goes on.
                    _log.critical("Exception in a thread of a TaskPool:", exc_info=True)
                    _end_with(item[0], error)
                # Otherwise the arguments and the result would live until the next job.
                del item
                worker.finished += 1
                if worker.thread in self._blocked:
                    # A soft limit has ended its wait before it was noted.
                    self._note_free(worker.thread)
                if len(self._workers) < self._max_workers:
                    self._note_idle()
            elif self._released or self._state is not EngineState.OPEN:
                queue.put(None)  # for the other threads
                return

    def _initialize(self, initializer: Callable[..., object]) -> bool:
        try:
            initializer(*self._initargs)
        except BaseException:  # noqa: BLE001  # it is logged, and breaks the pool
            _log.critical("Exception in initializer:", exc_info=True)
            with self._lock:
                self._state = EngineState.BROKEN
                waiting = self._drain()
                self._queue.put(None)
            for job in waiting:
                fail(job, BrokenThreadPool(_BROKEN))
            return False
        return True

    def _drain(self) -> list[Job]:
        """Empty the queue; return the jobs that were in it.

        The caller settles them without the lock, because their callbacks may submit jobs.
        """
        waiting: list[Job] = []
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                self._dropped += len(waiting)
                return waiting
            if item is not None:
                waiting.append(item[0])

    def _refuse(self) -> NoReturn:
        if self._state is EngineState.BROKEN:
            raise BrokenThreadPool(_BROKEN)
        raise refusal()

    def __repr__(self) -> str:
        threads = f"{len(self._workers)} of {self._max_workers} threads"
        return f"<ThreadEngine {threads}, {self._state.value}>"


def _end_with(job: Job, error: BaseException) -> None:
    if not job.done():
        job.set_exception(error)
