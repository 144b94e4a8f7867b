"""The engine "threads"."""

import contextvars
import gc
import os
import threading
import weakref
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from functools import partial
from typing import Any

import pytest

from dewar import Dewar, copy_current_request_context, current_app, request
from dewar.tasks.engines.threads import ThreadEngine
from dewar.tasks.errors import PoolExhausted, ThreadRefused
from dewar.tasks.pool import TaskPool
from dewar.tasks.progress import current_job
from tasks.poolcontract import PoolContract
from tasks.pooljobs import add, app

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


class TestThreads(PoolContract):
    """The contract of all pools, on threads."""

    options = {"threads": 2}


def test_a_job_that_does_not_listen_has_its_result() -> None:
    """A thread can be asked to end, and not be stopped. The next job knows nothing of it."""
    began, go = threading.Event(), threading.Event()

    def work() -> str:
        began.set()
        go.wait(30)
        return "done"

    with TaskPool(threads=1) as pool:
        job = pool.submit(work)
        assert began.wait(30)
        assert job.stop()
        assert not job.done()
        go.set()
        assert job.result(30) == "done"
        assert not job.stop()
        assert not pool.submit(lambda: current_job.is_cancelled).result(30)


def test_threads_are_started_as_needed_and_used_again() -> None:
    """Jobs that run one after the other need one thread."""
    with TaskPool(threads=5, thread_name_prefix="mine") as pool:
        assert pool.statistics().workers == 0
        gate = threading.Barrier(3)
        names = list(pool.map(lambda _: (gate.wait(30), threading.current_thread().name), range(3)))
        assert sorted(name for _, name in names) == ["mine_0", "mine_1", "mine_2"]
        assert pool.statistics().workers == 3
        for number in range(50):
            assert pool.submit(add, number).result(30) == number + 1
        assert pool.statistics().workers <= 5


def test_jobs_share_no_context_variables() -> None:
    """Each job begins in an empty context."""
    colour.set("of the submitter")

    def work() -> str:
        before = colour.get()
        colour.set("of a job")
        return before

    with TaskPool(threads=1) as pool:
        assert [pool.submit(work).result(30) for _ in range(3)] == ["none"] * 3
        assert not pool.submit(lambda: bool(current_job) is False).result(30)
    colour.set("none")


def test_wrapped_and_nested_contexts_work() -> None:
    """A function that has captured the request itself sees it, also in many threads at once."""
    other = Dewar("other", static_folder=None)
    barrier = threading.Barrier(10)

    def work() -> Any:
        barrier.wait(30)
        with other.app_context():
            inner = current_app.name
        return request.path, inner, current_app.name

    with TaskPool(threads=10) as pool:
        jobs = []
        for number in range(20):
            with app.test_request_context(f"/w{number}"):
                function = copy_current_request_context(work) if number % 2 else work
                jobs.append(pool.submit(function))
        for number, job in enumerate(jobs):
            assert job.result(30) == (f"/w{number}", "other", app.name)


def test_a_failing_initializer_breaks_the_pool(caplog: pytest.LogCaptureFixture) -> None:
    """Waiting jobs and later submits get the error."""
    go = threading.Event()

    def initializer() -> None:
        go.wait(30)
        raise OSError("no licence")

    with TaskPool(threads=1, initializer=initializer) as pool:
        jobs = [pool.submit(add, 1) for _ in range(3)]
        jobs[1].cancel()
        go.set()
        for job in (jobs[0], jobs[2]):
            assert isinstance(job.exception(30), BrokenThreadPool)
        with pytest.raises(BrokenThreadPool, match="initializer"):
            pool.submit(add, 1)
    assert "no licence" in caplog.text


def test_the_initializer_runs_in_each_thread() -> None:
    """Before its first job."""
    local = threading.local()

    def initializer(value: int) -> None:
        local.value = value

    with TaskPool(threads=2, initializer=initializer, initargs=(7,)) as pool:
        assert {pool.submit(lambda: local.value).result(30) for _ in range(4)} == {7}


def test_a_pool_nobody_has_ends_its_threads() -> None:
    """After the jobs that it has accepted."""
    go = threading.Event()
    pool = TaskPool(threads=1)
    thread = pool.submit(threading.current_thread).result(30)
    jobs = [pool.submit(go.wait, 30), pool.submit(add, 1)]
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    go.set()
    assert [job.result(30) for job in jobs] == [True, 2]
    thread.join(30)
    assert not thread.is_alive()


def test_nothing_of_a_job_is_kept() -> None:
    """Its arguments and its error are freed before the next job."""

    class Thing:
        def fail(self) -> None:
            raise ValueError("with a traceback")

    gc.disable()
    try:
        with TaskPool(threads=1) as pool:
            thing = Thing()
            gone = weakref.ref(thing)
            job = pool.submit(thing.fail)
            assert isinstance(job.exception(30), ValueError)
            ended = threading.Event()
            pool.submit(ended.set).result(30)
            del thing, job
            assert gone() is None
    finally:
        gc.enable()


