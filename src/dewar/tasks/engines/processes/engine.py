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

from dewar.tasks.engines.interface import Ability, EngineStatistics, JobCall
from dewar.tasks.engines.process_hooks import process_hooks
from dewar.tasks.engines.processes.backlog import Backlog, WorkItem
from dewar.tasks.engines.processes.manager import ProcessManager
from dewar.tasks.engines.processes.messages import pack_call
from dewar.tasks.engines.processes.worker import ProcessWorker
from dewar.tasks.engines.settle import drop, fail, function_name
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.job import Job


class ProcessEngine:
    """Runs jobs on at most so many child processes, one at a time in each.

    A process that dies takes its own job along (`WorkerDied`) and is replaced. A process is
    started when a job has none to run in.

    Args:
        processes: How many.
        context: How they are started; None for "spawn".
        initializer: Called with `initargs` in each process before its first job.
        initargs: See there.
        max_jobs: After how many jobs a process is replaced; None for never.

    Raises:
        TaskSetupError: (a `ValueError`) for `max_jobs` with processes that are forked.
    """

    name = "processes"
    abilities = frozenset({Ability.CANCEL_QUEUED, Ability.STOP, Ability.TIMEOUT, Ability.PROGRESS})

    def __init__(
        self,
        processes: int,
        context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        max_jobs: int | None = None,
    ) -> None:
        self._max_workers = processes
        self._context = context or get_context("spawn")
        self._initializer = initializer
        self._initargs = initargs
        self._max_jobs = max_jobs
        if max_jobs is not None and self._context.get_start_method() == "fork":
            raise TaskSetupError(
                "max_tasks_per_child cannot be had with processes that are forked: a fork while"
                ' threads run may hang. Use mp_context=multiprocessing.get_context("spawn").'
            )
        self._main_file: str | None = getattr(sys.modules["__main__"], "__file__", None)
        self._backlog = Backlog()
        self._reset()
        process_hooks.add(self)

    def submit(self, job: Job, call: JobCall) -> None:
        """Have the job run as soon as a process is free.

        A call that cannot be pickled is the job's failure.

        Raises:
            TaskSetupError: If the app that goes along cannot be found by another process.
            RuntimeError: After `shutdown`, or as a `BrokenProcessPool` after an initializer failed.
        """
        portable = None if call.context is None else call.context.portable()
        try:
            data = pack_call(call.function, call.args, call.kwargs, portable)
        except Exception as error:  # noqa: BLE001  # what pickling raises is up to the values
            self._backlog.check()
            # Its traceback leads here, and so to the job.
            fail(job, error.with_traceback(None))
            return
        self._backlog.put(WorkItem(job, function_name(call.function), data, call.timeout))
        self._running_manager().wake()

    def stop(self, job: Job) -> bool:
        """Kill the process that runs the job."""
        manager = self._manager
        if manager is None or not job.running():
            return False
        manager.ask_to_stop(job)
        return True

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        """Take no more jobs; with `wait`, return when the processes have ended."""
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
        """Take note that nobody can submit any more. Safe in a finalizer: it takes no lock."""
        self._backlog.is_released = True
        if self._manager is not None:
            self._manager.wake()

    def end(self) -> None:
        """Finish what was accepted."""
        self.shutdown(wait=True, cancel_futures=False)

    def after_fork(self) -> None:
        """Start anew, without processes and jobs."""
        if self._manager is not None:
            # Or the children would not see that the parent has closed, or died.
            self._manager.close_descriptors()
        self._backlog = Backlog(self._backlog.state)
        self._reset()

    def statistics(self) -> EngineStatistics:
        """Return how it is doing."""
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
                # Not a method of ours: what the initializer holds is to be freed with us at once.
                make = partial(
                    _make, self._main_file, self._context, self._initializer, self._initargs
                )
                self._manager = ProcessManager(
                    self._backlog, self._max_workers, make, self._max_jobs
                )
                # Its target is ours: who oversees processes is told when the interpreter ends.
                self._thread = Thread(
                    target=Context().run,
                    args=(self._run_manager, self._manager),
                    name="dewar-process-manager",
                )
                self._thread.start()
            return self._manager

    def _run_manager(self, manager: ProcessManager) -> None:
        manager.run()

    def __repr__(self) -> str:
        workers = self.statistics().workers
        state = self._backlog.state.value
        return f"<ProcessEngine {workers} of {self._max_workers} processes, {state}>"


def _make(main_file: str | None, *args: Any) -> ProcessWorker:
    # When a script has come to its end Python takes its file out of its module, by which a child
    # finds what it defines; and that may be while the first process is being started. So the
    # module's class has it too, where nobody takes it away.
    main = sys.modules["__main__"]
    if main_file is not None and type(main) is ModuleType:
        main.__class__ = type("Main", (ModuleType,), {"__file__": main_file})
    return ProcessWorker(*args)
