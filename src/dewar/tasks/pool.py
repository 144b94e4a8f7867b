"""`TaskPool`: a `concurrent.futures.Executor` whose jobs run in the submitter's context."""

from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from inspect import iscoroutinefunction
from itertools import islice
from multiprocessing.context import BaseContext
from threading import Lock
from typing import Any, ParamSpec, overload
from weakref import finalize

from dewar.tasks.engines.interface import (
    Ability,
    EngineClosed,
    EngineStatistics,
    JobCall,
    JobEngine,
)
from dewar.tasks.engines.open import EngineSetup, check_count
from dewar.tasks.engines.process_hooks import process_hooks
from dewar.tasks.errors import NotSupported, QueueFull
from dewar.tasks.job import Job, R
from dewar.tasks.progress import shielded
from dewar.tasks.serialization.context_transfer import capture
from dewar.tasks.time_limits import TimeLimits

P = ParamSpec("P")

Function = Callable[..., Any]


class TaskPool(Executor):
    """Runs functions on threads, processes or other machines.

    It is a `concurrent.futures.Executor`, and `submit` returns a Future. A function that is
    submitted while an app handles a request sees a copy of that request, of `g` and of the session.
    A coroutine function runs to its end::

        pool = TaskPool(threads=4)


        @app.post("/picture")
        def upload():
            pool.submit(make_thumbnails, save(request.files["picture"]))
            return "", 202

    Args:
        threads: The most threads to run on; by default as many as ThreadPoolExecutor takes.
        processes: The most processes to run on.
        engine: The engine to run on, or its URL (``dask://host:8786``, ``celery+redis://host/0``).
        max_queue: How many jobs may wait, besides those that run; None for any number.
        timeout: How long each job may run, in seconds; None for no limit.
        soft_timeout: After how many seconds `SoftTimeLimitExceeded` is raised in the function of a
            job, which may clean up and return; None for never.
        initializer: Called with `initargs` in each new thread or process.
        initargs: The arguments for `initializer`.
        thread_name_prefix: What the names of the threads begin with.
        mp_context: How processes are started: ``multiprocessing.get_context(...)``; "spawn" by
            default.
        max_jobs_per_worker: The number of jobs after which a process is replaced; None for never.
        max_memory_per_worker: A process that has more memory than this after a job is replaced: a
            number of bytes, or ``"200M"``.
        max_tasks_per_child: Another name of `max_jobs_per_worker`, as in `concurrent.futures`.
        app: Where another process finds the app of the jobs, as ``module:app`` or
            ``module:create_app()``; by default in the app's module.

    Raises:
        TaskSetupError: (a `ValueError`) for arguments that cannot work, alone or together.
        NotSupported: For a `timeout` if the engine cannot stop jobs, or a `soft_timeout` if it
            cannot interrupt them.
    """

    def __init__(
        self,
        *,
        threads: int | None = None,
        processes: int | None = None,
        engine: str | JobEngine | None = None,
        max_queue: int | None = None,
        timeout: float | None = None,
        soft_timeout: float | None = None,
        initializer: Function | None = None,
        initargs: tuple[Any, ...] = (),
        thread_name_prefix: str = "",
        mp_context: BaseContext | None = None,
        max_jobs_per_worker: int | None = None,
        max_memory_per_worker: int | str | None = None,
        max_tasks_per_child: int | None = None,
        app: str | None = None,
    ) -> None:
        setup = EngineSetup(
            threads=threads,
            processes=processes,
            engine=engine,
            initializer=initializer,
            initargs=initargs,
            thread_name_prefix=thread_name_prefix,
            mp_context=mp_context,
            max_jobs_per_worker=max_jobs_per_worker,
            max_memory_per_worker=max_memory_per_worker,
            max_tasks_per_child=max_tasks_per_child,
        )
        check_count("max_queue", max_queue)
        self._engine = setup.open()
        self._wait = getattr(self._engine, "wait_for", None)
        self._time_limits = TimeLimits(timeout, soft_timeout)
        self._check_time_limits(self._time_limits)
        self._limit = None if max_queue is None else _QueueLimit(max_queue)
        self._app = app
        # An engine that was passed in may have other users.
        release = getattr(self._engine, "release", None)
        if release is not None and engine is None:
            finalize(self, release).atexit = False

    @property
    def engine(self) -> JobEngine:
        """The engine that runs the jobs."""
        return self._engine

    @overload
    def submit(
        self, fn: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    def submit(self, fn: Function, /, *args: Any, **kwargs: Any) -> Job:
        """Call the function in the background, and return a Future of its result.

        Raises:
            QueueFull: If `max_queue` jobs wait already.
            RuntimeError: After `shutdown`.
        """
        return self._submit(self._time_limits, fn, args, kwargs)

    def map(
        self,
        fn: Function,
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[Any]:
        """Return an iterator of the results, in the order of the arguments.

        All calls are submitted at once.

        Args:
            fn: The function.
            *iterables: Its arguments; each call takes the next item of each.
            timeout: The seconds to wait for all results, before the iterator raises TimeoutError.
            chunksize: How many calls make one job, which is cheaper with processes.

        Raises:
            ValueError: For a `chunksize` less than 1.
        """
        if chunksize < 1:
            raise ValueError(f"chunksize must be >= 1, and is {chunksize}.")
        if chunksize == 1 or iscoroutinefunction(fn):
            return super().map(fn, *iterables, timeout=timeout)
        chunks = _chunks(zip(*iterables, strict=False), chunksize)
        return _chained(super().map(partial(_call_each, fn), chunks, timeout=timeout))

    def with_timeout(
        self, *, timeout: float | None = None, soft_timeout: float | None = None
    ) -> Executor:
        """Return an executor that submits to this pool with other timeouts.

        Args:
            timeout: How long each of its jobs may run, in seconds.
            soft_timeout: After how many seconds each gets a `SoftTimeLimitExceeded`.

        Raises:
            NotSupported: If the engine cannot stop jobs, or cannot interrupt them.
        """
        limits = TimeLimits(timeout, soft_timeout)
        self._check_time_limits(limits)
        return _PoolWithTimeout(self, limits)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs.

        Args:
            wait: Return only after all jobs, and the threads or processes they ran on, have ended.
            cancel_futures: Cancel those that have not begun.
        """
        self._engine.shutdown(wait, cancel_futures)

    def statistics(self) -> EngineStatistics:
        """Return how many jobs wait, run and have ended, and the number of workers."""
        return self._engine.statistics()

    @shielded
    def _submit(
        self, limits: TimeLimits, fn: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Job:
        job, engine = Job(), self._engine
        job._stop = engine.stop  # noqa: SLF001  # a job's `stop` is its engine's
        job._wait = self._wait  # noqa: SLF001  # so is its wait
        call = JobCall(
            fn, args, kwargs, capture(self._app), timeout=limits.hard, soft_timeout=limits.soft
        )
        try:
            if self._limit is None:
                engine.submit(job, call)
            else:
                self._limit.submit(engine, job, call)
        except EngineClosed as error:
            raise RuntimeError(str(error)) from None  # as `concurrent.futures` does
        return job

    def _check_time_limits(self, limits: TimeLimits) -> None:
        engine = self._engine
        if limits.hard is not None and Ability.TIMEOUT not in engine.abilities:
            raise NotSupported(
                engine.name,
                Ability.TIMEOUT.value,
                "Use processes, which can be stopped: TaskPool(processes=..., timeout=...). Or"
                " limit the wait for a result: job.result(timeout=...).",
            )
        if limits.soft is not None and Ability.SOFT_TIMEOUT not in engine.abilities:
            raise NotSupported(
                engine.name,
                Ability.SOFT_TIMEOUT.value,
                "Use threads or processes: TaskPool(threads=..., soft_timeout=...).",
            )

    def __repr__(self) -> str:
        return f"<TaskPool on {self._engine!r}>"


class _QueueLimit:
    """Submits to an engine while fewer than a number of jobs wait there.

    Args:
        limit: How many jobs may wait, besides those that run.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Held from the count to the submission: two threads must not take the same last place.
        self._lock = Lock()
        process_hooks.add(self)

    def submit(self, engine: JobEngine, job: Job, call: JobCall) -> None:
        """Submit the job.

        Raises:
            QueueFull: If there is no room.
        """
        with self._lock:
            if engine.statistics().queued >= self._limit:
                raise QueueFull(f"The pool of {engine!r}", self._limit)
            engine.submit(job, call)

    def end(self) -> None:
        """Do nothing: the engine is ended by itself."""

    def after_fork(self) -> None:
        """Take a new lock, which no thread of the parent holds."""
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<QueueLimit of {self._limit} jobs>"


class _PoolWithTimeout(Executor):
    """Submits to a pool, with other time limits."""

    def __init__(self, pool: TaskPool, limits: TimeLimits) -> None:
        self._pool = pool
        self._limits = limits

    def submit(self, fn: Function, /, *args: Any, **kwargs: Any) -> Job:
        return self._pool._submit(self._limits, fn, args, kwargs)  # noqa: SLF001  # of this file

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def __repr__(self) -> str:
        return f"<{self._limits.shown} of {self._pool!r}>"


def _chunks(calls: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(islice(calls, size)):
        yield chunk


def _call_each(fn: Function, calls: list[tuple[Any, ...]]) -> list[Any]:
    return [fn(*args) for args in calls]


def _chained(chunks: Iterator[list[Any]]) -> Iterator[Any]:
    """Yield the results one by one, and keep a reference to none."""
    for chunk in chunks:
        chunk.reverse()
        while chunk:
            yield chunk.pop()
