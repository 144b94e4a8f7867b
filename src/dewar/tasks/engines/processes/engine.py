"""`ProcessEngine`: runs jobs in child processes."""

import sys
from collections.abc import Callable
from contextvars import Context
from functools import partial
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from threading import Lock, Thread, current_thread
from types import ModuleType
from typing import Any

from dewar.tasks.engines.interface import (
    STOP_GRACE,
    Ability,
    EngineStatistics,
    JobCall,
)
from dewar.tasks.engines.process_hooks import process_hooks
from dewar.tasks.engines.processes.backlog import Backlog, WorkItem
from dewar.tasks.engines.processes.manager import ProcessManager
from dewar.tasks.engines.processes.messages import pack_call
from dewar.tasks.engines.processes.worker import ProcessWorker
from dewar.tasks.engines.processes.worker_limits import WorkerLimits
from dewar.tasks.engines.settle import call_name, drop, fail, start_thread
from dewar.tasks.errors import TaskSetupError, ThreadRefused
from dewar.tasks.job import Job


class ProcessEngine:
    """Runs jobs in child processes, one at a time in each. The processes start on demand.

    If a process dies, its job ends with `WorkerDied`, and the process is replaced.

    Args:
        processes: How many processes there may be.
        context: How they are started; None for "spawn".
        initializer: Called in each process before its first job.
        initargs: The arguments of the initializer.
        limits: After how much work a process is replaced.

    Raises:
        TaskSetupError: (a `ValueError`) for a limit with processes that are forked.
    """

    name = "processes"
    abilities = frozenset(Ability) - {Ability.SURVIVE_WORKER, Ability.SURVIVE_BROKER}

    def __init__(
        self,
        processes: int,
        context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        limits: WorkerLimits = WorkerLimits(),  # noqa: B008  # frozen
    ) -> None:
        self._max_workers = processes
        self._context = context or get_context("spawn")
        self._initializer = initializer
        self._initargs = initargs
        self._limits = limits
        if limits != WorkerLimits() and self._context.get_start_method() == "fork":
            raise TaskSetupError(
                "max_jobs_per_worker and max_memory_per_worker do not work with forked processes: a"
                " fork while threads run may hang. Use"
                ' mp_context=multiprocessing.get_context("spawn").'
            )
        #: See `ProcessManager`. Set before the first job.
        self.give_way: Callable[[list[str]], bool] = bool
        self._main_file: str | None = getattr(sys.modules["__main__"], "__file__", None)
        self._backlog = Backlog()
        self._reset()
        process_hooks.add(self)

    def submit(self, job: Job, call: JobCall) -> None:
        """Run the job as soon as a process is free.

        If the call cannot be pickled, the job fails.

        Raises:
            TaskSetupError: If another process cannot find the app of the call's context.
            ThreadRefused: If the system starts no thread for the first job.
            RuntimeError: After `shutdown`, or as a `BrokenProcessPool` after an initializer failed.
        """
        portable = None if call.context is None else call.context.portable()
        try:
            data = pack_call(call, portable)
        except Exception as error:  # noqa: BLE001  # pickling a value may raise anything
            self._backlog.check()
            # Its traceback holds this frame, and so the job.
            fail(job, error.with_traceback(None))
            return
        self._backlog.check()
        # Before the job is in the backlog: without a thread, nobody would take it from there.
        manager = self._running_manager()
        item = WorkItem(job, call_name(call), data, call.timeout, call.soft_timeout)
        self._backlog.put(item)
        manager.wake()

    def stop(self, job: Job, grace: float = STOP_GRACE) -> bool:
        """Ask the job to end, and kill its process after some seconds."""
        manager = self._manager
        if manager is None or not job.running():
            return False
        manager.ask_to_stop(job, grace)
        return True

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        """Take no more jobs; with `wait`, wait until the processes have ended."""
        self._backlog.close()
        if cancel_futures:
            for job in self._backlog.drain():
                drop(job)
        with self._lock:
            manager, thread = self._manager, self._thread
        if manager is None or thread is None:
            return
        manager.wake()
        # A job's callback may shut down the pool.
        if wait and thread is not current_thread():
            thread.join()

    def release(self) -> None:
        """Let the processes end after the last job. Safe in a finalizer: it takes no lock."""
        self._backlog.is_released = True
        if self._manager is not None:
            self._manager.wake()

    def end(self) -> None:
        """Finish the accepted jobs, and wait for them."""
        self.shutdown(wait=True, cancel_futures=False)

    def after_fork(self) -> None:
        """Reset, in a forked child: without processes and jobs."""
        if self._manager is not None:
            # Otherwise the parent's children would not notice that it has closed or died.
            self._manager.close_descriptors()
        self._backlog = Backlog(self._backlog.state)
        self._reset()

    def statistics(self) -> EngineStatistics:
        """Return the numbers of jobs and processes."""
        unfinished, finished = self._backlog.counts()
        manager = self._manager
        return EngineStatistics(
            engine=self.name,
            workers=0 if manager is None else len(manager.workers),
            queued=max(0, unfinished - self._max_workers),
            running=min(unfinished, self._max_workers),
            finished=finished,
            replaced=0 if manager is None else manager.replaced,
        )

    def _reset(self) -> None:
        self._lock = Lock()
        self._manager: ProcessManager | None = None
        self._thread: Thread | None = None

    def _running_manager(self) -> ProcessManager:
        with self._lock:
            if self._manager is None:
                # Not a bound method: it would make a cycle, and the initializer's objects would
                # not be freed with the engine at once.
                make = partial(
                    _make,
                    self._main_file,
                    self._context,
                    self._limits.max_memory is not None,
                    self._initializer,
                    self._initargs,
                )
                manager = ProcessManager(self._backlog, self._max_workers, make, self._limits)
                manager.give_way = self.give_way
                # The target holds the engine, so that `process_hooks`, which is weak, can end it.
                thread = Thread(
                    target=Context().run,
                    args=(self._run_manager, manager),
                    name="dewar-process-manager",
                )
                try:
                    start_thread(thread, repr(self))
                except ThreadRefused:
                    manager.close_descriptors()
                    raise
                self._manager, self._thread = manager, thread
            return self._manager

    def _run_manager(self, manager: ProcessManager) -> None:
        manager.run()

    def __repr__(self) -> str:
        workers = self.statistics().workers
        state = self._backlog.state.value
        return f"<ProcessEngine {workers} of {self._max_workers} processes, {state}>"


def _make(main_file: str | None, *args: Any) -> ProcessWorker:
    # A child finds the functions of a script by the `__file__` of its main module. Python removes
    # that when the script ends, perhaps while the first process is being started. So the class of
    # the module has it too.
    main = sys.modules["__main__"]
    if main_file is not None and type(main) is ModuleType:
        main.__class__ = type("Main", (ModuleType,), {"__file__": main_file})
    return ProcessWorker(*args)
