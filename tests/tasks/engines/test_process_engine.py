"""The engine "processes"."""

import gc
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dewar import Dewar, g
from dewar.tasks.errors import (
    JobFailed,
    JobTimeout,
    SoftTimeLimitExceeded,
    TaskSetupError,
    WorkerDied,
)
from dewar.tasks.pool import TaskPool
from faulttools import is_alive
from polling import eventually
from tasks.poolcontract import Gate, PoolContract
from tasks.pooljobs import add, app, exit_now, kill_self, wait_for, wait_until_open


class TestSpawned(PoolContract):
    """The contract of all pools, on spawned processes."""

    options = {"processes": 2}


@pytest.fixture(scope="module")
def shared() -> Iterator[TaskPool]:
    """A pool of one process, for tests that do not change its state."""
    with TaskPool(processes=1) as pool:
        yield pool


def start_child(path: str) -> None:
    """Start a process that would outlive the job, and keep its id."""
    child = subprocess.Popen(["sleep", "60"])
    Path(path).with_suffix(".part").write_text(str(child.pid))
    Path(path).with_suffix(".part").rename(path)
    child.wait()


def wait_gone(pid: int) -> None:
    """Wait for the end of a process; a zombie has ended."""
    eventually(lambda: not is_alive(pid), f"process {pid} ends")


def test_a_process_that_dies_takes_only_its_own_job_along(tmp_path: Path) -> None:
    """The other job continues, waiting jobs run, and the process is replaced."""
    gate = Gate(str(tmp_path / "gate"))
    with TaskPool(processes=2) as pool:
        other = pool.submit(wait_for, gate.path)
        gate.wait_begun()
        dead = [pool.submit(exit_now, 3), pool.submit(kill_self)]
        after = [pool.submit(add, number) for number in range(5)]
        assert [job.result(30) for job in after] == [1, 2, 3, 4, 5]
        with pytest.raises(WorkerDied, match="exit_now ended with exit code 3"):
            dead[0].result(30)
        with pytest.raises(BrokenExecutor, match="by signal 9"):
            dead[1].result(30)
        gate.open()
        assert other.result(30) == gate.path
        assert pool.statistics().replaced == 2


def test_a_job_that_takes_too_long_is_stopped() -> None:
    """It ends with a JobTimeout, and the process is replaced."""
    with TaskPool(processes=1, timeout=0.2) as pool:
        with pytest.raises(JobTimeout, match=r"stopped after 0.2 seconds"):
            pool.submit(time.sleep, 60).result(30)
        assert pool.with_timeout(timeout=30).submit(add, 1).result(30) == 2


def test_a_running_job_can_be_stopped_with_what_it_started(tmp_path: Path) -> None:
    """It ends with a CancelledError, and the next job runs."""
    path = tmp_path / "pid"
    with TaskPool(processes=1) as pool:
        job = pool.submit(start_child, str(path))
        eventually(path.exists)
        pid = int(path.read_text())
        assert job.stop()
        with pytest.raises(CancelledError):
            job.result(30)
        wait_gone(pid)
        assert not job.stop()
        assert pool.submit(add, 1).result(30) == 2


class CannotPickle:
    def __reduce__(self) -> Any:
        raise pickle.PicklingError("not this one")


class CannotUnpickle:
    def __reduce__(self) -> Any:
        return unpickle_badly, ()


def unpickle_badly() -> None:
    raise LookupError("it is not here")


