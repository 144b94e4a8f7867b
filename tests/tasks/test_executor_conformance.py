"""CPython's own tests of `concurrent.futures`, on a `TaskPool`; the short form."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conformance.executor_types import TESTS

ROOT = Path(__file__).parents[2]
ONLY = ("--only", "init", "--only", "shutdown", "--only", "thread_pool")


def has_tests() -> bool:
    if TESTS in os.environ:
        return True
    try:
        return importlib.util.find_spec("test.test_concurrent_futures") is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.skipif(
    not has_tests(),
    reason=f"CPython's tests are not installed; {TESTS}=.../Lib/test/test_concurrent_futures",
)
def test_threads_pass_the_interpreters_own_tests() -> None:
    """As they are, with `TaskPool` in the place of `ThreadPoolExecutor`, and none left out.

    ``python -m conformance.executors`` runs them for processes too.
    """
    done = subprocess.run(
        [sys.executable, "-m", "conformance.executors", "threads", *ONLY],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
