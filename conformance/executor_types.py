"""`TaskPool` with the constructors of `concurrent.futures`, for CPython's own tests.

It has the private attributes that those tests read, if the pool has an equivalent. Tests of other
attributes are listed in `conformance.executors.SKIPPED`.
"""

import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from multiprocessing.context import BaseContext
from typing import Any

from dewar.tasks.engines.settle import EngineState
from dewar.tasks.pool import TaskPool

__all__ = ["TESTS", "ProcessPoolExecutor", "ThreadPoolExecutor", "find_tests"]

#: The variable with the folder ``test_concurrent_futures``, for interpreters without it.
TESTS = "DEWAR_EXECUTOR_TESTS"


class ThreadPoolExecutor(TaskPool):
    """Threads."""

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "ThreadPoolExecutor-0",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        _check(max_workers)
        super().__init__(
            threads=max_workers,
            thread_name_prefix=thread_name_prefix,
            initializer=initializer,
            initargs=initargs,
        )

    @property
    def _max_workers(self) -> int:
        return self._engine._max_workers  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001

    @property
    def _threads(self) -> list[Any]:
        return [worker.thread for worker in self._engine._workers]  # type: ignore[attr-defined]  # noqa: SLF001

    @property
    def _broken(self) -> bool:
        return self._engine._state is EngineState.BROKEN  # type: ignore[attr-defined]  # noqa: SLF001


class ProcessPoolExecutor(TaskPool):
    """Processes."""

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
    ) -> None:
        _check(max_workers)
        super().__init__(
            processes=max_workers or os.cpu_count() or 1,
            mp_context=mp_context,
            initializer=initializer,
            initargs=initargs,
            max_tasks_per_child=max_tasks_per_child,
        )

    @property
    def _broken(self) -> bool:
        return self._engine._backlog.state is EngineState.BROKEN  # type: ignore[attr-defined]  # noqa: SLF001

    @property
    def _max_workers(self) -> int:
        return self._engine._max_workers  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001

    @property
    def _processes(self) -> dict[int, Any]:
        workers = self._engine._manager.workers  # type: ignore[attr-defined]  # noqa: SLF001
        return {id(worker): worker for worker in list(workers)}


def _check(max_workers: int | None) -> None:
    if max_workers is not None and max_workers <= 0:
        raise ValueError("max_workers must be greater than 0")


def find_tests() -> None:
    """Make ``test.test_concurrent_futures`` importable from the folder in the variable.

    The tests belong to one release of CPython. Helpers that an older release lacks are added.
    """
    folder = os.environ.get(TESTS)
    if folder is None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package: Any = import_module("test")
        support: Any = import_module("test.support")
    package.__path__.append(os.path.dirname(os.path.abspath(folder)))  # noqa: PTH100, PTH120
    if sys.version_info >= (3, 13):
        return
    # They describe builds that no older release has.
    os.process_cpu_count = os.cpu_count  # type: ignore[attr-defined]
    support.Py_GIL_DISABLED = False
    support.check_sanitizer = lambda **_: False
    support.requires_gil_enabled = support.skip_if_sanitizer = _always


def _always(_reason: str, **_: bool) -> Callable[[Any], Any]:
    return lambda test: test


# Called on import, because child processes of the tests need it too.
find_tests()