class AwkwardError(Exception):
    """Needs two arguments and keeps one: it can be pickled but not unpickled."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


class LockedError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text, threading.Lock())


def give(kind: type) -> Any:
    return kind()


def fail_with(kind: Any, *args: Any) -> None:
    raise kind(*args)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ((id, CannotPickle()), pickle.PicklingError, "not this one"),
        ((lambda: 1,), (pickle.PicklingError, AttributeError), "lambda"),
        ((id, CannotUnpickle()), LookupError, "it is not here"),
        ((give, CannotPickle), pickle.PicklingError, "not this one"),
        ((give, CannotUnpickle), LookupError, "it is not here"),
        ((give, threading.Lock), TypeError, "pickle"),
        ((fail_with, AwkwardError, "a", "b"), JobFailed, "AwkwardError: a: b"),
        ((fail_with, LockedError, "locked"), JobFailed, "locked"),
        ((fail_with, SystemExit, 3), SystemExit, "3"),
        ((fail_with, KeyError, "x"), KeyError, "x"),
    ],
)
def test_what_cannot_be_sent_fails_its_own_job(
    shared: TaskPool, call: Any, error: Any, text: str
) -> None:
    """The process lives, and the next job runs."""
    before = shared.statistics().replaced
    with pytest.raises(error, match=text):
        shared.submit(*call).result(30)
    assert shared.submit(add, 1).result(30) == 2
    assert shared.statistics().replaced == before


def test_an_error_shows_where_it_was_raised(shared: TaskPool) -> None:
    """Its cause shows the traceback of the other process."""
    error = shared.submit(fail_with, KeyError, "x").exception(30)
    assert error is not None
    assert "raise kind(*args)" in str(error.__cause__)
    error = shared.submit(give, CannotPickle).exception(30)
    assert error is not None
    assert "cannot be sent back" in str(error.__notes__)


def test_an_app_from_a_factory_is_found_as_it_is_told(shared: TaskPool) -> None:
    """Otherwise the submit fails and says what to do."""
    lost = Dewar(__name__, static_folder=None)
    with lost.app_context():
        with pytest.raises(TaskSetupError, match="create_app"):
            shared.submit(add, 1)
        with TaskPool(processes=1, app=f"{__name__}:create_app()") as pool:
            assert pool.submit(of_the_factory).result(30)


def create_app() -> Dewar:
    made = Dewar(__name__, static_folder=None)
    made.config["MADE"] = True
    return made


def of_the_factory() -> Any:
    from dewar import current_app

    return current_app.config["MADE"]


def test_what_does_not_pickle_in_g_says_so_in_the_job(shared: TaskPool) -> None:
    """Only if the job reads it."""
    with app.app_context():
        g.connection = threading.Lock()
        assert shared.submit(add, 1).result(30) == 2
        with pytest.raises(AttributeError, match=r"g\.connection did not travel"):
            shared.submit(use_connection).result(30)


def use_connection() -> Any:
    return g.connection


def big(size: int) -> bytes:
    return bytes(size)


def test_large_results_and_arguments_do_not_hold_up_others() -> None:
    """Data larger than any buffer is sent in both directions while another process works."""
    with TaskPool(processes=2) as pool:
        large = [pool.submit(big, 20_000_000), pool.submit(len, bytes(20_000_000))]
        small = [pool.submit(add, number) for number in range(20)]
        assert [job.result(30) for job in small] == list(range(1, 21))
        assert len(large[0].result(30)) == large[1].result(30) == 20_000_000


def test_a_process_stopped_in_the_middle_of_a_message_holds_up_nobody(tmp_path: Path) -> None:
    """Its job times out, although half of its result has arrived."""
    with TaskPool(processes=2) as pool:
        job = pool.with_timeout(timeout=1.5).submit(send_half)
        assert [pool.submit(add, number).result(30) for number in range(20)] == list(range(1, 21))
        with pytest.raises(JobTimeout):
            job.result(30)


def send_half() -> Any:
    # More than fits into any buffer, so that some of it is sent by then.
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGSTOP))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    return bytes(200_000_000)


def fail_to_begin(text: str) -> None:
    raise OSError(text)


def test_a_failing_initializer_breaks_the_pool(capfd: pytest.CaptureFixture[str]) -> None:
    """Waiting jobs and later submits get the reason."""
    with TaskPool(processes=2, initializer=fail_to_begin, initargs=("no licence",)) as pool:
        jobs = [pool.submit(add, 1) for _ in range(3)]
        for job in jobs:
            with pytest.raises(BrokenProcessPool, match="no licence"):
                job.result(30)
        with pytest.raises(BrokenProcessPool, match="no licence"):
            pool.submit(add, 1)
    assert "no licence" in capfd.readouterr().err


def test_an_initializer_that_does_not_pickle_breaks_the_pool() -> None:
    """The reason is the cause of the error."""
    with TaskPool(processes=1, initializer=lambda: None) as pool:
        error = pool.submit(add, 1).exception(30)
    assert isinstance(error, BrokenProcessPool)
    assert error.__cause__ is not None


def test_processes_that_die_as_they_begin_are_not_started_for_ever() -> None:
    """After a few attempts the pool is broken, and the error names the likely cause."""
    with TaskPool(processes=1, initializer=os._exit, initargs=(4,)) as pool:
        with pytest.raises(BrokenProcessPool, match=r"exit code 4.*__main__"):
            pool.submit(add, 1).result(60)


def test_a_process_is_replaced_after_so_many_jobs() -> None:
    """No job is lost."""
    with TaskPool(processes=1, max_tasks_per_child=2) as pool:
        pids = [pool.submit(os.getpid).result(30) for _ in range(5)]
        assert len(set(pids)) == 3
        assert pool.statistics().replaced == 0


def test_a_process_is_replaced_although_jobs_wait() -> None:
    """None runs more than it may, and each job has its result."""
    with TaskPool(processes=2, max_jobs_per_worker=3) as pool:
        pids = [job.result(60) for job in [pool.submit(os.getpid) for _ in range(14)]]
    assert max(pids.count(pid) for pid in pids) <= 3
    assert len(set(pids)) >= 5


_kept: list[bytes] = []


def keep(size: int) -> int:
    """Lose memory."""
    _kept.append(b"x" * size)
    return os.getpid()


def test_a_process_that_has_grown_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """After the job that made it grow, which has its result. The log has the figure."""
    with TaskPool(processes=1, max_memory_per_worker="300M") as pool:
        first = pool.submit(keep, 1).result(30)
        assert pool.submit(keep, 400 << 20).result(30) == first
        assert pool.submit(keep, 1).result(30) != first
    (line,) = [one.getMessage() for one in caplog.records if one.name == "dewar.tasks"]
    assert re.search(r"after 2 jobs: it has [45]\d\d\.\d MiB of memory.*=300M", line)


def spin(turns: int) -> str:
    try:
        for _ in range(turns):
            pass
    except SoftTimeLimitExceeded:
        return "limited"
    return "done"


def test_soft_limits_at_the_ends_of_jobs_hit_no_other_job(shared: TaskPool) -> None:
    """They fall due before, at and after the end; every other job has no limit at all."""
    limited = shared.with_timeout(soft_timeout=0.0005)
    jobs = []
    for number in range(300):
        jobs.append(limited.submit(spin, 500 * (number % 40)))
        jobs.append(shared.submit(spin, 2000))
    for number, job in enumerate(jobs):
        error = job.exception(60)
        if number % 2:
            assert error is None
            assert job.result() == "done"
        else:
            assert error is None or isinstance(error, SoftTimeLimitExceeded)


def test_a_pool_nobody_has_ends_its_processes() -> None:
    """After the jobs that it has accepted."""
    pool = TaskPool(processes=1)
    pid = pool.submit(os.getpid).result(30)
    job = pool.submit(add, 1)
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    assert job.result(30) == 2
    wait_gone(pid)


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_other_ways_of_starting_processes_work(method: str, tmp_path: Path) -> None:
    """A death, a stop and a timeout are handled."""
    gate = Gate(str(tmp_path / "gate"))
    with TaskPool(processes=2, mp_context=multiprocessing.get_context(method)) as pool:
        with app.test_request_context("/x"):
            g.n = 3
            assert pool.submit(read_n).result(30) == 3
        with pytest.raises(WorkerDied):
            pool.submit(kill_self).result(30)
        running = pool.submit(wait_for, gate.path)
        gate.wait_begun()
        assert running.stop()
        with pytest.raises(CancelledError):
            running.result(30)
        with pytest.raises(JobTimeout):
            pool.with_timeout(timeout=0.1).submit(time.sleep, 60).result(30)
        assert list(pool.map(add, range(6))) == [1, 2, 3, 4, 5, 6]


def read_n() -> Any:
    return g.n


#: Pools that the jobs of forked processes find as the fork has left them.
forked: list[TaskPool] = []


def unfinished_here() -> list[int]:
    found = [pool.statistics() for pool in forked]
    return [one.running + one.queued + one.workers for one in found]


def test_in_a_forked_process_each_pool_is_empty() -> None:
    """Also the one that forks it, whose process is not started yet at this moment."""
    fork = multiprocessing.get_context("fork")
    gate = threading.Event()
    try:
        for options in ({"threads": 1}, {"processes": 1, "mp_context": fork}, {"threads": 1}):
            forked.append(TaskPool(**options))
        held = [pool.submit(gate.wait, 30) for pool in (forked[0], forked[2])]
        assert forked[1].submit(unfinished_here).result(30) == [0, 0, 0]
        gate.set()
        assert [job.result(30) for job in held] == [True, True]
    finally:
        gate.set()
        while forked:
            forked.pop().shutdown()


PARENT = """
import os, sys, time
from dewar.tasks.pool import TaskPool
from polling import eventually
import multiprocessing

