"""`EngineSetup`: the settings of a pool about its engine, and how the engine is opened."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.context import BaseContext
from typing import Any

from dewar.tasks.engines.interface import JobEngine
from dewar.tasks.engines.threads import ThreadEngine
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.settings import maybe_size

#: The kinds of pools that each setting is for.
_GOES_WITH = {
    "thread_name_prefix": ("threads",),
    "initializer": ("threads", "processes"),
    "mp_context": ("processes",),
    "max_tasks_per_child": ("processes",),
    "max_jobs_per_worker": ("processes",),
    "max_memory_per_worker": ("processes",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSetup:
    """The settings of a `dewar.tasks.pool.TaskPool` about its engine, as they were given there.

    Raises:
        TaskSetupError: (a `ValueError`) for a value that cannot work, and for settings that
            exclude each other.
        TypeError: If a setting is of the wrong type.
    """

    threads: int | None = None
    processes: int | None = None
    engine: str | JobEngine | None = None
    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()
    thread_name_prefix: str = ""
    mp_context: BaseContext | None = None
    max_tasks_per_child: int | None = None
    max_jobs_per_worker: int | None = None
    max_memory_per_worker: int | str | None = None

    def __post_init__(self) -> None:
        modes = [name for name in ("threads", "processes", "engine") if self._has(name)]
        if len(modes) > 1:
            raise TaskSetupError(
                f"A pool has one engine: give either {' or '.join(modes)}. For both, make two"
                " pools."
            )
        mode = modes[0] if modes else "threads"
        for name, places in _GOES_WITH.items():
            if self._has(name) and mode not in places:
                raise TaskSetupError(
                    f"{name} is for {' and '.join(places)}; it does not apply to {mode}."
                )
        if self._has("max_tasks_per_child") and self._has("max_jobs_per_worker"):
            raise TaskSetupError(
                "max_tasks_per_child is the name of max_jobs_per_worker in concurrent.futures. Give"
                " one of them."
            )
        for name in ("threads", "processes", "max_tasks_per_child", "max_jobs_per_worker"):
            check_count(name, getattr(self, name))
        maybe_size("max_memory_per_worker", self.max_memory_per_worker)  # a check
        if self.initializer is not None and not callable(self.initializer):
            raise TypeError(f"initializer must be a callable, and {self.initializer!r} is not.")

    def open(self) -> JobEngine:
        """Return the engine: the one that was given, or a new one."""
        if isinstance(self.engine, str):
            return open_engine(self.engine)
        if self.engine is not None:
            return self.engine
        if self.processes is not None:
            return self._open_processes(self.processes)
        return ThreadEngine(
            _usual_threads() if self.threads is None else self.threads,
            self.thread_name_prefix,
            self.initializer,
            self.initargs,
        )

    def _open_processes(self, processes: int) -> JobEngine:
        if sys.platform == "win32":
            raise TaskSetupError(
                "TaskPool(processes=...) needs a UNIX system. Use threads here, or an engine on"
                ' another machine: TaskPool(engine="dask://host:8786")'
            )
        # Not at the top: it imports modules that only UNIX has.
        from dewar.tasks.engines.processes.engine import ProcessEngine
        from dewar.tasks.engines.processes.worker_limits import WorkerLimits

        limits = WorkerLimits(
            max_jobs=self.max_jobs_per_worker or self.max_tasks_per_child,
            max_memory=maybe_size("max_memory_per_worker", self.max_memory_per_worker),
        )
        return ProcessEngine(processes, self.mp_context, self.initializer, self.initargs, limits)

    def _has(self, name: str) -> bool:
        value = getattr(self, name)
        return value is not None and value != ""


def check_count(name: str, value: object) -> None:
    """Check that a setting is None or a positive integer.

    Raises:
        TypeError: If it is not an integer.
        TaskSetupError: If it is less than 1.
    """
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, and {value!r} is not.")
    if value < 1:
        raise TaskSetupError(f"{name} must be greater than 0, and is {value}.")


def _usual_threads() -> int:
    # The number of ThreadPoolExecutor: it suits jobs that wait, or that release the GIL.
    count = getattr(os, "process_cpu_count", os.cpu_count)()
    return min(32, (count or 1) + 4)


#: Scheme, module, and an example. Celery's schemes end with the broker's: ``celery+redis``.
_ENGINES = {
    "dask": ("dewar.tasks.engines.dask.engine", "dask://scheduler:8786"),
    "celery": ("dewar.tasks.engines.celery.engine", "celery+redis://broker:6379/0"),
}


def open_engine(url: str) -> JobEngine:
    """Return a new engine for a URL. Its module is imported now.

    Raises:
        TaskSetupError: If the scheme is not that of an engine.
        MissingExtra: If the engine's library is not installed.
    """
    scheme, separator, _ = url.partition("://")
    found = _ENGINES.get(scheme.partition("+")[0])
    if found is None or not separator:
        examples = " or ".join(repr(example) for _, example in _ENGINES.values())
        raise TaskSetupError(
            f"{url!r} names no engine. Write {examples}; for threads or processes of this machine,"
            " write TaskPool(threads=4) or TaskPool(processes=2)."
        )
    engine: JobEngine = import_module(found[0]).open(url)
    return engine
