"""Runs CPython's own tests of `concurrent.futures` on `TaskPool`.

``python -m conformance.executors [threads] [spawn] [forkserver] [fork] [--only MODULE]``

They are in ``test.test_concurrent_futures`` of the interpreter (3.12 or newer). If that is not
installed, set ``DEWAR_EXECUTOR_TESTS`` to the folder ``Lib/test/test_concurrent_futures`` of a
CPython.
"""

# ruff: noqa: T201 - a command prints
import argparse
import concurrent.futures
import os
import sys
import unittest
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from conformance.executor_types import TESTS, ProcessPoolExecutor, ThreadPoolExecutor

PACKAGE = "test.test_concurrent_futures"
MODULES = ("thread_pool", "process_pool", "as_completed", "wait", "init", "shutdown", "deadlock")
KINDS = {
    "threads": "ThreadPool",
    "spawn": "ProcessPoolSpawn",
    "forkserver": "ProcessPoolForkserver",
    "fork": "ProcessPoolFork",
}

_PROCESSES = "joins the executor's private process objects, queues or manager thread"
_STARTED = "counts private processes right after submit; here the process manager starts them"
_OWN_JOB = "expects the whole pool to break; here only the job that cannot be unpickled fails"
_INSIDE = "replaces private classes or functions of concurrent.futures.process"
#: Test methods that are skipped for processes, and why they cannot pass.
SKIPPED = {
    "test_killed_child": "kills a private process and expects the whole pool to break; here"
    " the process is replaced",
    "test_traceback": "uses the private class _RemoteTraceback",
    "test_saturation": _STARTED,
    "test_idle_process_reuse_one": _STARTED,
    "test_idle_process_reuse_multiple": _STARTED,
    "test_max_tasks_per_child_defaults_to_spawn_context": "uses the private _mp_context",
    "test_python_finalization_error": _INSIDE,
    "test_processes_terminate": _STARTED,
    "test_cancel_futures": "expects that a job begins as soon as it is submitted; here it begins"
    " when a process is ready, and can be cancelled until then",
    "test_context_manager_shutdown": _PROCESSES,
    "test_del_shutdown": _PROCESSES,
    "test_shutdown_no_wait": _PROCESSES,
    "test_shutdown_deadlock_pickle": _PROCESSES,
    "test_exit_at_task_unpickle": _OWN_JOB,
    "test_error_at_task_unpickle": _OWN_JOB,
    "test_error_during_result_unpickle_in_result_handler": _OWN_JOB,
    "test_exit_during_result_unpickle_in_result_handler": _OWN_JOB,
    "test_gh105829_should_not_deadlock_if_wakeup_pipe_full": _INSIDE,
}

#: More test methods that are skipped with the tests of another release.
SKIPPED_ELSEWHERE = {
    "test_interpreter_shutdown": "a script's child process cannot import the tests of another"
    " release",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests of the chosen kinds, and return 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python3 -m conformance.executors", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--only", action="append", choices=MODULES, help="one module (repeatable)")
    options = parser.parse_args(arguments)
    kinds = options.kinds or list(KINDS)
    if not set(kinds) <= set(KINDS):
        parser.error(f"the kinds are {', '.join(KINDS)}")
    try:
        util = import_module(f"{PACKAGE}.util")
    except ModuleNotFoundError:
        print(f"{PACKAGE} is not installed. Set its location: {TESTS}=...", file=sys.stderr)
        return 3
    _substitute(util)
    prefixes = tuple(KINDS[kind] for kind in kinds)
    suite = unittest.TestSuite()
    for name in options.only or MODULES:
        module = import_module(f"{PACKAGE}.test_{name}")
        _adapt(module)
        suite.addTests(_chosen(unittest.defaultTestLoader.loadTestsFromModule(module), prefixes))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


def _substitute(util: Any) -> None:
    """Replace the executors by the pools."""
    concurrent.futures.ThreadPoolExecutor = ThreadPoolExecutor  # type: ignore[misc,assignment]
    concurrent.futures.ProcessPoolExecutor = ProcessPoolExecutor  # type: ignore[misc,assignment]
    util.ThreadPoolMixin.executor_type = ThreadPoolExecutor
    for name in ("Fork", "Forkserver", "Spawn"):
        getattr(util, f"ProcessPool{name}Mixin").executor_type = ProcessPoolExecutor


def _adapt(module: Any) -> None:
    """Make scripts import the pools, and accept the error of a single broken job."""
    if hasattr(module, "BrokenProcessPool"):
        module.BrokenProcessPool = BrokenExecutor
    if not hasattr(module, "assert_python_ok"):
        return
    run = import_module("test.support.script_helper").assert_python_ok
    root = Path(__file__).resolve().parents[1]
    path = os.pathsep.join((str(root), str(root / "src")))
    passed = {TESTS: os.environ[TESTS]} if TESTS in os.environ else {}

    def assert_python_ok(*arguments: str) -> Any:
        changed = (
            text.replace("from concurrent.futures import", "from conformance.executor_types import")
            for text in arguments
        )
        return run(*changed, PYTHONPATH=path, **passed)

    module.assert_python_ok = assert_python_ok


def _chosen(suite: unittest.TestSuite, prefixes: tuple[str, ...]) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _chosen(test, prefixes)
            continue
        kind = type(test).__name__
        # The name of Fork is a prefix of the name of Forkserver.
        matching = max(
            (name for name in KINDS.values() if kind.startswith(name)), key=len, default=""
        )
        if matching not in prefixes:
            continue
        method = test.id().rpartition(".")[2]
        skipped = SKIPPED | (SKIPPED_ELSEWHERE if TESTS in os.environ else {})
        why = skipped.get(method) if matching != KINDS["threads"] else None
        if why is not None:
            setattr(test, method, unittest.skip(why)(getattr(test, method)))
        yield test


if __name__ == "__main__":
    sys.exit(main())