if __name__ == "__main__":
    pool = TaskPool(processes=2, mp_context=multiprocessing.get_context(sys.argv[1]))
    pids = [pool.submit(os.getpid).result(30)]
    job = pool.submit(time.sleep, 60)
    eventually(job.running)
    pids += [pool.submit(os.getpid).result(30), os.getpid()]
    print(*pids, flush=True)
    job.result()
"""


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_end_when_their_parent_is_killed(method: str, tmp_path: Path) -> None:
    """Idle processes and busy ones."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = subprocess.Popen(
        [sys.executable, str(script), method], stdout=subprocess.PIPE, env=environment, text=True
    )
    try:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 3
    finally:
        parent.kill()
        parent.communicate(timeout=30)
    for pid in pids:
        wait_gone(pid)


def test_after_a_fork_the_pool_works_anew() -> None:
    """The child starts new processes. The parent's continue and stay the parent's."""
    with TaskPool(processes=1) as pool:
        pid = pool.submit(os.getpid).result(30)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write, str(pool.submit(add, 2).result(20)).encode())
                pool.shutdown()
            finally:
                os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        assert os.read(read, 10) == b"3"
        os.close(read)
        assert pool.submit(os.getpid).result(30) == pid


def test_a_script_without_its_guard_gets_an_error(tmp_path: Path) -> None:
    """A main module that starts work when it is imported would start processes for ever."""
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from dewar.tasks.pool import TaskPool\n"
        "with TaskPool(processes=1) as pool:\n"
        "    print(repr(pool.submit(abs, -1).exception(60)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=90
    )
    assert "BrokenProcessPool" in done.stdout
    assert "__main__" in done.stdout


def test_an_app_in_the_main_module_is_found(tmp_path: Path) -> None:
    """Like the functions of the main module."""
    script = tmp_path / "main_app.py"
    script.write_text(
        "from dewar import Dewar, request\n"
        "from dewar.tasks.pool import TaskPool\n"
        "app = Dewar(__name__, static_folder=None)\n"
        "def path():\n"
        "    return request.path\n"
        "if __name__ == '__main__':\n"
        "    with TaskPool(processes=1) as pool, app.test_request_context('/main'):\n"
        "        print(pool.submit(path).result(30))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("/main\n", "")


def test_stopping_and_results_may_meet() -> None:
    """In either order the job has one outcome, and the next job runs."""
    with TaskPool(processes=1) as pool:
        for _ in range(15):
            job = pool.submit(add, 1)
            job.stop()
            with suppress(CancelledError):
                assert job.result(30) == 2
        assert pool.submit(wait_until_open, os.devnull).result(30) is None
