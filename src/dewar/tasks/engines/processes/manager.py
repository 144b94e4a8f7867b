"""`ProcessManager`: the thread that watches the child processes of a pool.

A job is given to a process only when that process is idle. So a process that dies, is stopped or
exceeds the timeout loses no job but its own, and is replaced.

Everything here runs in the manager's thread, except `wake` and `ask_to_stop`.
"""

import json
import logging
import selectors
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial

from dewar.support.bounded_log import BoundedLog
from dewar.support.waker import Waker
from dewar.tasks.engines.processes.backlog import Backlog
from dewar.tasks.engines.processes.messages import FrameKind, unpack_number
from dewar.tasks.engines.processes.startup import Startups
from dewar.tasks.engines.processes.worker import ProcessWorker, ProcessWorkerState
from dewar.tasks.engines.processes.worker_limits import WorkerLimits
from dewar.tasks.engines.settle import EngineState, fail
from dewar.tasks.errors import PoolExhausted
from dewar.tasks.job import Job
from dewar.tasks.progress import Progress

_log = logging.getLogger("concurrent.futures")
_logger = logging.getLogger("dewar.tasks")
#: How long a process may take to exit before it is killed, in seconds.
_GRACE = 10.0
# How often to look whether all processes still wait for jobs of the pool, in seconds.
_RECHECK = 0.5


