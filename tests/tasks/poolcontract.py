"""What every pool does, whatever runs its jobs."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, as_completed, wait
from pathlib import Path
from typing import Any

import pytest

from dewar import g, session
from dewar.tasks.errors import QueueFull, SoftTimeLimitExceeded
from dewar.tasks.pool import TaskPool
from dewar.tasks.progress import Progress
from polling import eventually
from tasks.pooljobs import (
    add,
    add_soon,
    app,
    clean_up_at_limit,
    clean_up_at_limit_soon,
    end_when_told,
    fail,
    half,
    is_outside,
    return_when_cancelled,
    seen,
    seen_soon,
    wait_for,
    wait_for_limit,
    wait_for_limit_soon,
    wait_in_coroutine,
    wait_to_be_told,
    wait_until_open,
)


class Gate:
    """Holds jobs of any process until it is opened."""

    def __init__(self, path: str) -> None:
        self.path = path

    def open(self) -> None:
        Path(self.path).touch()

    def wait_begun(self) -> None:
        eventually(Path(f"{self.path}.began").exists, "the job begins")


class PoolContract:
    """A subclass has the `options` of a pool with two workers."""

    options: Any = None

    @pytest.fixture(scope="class")
    @classmethod
    def pool(cls) -> Iterator[TaskPool]:
        """One for all tests that leave it as it was."""
        with TaskPool(**cls.options) as pool:
            yield pool

    @pytest.fixture
    def own_pool(self) -> Iterator[TaskPool]:
        """One for a test that spoils it."""
        with TaskPool(**self.options) as pool:
            yield pool

    @pytest.fixture
    def gate(self, tmp_path: Any) -> Iterator[Gate]:
        gate = Gate(str(tmp_path / "gate"))
        yield gate
        gate.open()

    def test_a_job_has_the_functions_result(self, pool: TaskPool) -> None:
        """Positional and named arguments arrive, and the result comes back."""
        jobs = [pool.submit(add, number, right=number) for number in range(5)]
        assert [job.result(30) for job in jobs] == [0, 2, 4, 6, 8]

    def test_a_job_has_the_functions_error(self, pool: TaskPool) -> None:
        """With its type and text."""
        with pytest.raises(ValueError, match="of the job"):
            pool.submit(fail, "of the job").result(30)
        assert pool.submit(add, 1).result(30) == 2

    def test_a_coroutine_function_is_run(self, pool: TaskPool) -> None:
        """With an app and without one."""
        assert pool.submit(add_soon, 1, right=2).result(30) == 3
        with app.test_request_context("/soon"):
            job = pool.submit(seen_soon)
        assert job.result(30)[1] == "/soon"

    def test_each_job_sees_its_own_request(self, pool: TaskPool) -> None:
        """Many submissions of one function, each from its own request, which then ends."""
        jobs = []
        for number in range(20):
            with app.test_request_context(f"/r{number}?n={number}"):
                g.user, session["s"] = f"u{number}", number
                jobs.append(pool.submit(seen))
        for number, job in enumerate(jobs):
            assert job.result(30) == (
                *(app.name, f"/r{number}", str(number), f"u{number}", number),
            )
        assert pool.submit(is_outside).result(30)

    def test_map_keeps_the_order(self, pool: TaskPool) -> None:
        """One by one and in chunks, also of coroutine functions."""
        expected = [3 * number for number in range(7)]
        for function in (add, add_soon):
            for size in (1, 3, 10):
                pairs = (range(7), range(0, 14, 2))
                assert list(pool.map(function, *pairs, chunksize=size)) == expected
        with pytest.raises(ValueError, match="chunksize must be >= 1"):
            pool.map(add, [1], chunksize=0)

    def test_a_waiting_job_can_be_cancelled(self, pool: TaskPool, gate: Gate) -> None:
        """A running one cannot."""
        running = [pool.submit(wait_for, gate.path), pool.submit(wait_until_open, gate.path)]
        gate.wait_begun()
        waiting = [pool.submit(add, number) for number in range(4)]
        assert waiting[1].cancel()
        assert not running[0].cancel()
        gate.open()
        assert [job.result(30) for job in running] == [gate.path, None]
        assert [job.result(30) for job in (waiting[0], *waiting[2:])] == [1, 3, 4]
        assert waiting[1].cancelled()

    def test_what_waits_for_futures_works(self, pool: TaskPool, gate: Gate) -> None:
        """`wait`, `as_completed`, callbacks and `asyncio.wrap_future`."""
        slow, quick = pool.submit(wait_for, gate.path), pool.submit(add, 1)
        done, _ = wait([slow, quick], 30, FIRST_COMPLETED)
        assert done == {quick}
        called = threading.Event()
        slow.add_done_callback(lambda job: called.set())
        gate.open()
        assert {job.result() for job in as_completed([slow, quick], 30)} == {2, gate.path}
        assert called.wait(30)

        async def main() -> Any:
            return await asyncio.wrap_future(pool.submit(add, 2))

        assert asyncio.run(main()) == 3

    def test_the_function_tells_its_progress(self, pool: TaskPool) -> None:
        """It is on the job, the last word of it also at the end."""
        job = pool.submit(half)
        assert job.result(30) == "half"
        assert job.progress == Progress(0.5, "half")

    def test_shutdown_finishes_what_was_accepted(self, own_pool: TaskPool) -> None:
        """And nothing is accepted afterwards."""
        jobs = [own_pool.submit(add, number) for number in range(10)]
        own_pool.shutdown()
        assert [job.result(0) for job in jobs] == list(range(1, 11))
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            own_pool.submit(add, 1)
        own_pool.shutdown()

    def test_shutdown_can_cancel_what_waits(self, own_pool: TaskPool, gate: Gate) -> None:
        """Those who wait for a cancelled job are told."""
        first = own_pool.submit(wait_for, gate.path)
        gate.wait_begun()
        second = own_pool.submit(wait_until_open, gate.path)  # unless it is late: then it waits
        rest = [own_pool.submit(add, number) for number in range(5)]
        own_pool.shutdown(wait=False, cancel_futures=True)
        gate.open()
        assert len(list(as_completed([first, second, *rest], 30))) == 7
        assert all(job.cancelled() for job in rest)
        assert first.result(30) == gate.path

    def test_more_than_may_wait_is_refused(self, gate: Gate) -> None:
        """As many as run and wait are taken; then there is a QueueFull."""
        with TaskPool(**self.options, max_queue=2) as pool:
            jobs = [pool.submit(wait_for, gate.path)]
            gate.wait_begun()
            jobs.append(pool.submit(wait_until_open, gate.path))
            jobs += [pool.submit(add, 1), pool.submit(add, 2)]
            with pytest.raises(QueueFull, match="2 jobs waiting"):
                pool.submit(add, 3)
            assert pool.statistics().queued == 2
            gate.open()
            for job in jobs:
                job.result(30)
            assert pool.submit(add, 3).result(30) == 4

    def test_it_says_how_it_is(self, own_pool: TaskPool) -> None:
        """Its repr names the engine; numbers are in `statistics`."""
        own_pool.submit(add, 1).result(30)
        stats = own_pool.statistics()
        assert (stats.queued, stats.running, stats.finished) == (0, 0, 1)
        assert f"of {2} {stats.engine}" in repr(own_pool)

    def test_a_job_stopped_before_it_begins_is_cancelled(self, pool: TaskPool, gate: Gate) -> None:
        """`Job.stop` is `cancel` for what waits, and false for what has ended."""
        ended = pool.submit(add, 1)
        ended.result(30)
        assert not ended.stop()
        running = [pool.submit(wait_for, gate.path), pool.submit(wait_until_open, gate.path)]
        gate.wait_begun()
        waiting = pool.submit(add, 1)
        assert waiting.stop()
        with pytest.raises(CancelledError):
            waiting.result(30)
        gate.open()
        for job in running:
            job.result(30)

    def test_a_job_is_asked_to_end(self, pool: TaskPool, gate: Gate) -> None:
        """It looks, and returns or raises a CancelledError: that is its outcome."""
        job = pool.submit(wait_to_be_told, gate.path)
        gate.wait_begun()
        assert job.stop()
        assert job.result(30) == "told"
        job = pool.submit(end_when_told, f"{gate.path}2")
        eventually(job.running)
        assert job.stop()
        error = job.exception(30)
        assert isinstance(error, CancelledError)
        assert "end_when_told was cancelled" in str(error)
        assert pool.submit(add, 1).result(30) == 2

    def test_a_coroutine_is_cancelled(self, pool: TaskPool, gate: Gate) -> None:
        """It cleans up. If it returns all the same, it has its result."""
        job = pool.submit(wait_in_coroutine, gate.path)
        gate.wait_begun()
        assert job.stop()
        assert isinstance(job.exception(30), CancelledError)
        assert Path(f"{gate.path}.cleaned").exists()
        with app.app_context():
            job = pool.submit(return_when_cancelled, f"{gate.path}2")
        eventually(Path(f"{gate.path}2.began").exists)
        assert job.stop()
        assert job.result(30)

    def test_a_soft_limit_is_raised_in_the_function(self, pool: TaskPool) -> None:
        """It may clean up and return, or end with it; the next jobs have nothing of it."""
        limited = pool.with_timeout(soft_timeout=0.05)
        assert limited.submit(clean_up_at_limit).result(30) == "cleaned up"
        error = limited.submit(wait_for_limit).exception(30)
        assert isinstance(error, SoftTimeLimitExceeded)
        assert (error.name, error.seconds) == ("wait_for_limit", 0.05)
        assert [pool.submit(add, number).result(30) for number in range(4)] == [1, 2, 3, 4]

    def test_a_soft_limit_is_thrown_into_a_coroutine(self, pool: TaskPool) -> None:
        """As a cancellation, for the tasks that it waits for; outside it is the error."""
        limited = pool.with_timeout(soft_timeout=0.05)
        assert limited.submit(clean_up_at_limit_soon).result(30) == "clean_up_at_limit_soon"
        with app.app_context():
            job = limited.submit(wait_for_limit_soon)
        error = job.exception(30)
        assert type(error) is SoftTimeLimitExceeded
        assert error.seconds == 0.05

    def test_pending_work_is_finished_when_the_interpreter_ends(self, tmp_path: Any) -> None:
        """Without a shutdown, a hang or a word on stderr."""
        script = tmp_path / "script.py"
        script.write_text(
            "import sys\n"
            "from dewar.tasks.pool import TaskPool\n"
            "from tasks.pooljobs import say\n"
            "def say_here(number):\n"
            "    say(number)\n"
            "if __name__ == '__main__':\n"
            f"    pool = TaskPool(**{self.options!r})\n"
            "    jobs = [pool.submit(say_here, number) for number in range(4)]\n"
        )
        done = subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert sorted(done.stdout.split()) == ["0", "1", "2", "3"]