def test_a_callback_may_submit_and_a_job_may_shut_down() -> None:
    """Also while the pool is being shut down."""
    pool = TaskPool(threads=1)
    seen: list[Any] = []
    began, go = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        go.wait(30)
        pool.shutdown(wait=True, cancel_futures=True)

    def again(job: Any) -> None:
        with pytest.raises(RuntimeError):
            pool.submit(add, 1)
        seen.append(job.cancelled())

    first = pool.submit(work)
    assert began.wait(30)
    pool.submit(add, 1).add_done_callback(again)
    go.set()
    first.result(30)
    pool.shutdown()
    assert seen == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_the_pool_works_anew() -> None:
    """The child starts new threads. The parent's threads continue."""
    with TaskPool(threads=2, max_queue=5) as pool:
        assert pool.submit(add, 1).result(30) == 2
        engine = pool.engine
        assert isinstance(engine, ThreadEngine)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write, str(pool.submit(add, 2).result(10)).encode())
            finally:
                os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        assert os.read(read, 10) == b"3"
        os.close(read)
        assert pool.submit(add, 3).result(30) == 4


class Refusing:
    """Refuses the next threads of a pool, as a system at its limit does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refusals: int) -> None:
        self.left = refusals
        start = threading.Thread.start

        def refusing(thread: threading.Thread) -> None:
            if thread.name.startswith("short") and self.left:
                self.left -= 1
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refusing)


def test_without_a_thread_no_job_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The submitter is told, and the next job is accepted when the system has threads again."""
    Refusing(monkeypatch, 1)
    with TaskPool(threads=2, thread_name_prefix="short") as pool:
        with pytest.raises(ThreadRefused, match="gets no thread from the system: can't start"):
            pool.submit(int)
        assert pool.statistics().queued == pool.statistics().running == 0
        assert pool.submit(int).result(30) == 0


def test_a_refused_thread_delays_a_job_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads that there are run all jobs, and the missing one is started later."""
    refusing = Refusing(monkeypatch, 0)
    with TaskPool(threads=2, thread_name_prefix="short") as pool:
        assert pool.submit(int).result(30) == 0
        gate = threading.Event()
        first = pool.submit(gate.wait, 30)
        refusing.left = 1
        second = pool.submit(int)
        gate.set()
        assert first.result(30)
        assert second.result(30) == 0
        both = threading.Barrier(2)
        jobs = [pool.submit(both.wait, 30) for _ in range(2)]
        assert sorted(job.result(30) for job in jobs) == [0, 1]


def leave(_job: object) -> None:
    raise SystemExit


def test_no_callback_ends_a_thread(caplog: pytest.LogCaptureFixture) -> None:
    """Not even by `SystemExit`; it is logged."""
    with TaskPool(threads=1) as pool:
        gate = threading.Event()
        job = pool.submit(gate.wait, 30)
        job.add_done_callback(leave)
        gate.set()
        assert pool.submit(int).result(30) == 0
    assert "exception calling callback" in caplog.text


class Hostile:
    """Callable; its name and repr cannot be made."""

    def __call__(self) -> int:
        return 7

    def __getattr__(self, name: str) -> object:
        raise ZeroDivisionError(name)

    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_a_callable_without_a_name_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever its attributes do, its job ends and the next one runs."""
    with TaskPool(threads=1) as pool:
        assert isinstance(pool.submit(Hostile()).exception(30), ZeroDivisionError)
        assert pool.submit(partial(Hostile.__call__, None)).result(30) == 7  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_full_pool_that_waits_for_itself_is_an_error(threads: int) -> None:
    """As many jobs as there are threads wait for jobs of the pool: one of them is told, once."""
    with TaskPool(threads=threads) as pool:
        for _ in range(30):
            barrier = threading.Barrier(threads)

            def outer(barrier: threading.Barrier = barrier) -> int:
                barrier.wait(30)
                return pool.submit(add, 1, 1).result()

            errors = [job.exception(30) for job in [pool.submit(outer) for _ in range(threads)]]
            (error,) = [error for error in errors if error is not None]
            assert isinstance(error, PoolExhausted)
            assert "submit the next step at its end" in str(error)


def test_a_pool_with_a_free_thread_may_wait_for_itself() -> None:
    """However often, and whatever ends at the same time: there is no false alarm."""
    with TaskPool(threads=3) as pool, ThreadPoolExecutor(2) as submitters:

        def outer(number: int) -> int:
            return pool.submit(add, number, 1).result()

        def submit(number: int) -> int:
            return pool.submit(outer, number).result()

        # Two outer jobs at a time, so that one of three threads is free.
        assert list(submitters.map(submit, range(400))) == list(range(1, 401))


def test_a_wait_with_a_timeout_is_left_alone() -> None:
    """It ends by itself."""
    with TaskPool(threads=1) as pool:
        job = pool.submit(lambda: pool.submit(int).result(timeout=0.05))
        assert isinstance(job.exception(30), TimeoutError)


def test_a_job_may_wait_for_another_pool() -> None:
    """And for a job of its own that has ended."""
    with TaskPool(threads=1) as one, TaskPool(threads=1) as other:
        done = one.submit(int)
        assert done.result(30) == 0
        assert one.submit(lambda: other.submit(add, 1, 1).result() + done.result()).result(30) == 2


def test_a_cancelled_job_ends_the_wait_for_it() -> None:
    """At once, with the error of any Future."""
    with TaskPool(threads=2) as pool:
        began = threading.Event()
        gate = threading.Event()
        running = pool.submit(gate.wait, 30)
        inner: list[Any] = []

        def outer() -> None:
            inner.append(pool.submit(int))
            began.set()
            inner[0].result()

        job = pool.submit(outer)
        assert began.wait(30)
        assert inner[0].cancel()
        assert isinstance(job.exception(30), CancelledError)
        gate.set()
        assert running.result(30)