class ProcessManager:
    """Starts processes, gives them jobs and ends them.

    Args:
        backlog: The jobs that wait.
        max_workers: How many processes there may be.
        make: Makes a process.
        limits: After how much work a process is replaced.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        backlog: Backlog,
        max_workers: int,
        make: Callable[[], ProcessWorker],
        limits: WorkerLimits = WorkerLimits(),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.workers: list[ProcessWorker] = []
        self.replaced = 0
        self._backlog = backlog
        self._max_workers = max_workers
        self._make = make
        self._limits = limits
        self._clock = clock
        self._startups = Startups(clock, self._break)
        self._bounded_log = BoundedLog(_logger, clock)
        self._stop_requests: deque[tuple[Job, float]] = deque()
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._selector.register(self._waker.fd, selectors.EVENT_READ, self._waker.clear)
        #: Called with the ids of the jobs that the processes wait for, if all do; returns whether
        #: somebody else may run them. By default it is true.
        self.give_way: Callable[[list[str]], bool] = bool
        #: Wake the manager's thread. Any thread, and a finalizer, may call it.
        self.wake = self._waker.wake

    def ask_to_stop(self, job: Job, grace: float) -> None:
        """Ask a job to end, and kill its process after so many seconds. Any thread may call it."""
        self._stop_requests.append((job, grace))
        self.wake()

    def run(self) -> None:
        """Work until no more jobs are to come and all processes have ended."""
        try:
            while self.workers or len(self._backlog) or not self._backlog.is_ending:
                self._step()
        except BaseException:  # noqa: BLE001  # it is logged, and all jobs end with it
            _log.critical("Exception in the process manager of a TaskPool:", exc_info=True)
            self._break("The pool's process manager failed; see the log.")
            while self.workers:
                self._handle_events()
        finally:
            self.close_descriptors()

    def close_descriptors(self) -> None:
        """Close all descriptors."""
        for worker in self.workers:
            worker.close_descriptors()
        self._selector.close()
        self._waker.close()

    def _step(self) -> None:
        self._handle_events()
        self._stop_requested()
        self._tell_soft_limits()
        self._stop_overdue()
        self._end_blocked()
        self._assign()
        self._start_missing()
        self._retire_idle()

    def _handle_events(self) -> None:
        for key, _ in self._selector.select(self._poll_timeout()):
            key.data()

    def _poll_timeout(self) -> float | None:
        """Return the seconds until the next deadline; None if there is none."""
        now = self._clock()
        times = [worker.deadline for worker in self.workers]
        times += [worker.soft_deadline for worker in self.workers]
        if len(self._backlog):
            times.append(self._startups.next_try)
        if self._is_blocked:
            times.append(now + _RECHECK)
        first = min((time for time in times if time is not None), default=None)
        return None if first is None else max(0.0, first - now)

    @property
    def _is_blocked(self) -> bool:
        """Whether each process runs a job that waits for another job of the pool."""
        return sum(bool(worker.awaits) for worker in self.workers) >= self._max_workers

    def _end_blocked(self) -> None:
        """End a job if all processes wait for jobs that nobody would run."""
        if self._is_blocked and not self.give_way([worker.awaits for worker in self.workers]):
            self.workers[-1].kill(PoolExhausted("dewar-task-worker", self._max_workers))
            self.workers[-1].awaits = ""

    def _stop_requested(self) -> None:
        while self._stop_requests:
            job, grace = self._stop_requests.popleft()
            for worker in self.workers:
                if worker.item is not None and worker.item.job is job:
                    worker.cancel(self._clock() + grace)

    def _tell_soft_limits(self) -> None:
        now = self._clock()
        for worker in self.workers:
            if worker.soft_deadline is not None and worker.soft_deadline <= now:
                worker.soft_deadline = None
                worker.tell(FrameKind.SOFT_TIMEOUT)

    def _stop_overdue(self) -> None:
        now = self._clock()
        for worker in self.workers:
            if worker.deadline is not None and worker.deadline <= now:
                worker.kill(worker.deadline_outcome)

    def _assign(self) -> None:
        # One that leaves and its successor are two processes, and only one of them may have a job.
        free = self._max_workers - sum(worker.item is not None for worker in self.workers)
        for worker in self.workers:
            if worker.state is not ProcessWorkerState.IDLE or free <= 0:
                continue
            item = self._backlog.take()
            if item is None:
                return
            free -= 1
            worker.is_leaving = self._limits.is_last_job(worker.jobs_done)
            worker.assign(item, self._clock())
            if worker.wants_to_write:
                self._update_interest(worker)

    def _update_interest(self, worker: ProcessWorker) -> None:
        """Wait for messages of a worker and, if its job is not sent, until more can be sent."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.wants_to_write else 0)
        self._selector.modify(worker.connection, events, partial(self._on_io, worker))

    def _start_missing(self) -> None:
        """Start processes for the jobs that wait, also in the places of those that leave."""
        if self._backlog.state is EngineState.BROKEN:
            return
        ready = {ProcessWorkerState.STARTING, ProcessWorkerState.IDLE}
        coming = sum(worker.state in ready for worker in self.workers)
        staying = sum(not worker.is_leaving for worker in self.workers)
        for _ in range(min(len(self._backlog) - coming, self._max_workers - staying)):
            if self._startups.next_try is not None:
                return
            self._start()

    def _start(self) -> None:
        before = list(self.workers)
        try:
            worker = self._make()
            # Before the start: a forked child closes the descriptors of all workers in the list.
            self.workers.append(worker)
            worker.start()
        except Exception as error:  # noqa: BLE001  # pickling the initializer may raise anything
            self.workers[:] = before
            self._startups.note_error(error)
            return
        self._selector.register(
            worker.connection, selectors.EVENT_READ, partial(self._on_io, worker)
        )
        self._selector.register(worker.exit_fd, selectors.EVENT_READ, partial(self._reap, worker))

    def _retire_idle(self) -> None:
        """End the idle processes at the end."""
        if len(self._backlog) or not self._backlog.is_ending:
            return
        for worker in self.workers:
            if worker.state in {ProcessWorkerState.IDLE, ProcessWorkerState.STARTING}:
                self._retire(worker)

    def _retire(self, worker: ProcessWorker) -> None:
        self._unregister(worker)
        worker.retire(self._clock() + _GRACE)

    def _unregister(self, worker: ProcessWorker) -> None:
        # Either side may have closed the connection.
        with suppress(KeyError, OSError):
            self._selector.unregister(worker.connection)

    def _on_io(self, worker: ProcessWorker) -> None:
        if worker not in self.workers or worker.state is ProcessWorkerState.RETIRING:
            return  # it died or was retired by an earlier event of the same batch
        if worker.wants_to_write:
            worker.write()
            self._update_interest(worker)
        messages = worker.read()
        if messages is None:
            # It is about to exit, and must get no job.
            self._unregister(worker)
            if worker.state is ProcessWorkerState.IDLE:
                self._retire(worker)
            return
        for kind, payload in messages:
            self._on_message(worker, kind, payload)

    def _on_message(self, worker: ProcessWorker, kind: FrameKind, payload: bytes) -> None:
        if kind is FrameKind.READY:
            self._startups.note_ready()
            if worker.state is ProcessWorkerState.STARTING:
                worker.state = ProcessWorkerState.IDLE
        elif kind is FrameKind.BROKEN:
            worker.startup_error = f"The initializer of a process failed:\n{payload.decode()}"
            self._retire(worker)
        elif kind is FrameKind.PROGRESS:
            if worker.item is not None:
                worker.item.job.progress = Progress(*json.loads(payload))
        elif kind is FrameKind.WAIT:
            worker.awaits = payload.decode()
        elif kind is FrameKind.MEMORY:
            worker.memory = unpack_number(payload)
        else:
            item = worker.finish()
            self._backlog.note_finished()
            self._retire_worn(worker)
            if item is not None:
                item.set_outcome(kind, payload)

    def _retire_worn(self, worker: ProcessWorker) -> None:
        """End a process after its last job, before it gets another."""
        if self._limits.is_too_large(worker.memory):
            worker.is_leaving = True
            text = "A process of a TaskPool is replaced after %d jobs: %s"
            self._bounded_log.warn(text, worker.jobs_done, self._limits.excess(worker.memory))
        if worker.is_leaving and worker.state is ProcessWorkerState.IDLE:
            self._retire(worker)

    def _reap(self, worker: ProcessWorker) -> None:
        """Settle the job of a process that has ended, and decide what follows."""
        was = worker.state
        if was is not ProcessWorkerState.RETIRING:
            # The messages that it sent before it died are valid.
            while messages := worker.read():
                for message in messages:
                    self._on_message(worker, *message)
            self._unregister(worker)
        self._selector.unregister(worker.exit_fd)
        self.workers.remove(worker)
        code = worker.reap()
        item = worker.item
        if item is not None:
            self._backlog.note_finished()
            item.job.set_exception(worker.exit_outcome or item.death(code))
        if worker.startup_error is not None:
            self._break(worker.startup_error)
        elif was is ProcessWorkerState.STARTING:
            self._startups.note_death(code)
        elif was is not ProcessWorkerState.RETIRING:
            self.replaced += 1

    def _break(self, why: str, cause: BaseException | None = None) -> None:
        self._backlog.mark_broken(why)
        for job in self._backlog.drain():
            fail(job, _broken(why, cause))
        for worker in self.workers:
            if worker.state is not ProcessWorkerState.RETIRING:
                worker.kill(_broken(why, cause))

    def __repr__(self) -> str:
        return f"<ProcessManager of {self.workers!r}>"


def _broken(why: str, cause: BaseException | None) -> BrokenProcessPool:
    error = BrokenProcessPool(why)
    error.__cause__ = cause
    return error
