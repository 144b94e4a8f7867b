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

from dewar.tasks.engines.interface import Ability, Call, EngineStatistics
from dewar.tasks.engines.processes.backlog import Backlog, Waiting
from dewar.tasks.engines.processes.crossing import pack_call
from dewar.tasks.engines.processes.member import Member
from dewar.tasks.engines.processes.overseer import Overseer
from dewar.tasks.engines.settling import drop, fail, name_of
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.job import Job
from dewar.tasks.lifecycle import lifecycle


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
        self._most = processes
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
        self._begin()
        lifecycle.add(self)

    def submit(self, job: Job, call: Call) -> None:
        """Have the job run as soon as a process is free.

        A call that cannot be pickled is the job's failure.

        Raises:
            TaskSetupError: If the app that goes along cannot be found by another process.
            RuntimeError: After `shutdown`, or as a `BrokenProcessPool` after an initializer failed.
        """
        portable = None if call.carried is None else call.carried.portable()
        try:
            data = pack_call(call.function, call.args, call.kwargs, portable)
        except Exception as error:  # noqa: BLE001  # what pickling raises is up to the values
            self._backlog.check()
            # Its traceback leads here, and so to the job.
            fail(job, error.with_traceback(None))
            return
        self._backlog.put(Waiting(job, name_of(call.function), data, call.timeout))
        self._started().wake()

    def stop(self, job: Job) -> bool:
        """Kill the process that runs the job."""
        overseer = self._overseer
        if overseer is None or not job.running():
            return False
        overseer.ask_to_stop(job)
        return True

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        """Take no more jobs; with `wait`, return when the processes have ended."""
        self._backlog.close()
        if cancel_futures:
            for job in self._backlog.drain():
                drop(job)
        with self._lock:
            overseer, thread = self._overseer, self._thread
        if overseer is None or thread is None:
            return
        overseer.wake()
        # A job's callback may shut down the pool.
        if wait and thread is not current_thread():
            thread.join()

    def release(self) -> None:
        """Take note that nobody can submit any more. Safe in a finalizer: it takes no lock."""
        self._backlog.is_released = True
        if self._overseer is not None:
            self._overseer.wake()

    def end(self) -> None:
        """Finish what was accepted."""
        self.shutdown(wait=True, cancel_futures=False)

    def after_fork(self) -> None:
        """Start anew, without processes and jobs."""
        if self._overseer is not None:
            # Or the children would not see that the parent has closed, or died.
            self._overseer.disown()
        self._backlog = Backlog(self._backlog.phase)
        self._begin()

    def statistics(self) -> EngineStatistics:
        """Return how it is doing."""
        unfinished, finished = self._backlog.numbers()
        overseer = self._overseer
        return EngineStatistics(
            engine=self.name,
            workers=0 if overseer is None else len(overseer.members),
            queued=max(0, unfinished - self._most),
            running=min(unfinished, self._most),
            finished=finished,
            replaced=0 if overseer is None else overseer.replaced,
        )

    def _begin(self) -> None:
        self._lock = Lock()
        self._overseer: Overseer | None = None
        self._thread: Thread | None = None

    def _started(self) -> Overseer:
        with self._lock:
            if self._overseer is None:
                # Not a method of ours: what the initializer holds is to be freed with us at once.
                make = partial(
                    _make, self._main_file, self._context, self._initializer, self._initargs
                )
                self._overseer = Overseer(self._backlog, self._most, make, self._max_jobs)
                # Its target is ours: who oversees processes is told when the interpreter ends.
                self._thread = Thread(
                    target=Context().run,
                    args=(self._oversee, self._overseer),
                    name="dewar-overseer",
                )
                self._thread.start()
            return self._overseer

    def _oversee(self, overseer: Overseer) -> None:
        overseer.run()

    def __repr__(self) -> str:
        workers = self.statistics().workers
        phase = self._backlog.phase.value
        return f"<ProcessEngine {workers} of {self._most} processes, {phase}>"


def _make(main_file: str | None, *args: Any) -> Member:
    # When a script has come to its end Python takes its file out of its module, by which a child
    # finds what it defines; and that may be while the first process is being started. So the
    # module's class has it too, where nobody takes it away.
    main = sys.modules["__main__"]
    if main_file is not None and type(main) is ModuleType:
        main.__class__ = type("Main", (ModuleType,), {"__file__": main_file})
    return Member(*args)
