"""`TaskPool`: a `concurrent.futures.Executor` whose jobs run in the submitter's context."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from inspect import iscoroutinefunction
from itertools import islice
from math import isfinite
from multiprocessing.context import BaseContext
from threading import Lock
from typing import Any
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
from dewar.tasks.errors import NotSupported, QueueFull, TaskSetupError
from dewar.tasks.job import Job
from dewar.tasks.serialization.context_transfer import capture

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
        initializer: Called with `initargs` in each new thread or process.
        initargs: The arguments for `initializer`.
        thread_name_prefix: What the names of the threads begin with.
        mp_context: How processes are started: ``multiprocessing.get_context(...)``; "spawn" by
            default.
        max_tasks_per_child: The number of jobs after which a process is replaced; None for never.
        app: Where another process finds the app of the jobs, as ``module:app`` or
            ``module:create_app()``; by default in the app's module.

    Raises:
        TaskSetupError: (a `ValueError`) for arguments that cannot work, alone or together.
        NotSupported: For a `timeout` if the engine cannot stop jobs.
    """

    def __init__(
        self,
        *,
        threads: int | None = None,
        processes: int | None = None,
        engine: str | JobEngine | None = None,
        max_queue: int | None = None,
        timeout: float | None = None,
        initializer: Function | None = None,
        initargs: tuple[Any, ...] = (),
        thread_name_prefix: str = "",
        mp_context: BaseContext | None = None,
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
            max_tasks_per_child=max_tasks_per_child,
        )
        check_count("max_queue", max_queue)
        self._engine = setup.open()
        self._wait = getattr(self._engine, "wait_for", None)
        self._check_timeout(timeout)
        self._limit = None if max_queue is None else _QueueLimit(max_queue)
        self._timeout = timeout
        self._app = app
        # An engine that was passed in may have other users.
        release = getattr(self._engine, "release", None)
        if release is not None and engine is None:
            finalize(self, release).atexit = False

    @property
    def engine(self) -> JobEngine:
        """The engine that runs the jobs."""
        return self._engine

    def submit(self, fn: Function, /, *args: Any, **kwargs: Any) -> Job:
        """Call the function in the background, and return a Future of its result.

        Raises:
            QueueFull: If `max_queue` jobs wait already.
            RuntimeError: After `shutdown`.
        """
        return self._submit(self._timeout, fn, args, kwargs)

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

    def with_timeout(self, *, timeout: float) -> Executor:
        """Return an executor that submits to this pool with another timeout.

        Args:
            timeout: How long each of its jobs may run, in seconds.

        Raises:
            NotSupported: If the engine cannot stop jobs.
        """
        self._check_timeout(timeout)
        return _PoolWithTimeout(self, timeout)

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

    def _submit(
        self, timeout: float | None, fn: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Job:
        job, engine = Job(), self._engine
        job._stop = engine.stop  # noqa: SLF001  # a job's `stop` is its engine's
        job._wait = self._wait  # noqa: SLF001  # so is its wait
        call = JobCall(fn, args, kwargs, capture(self._app), timeout)
        try:
            if self._limit is None:
                engine.submit(job, call)
            else:
                self._limit.submit(engine, job, call)
        except EngineClosed as error:
            raise RuntimeError(str(error)) from None  # as `concurrent.futures` does
        return job

    def _check_timeout(self, timeout: float | None) -> None:
        if timeout is None:
            return
        if not (isfinite(timeout) and timeout > 0):
            raise TaskSetupError(f"timeout must be a number of seconds above 0, and is {timeout}.")
        if Ability.TIMEOUT not in self._engine.abilities:
            raise NotSupported(
                self._engine.name,
                Ability.TIMEOUT.value,
                "Use processes, which can be stopped: TaskPool(processes=..., timeout=...). Or"
                " limit the wait for a result: job.result(timeout=...).",
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
    """Submits to a pool, with another timeout."""

    def __init__(self, pool: TaskPool, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout

    def submit(self, fn: Function, /, *args: Any, **kwargs: Any) -> Job:
        return self._pool._submit(self._timeout, fn, args, kwargs)  # noqa: SLF001  # of this file

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def __repr__(self) -> str:
        return f"<{self._timeout:g} seconds of {self._pool!r}>"


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
