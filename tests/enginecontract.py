"""`EngineContract`: the contract of all engines.

A class that inherits it has a fixture ``engine``, with two workers of one job each, and a method
``another`` that returns an engine on the same workers.
"""

import time
from concurrent.futures import CancelledError, as_completed, wait
from dataclasses import FrozenInstanceError
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import farjobs
from dewar.tasks.engines.interface import Ability, JobEngine
from dewar.tasks.errors import JobTimeout, NotSupported, SoftTimeLimitExceeded, WorkerDied
from dewar.tasks.job import Job
from dewar.tasks.pool import TaskPool
from dewar.tasks.serialization.context_transfer import capture
from dewar.tasks.tasks import Tasks
from fartools import LIMIT, lines, submit
from polling import eventually

SLOTS = 2


def occupy(engine: Any, folder: Path) -> list[Job]:
    """Return jobs that run on all workers until there is a file ``go``."""
    go = str(folder / "go")
    jobs = [submit(engine, farjobs.hold, str(folder / f"{i}"), go) for i in range(SLOTS)]
    for i in range(SLOTS):
        eventually(lambda i=i: lines(folder / f"{i}"), "a job that began")
    return jobs


class EngineContract:
    """Inherited by the tests of each engine."""

    def another(self) -> JobEngine:
        """Return a new engine on the same workers."""
        raise NotImplementedError

    def test_a_job_has_the_result_of_its_function(self, engine: Any) -> None:
        """Its arguments may be positional and by keyword."""
        assert submit(engine, farjobs.add, 1, b=2).result(LIMIT) == 3

    def test_values_are_what_they_were(self, engine: Any) -> None:
        """A dataclass is a dataclass as an argument and as a result."""
        assert submit(engine, farjobs.mirror, farjobs.Point(1, 2)).result(LIMIT) == farjobs.Point(
            2, 1
        )

    def test_many_jobs_end_each_with_its_own_result(self, engine: Any) -> None:
        """wait() and as_completed() of concurrent.futures work."""
        jobs = {submit(engine, farjobs.add, number, 1): number for number in range(20)}
        for job in as_completed(jobs, LIMIT):
            assert job.result() == jobs[job] + 1  # type: ignore[index]
        assert wait(jobs, LIMIT).done == set(jobs)

    def test_an_exception_comes_back_with_its_traceback(self, engine: Any) -> None:
        """It has its class and arguments, and shows where it was raised."""
        error = submit(engine, farjobs.fail, "there").exception(LIMIT)
        assert type(error) is LookupError
        assert error.args == ("there", 3)
        cause = str(error.__cause__) if error.__cause__ else ""
        assert "in fail" in cause or error.__traceback__ is not None

    def test_a_function_that_exits_ends_its_job_only(self, engine: Any) -> None:
        """The worker continues, and the job has an exception."""
        assert submit(engine, farjobs.leave).exception(LIMIT) is not None
        assert submit(engine, farjobs.add, 1).result(LIMIT) == 1

    def test_the_context_goes_along(self, engine: Any) -> None:
        """The function sees the request that the job was submitted in."""
        with farjobs.app.test_request_context("/far/away"):
            context = capture("farjobs:app")
        assert submit(engine, farjobs.where_from, context=context).result(LIMIT) == "/far/away"

    def test_cancel_queued(self, engine: Any, tmp_path: Path) -> None:
        """A waiting job whose cancel() has returned true never runs."""
        assert Ability.CANCEL_QUEUED in engine.abilities
        holding = occupy(engine, tmp_path)
        path = tmp_path / "cancelled"
        job = submit(engine, farjobs.note, str(path))
        behind = submit(engine, farjobs.add, 2)
        assert job.cancel()
        (tmp_path / "go").touch()
        assert wait([job], LIMIT).done == {job}
        assert [one.result(LIMIT) for one in holding] == [1] * SLOTS
        assert behind.result(LIMIT) == 2
        for _ in range(SLOTS):
            submit(engine, farjobs.add, 3).result(LIMIT)
        assert lines(path) == []
        assert job.cancelled()

    def test_a_job_that_runs_is_not_cancelled(self, engine: Any, tmp_path: Path) -> None:
        """cancel() returns false, and the job ends with its result."""
        job = submit(engine, farjobs.hold, str(tmp_path / "began"), str(tmp_path / "go"))
        eventually(lambda: lines(tmp_path / "began"))
        assert not job.cancel()
        assert job.running()
        (tmp_path / "go").touch()
        assert job.result(LIMIT) == 1

    def test_priority(self, engine: Any, tmp_path: Path) -> None:
        """Jobs begin in the order in which they are given to it; or a priority is refused."""
        if Ability.PRIORITY not in engine.abilities:
            # It connects to nothing before its first job.
            url = "dask://nowhere" if engine.name == "dask" else "celery+redis://nowhere"
            tasks = Tasks(engine=url, ledger=tmp_path / "jobs.sqlite3")
            urgent = tasks.task("urgent", priority=5)(farjobs.add)
            with pytest.raises(NotSupported, match="run jobs by their priority") as caught:
                urgent.submit(1)
            assert caught.value.engine == engine.name
            assert tasks.ledger.list() == []
            tasks.stop(LIMIT)
            return
        holding, path = occupy(engine, tmp_path), tmp_path / "order"
        go = tmp_path / "second"
        jobs = [submit(engine, farjobs.hold, str(path), str(go)) for _ in range(SLOTS)]
        last = submit(engine, farjobs.note, str(tmp_path / "last"))
        (tmp_path / "go").touch()
        eventually(lambda: len(lines(path)) == SLOTS, "the jobs that were given first")
        assert lines(tmp_path / "last") == []
        go.touch()
        wait([*holding, *jobs, last], LIMIT)
        assert len(lines(tmp_path / "last")) == 1

    def test_stop(self, engine: Any, tmp_path: Path) -> None:
        """A running job ends with a CancelledError and does not run again; or stop() is refused.

        An engine that can only ask leaves a job alone that does not listen.
        """
        began, go = tmp_path / "began", tmp_path / "go"
        job = submit(engine, farjobs.hold, str(began), str(go))
        eventually(lambda: lines(began))
        if Ability.STOP not in engine.abilities and Ability.ASK_TO_STOP in engine.abilities:
            assert job.stop()
            assert not job.done()
            go.touch()
            assert job.result(LIMIT) == 1
            return
        if Ability.STOP not in engine.abilities:
            with pytest.raises(NotSupported, match="stop a job that runs") as caught:
                job.stop()
            assert (caught.value.engine, caught.value.operation) == (
                engine.name,
                Ability.STOP.value,
            )
            go.touch()
            assert job.result(LIMIT) == 1
            return
        assert job.stop()
        assert isinstance(job.exception(LIMIT), CancelledError)
        assert not job.stop()
        for _ in range(2 * SLOTS):
            submit(engine, farjobs.add, 1).result(LIMIT)
        assert lines(began) == ["1"]

    def test_ask_to_stop(self, engine: Any, tmp_path: Path) -> None:
        """A job that looks whether it is to end does so, with its own result."""
        began, go = tmp_path / "began", tmp_path / "go"
        if Ability.ASK_TO_STOP not in engine.abilities:
            job = submit(engine, farjobs.hold_or_end, str(began), str(go))
            go.touch()
            assert job.result(LIMIT) == "open"
            return
        job = submit(engine, farjobs.hold_or_end, str(began), str(go))
        eventually(lambda: lines(began))
        assert job.stop()
        assert job.result(LIMIT) == "asked"
        assert not job.stop()
        assert submit(engine, farjobs.add, 1).result(LIMIT) == 1

    def test_soft_timeout(self, engine: Any, tmp_path: Path) -> None:
        """A job gets an exception after its soft timeout, and may return or end with it."""
        assert Ability.SOFT_TIMEOUT in engine.abilities
        began, go = str(tmp_path / "began"), str(tmp_path / "go")
        job = submit(engine, farjobs.hold_or_end, began, go, soft_timeout=0.2)
        assert job.result(LIMIT) == "limited"
        error = submit(engine, farjobs.hold, began, go, soft_timeout=0.2).exception(LIMIT)
        assert isinstance(error, SoftTimeLimitExceeded)
        assert (error.name, error.seconds) == ("hold", 0.2)
        for number in range(2 * SLOTS):
            assert submit(engine, farjobs.add, number).result(LIMIT) == number

    def test_timeout(self, engine: Any, tmp_path: Path) -> None:
        """A job that takes too long is killed; or a timeout is refused."""
        began = tmp_path / "began"
        if Ability.TIMEOUT not in engine.abilities:
            with pytest.raises(NotSupported, match="stop a job after a timeout") as caught:
                submit(engine, farjobs.hold_out, str(began), timeout=0.5)
            assert caught.value.engine == engine.name
            return
        job = submit(engine, farjobs.hold_out, str(began), timeout=0.5)
        error = job.exception(LIMIT)
        assert isinstance(error, JobTimeout)
        assert error.seconds == 0.5
        for _ in range(2 * SLOTS):
            submit(engine, farjobs.add, 1).result(LIMIT)
        assert lines(began) == ["ran"]

    def test_progress(self, engine: Any, tmp_path: Path) -> None:
        """The progress can be read while the function runs."""
        assert Ability.PROGRESS in engine.abilities
        job = submit(engine, farjobs.tell, str(tmp_path / "go"), str(tmp_path / "began"))
        progress = eventually(lambda: job.progress, "progress")
        assert (progress.fraction, progress.message) == (0.25, "a quarter")
        (tmp_path / "go").touch()
        assert job.result(LIMIT) == 1

    def test_survive_worker(self, engine: Any, tmp_path: Path) -> None:
        """A job whose worker dies runs again as another attempt, or ends with WorkerDied."""
        path = tmp_path / "attempts"
        job = submit(engine, farjobs.die, str(path), 1)
        if Ability.SURVIVE_WORKER in engine.abilities:
            assert job.result(LIMIT) == 2
            assert lines(path) == ["1", "2"]
        else:
            assert isinstance(job.exception(LIMIT), WorkerDied)

    def test_shutdown_waits_for_jobs_and_takes_no_more(self, tmp_path: Path) -> None:
        """A running job ends with its result. The next submit is refused."""
        engine = self.another()
        job = submit(engine, farjobs.hold, str(tmp_path / "began"), str(tmp_path / "go"))
        eventually(lambda: lines(tmp_path / "began"))
        engine.shutdown(wait=False, cancel_futures=False)
        with pytest.raises(RuntimeError, match="shutdown"):
            submit(engine, farjobs.add, 1)
        (tmp_path / "go").touch()
        engine.shutdown(wait=True, cancel_futures=False)
        assert job.result(0) == 1
        engine.shutdown(wait=True, cancel_futures=True)

    def test_shutdown_may_cancel_what_waits(self, tmp_path: Path) -> None:
        """Waiting jobs are cancelled, running jobs end with their results."""
        engine = self.another()
        holding = occupy(engine, tmp_path)
        waiting = [submit(engine, farjobs.note, str(tmp_path / "no")) for _ in range(3)]
        engine.shutdown(wait=False, cancel_futures=True)
        assert all(job.cancelled() for job in waiting)
        (tmp_path / "go").touch()
        engine.shutdown(wait=True, cancel_futures=False)
        assert [job.result(0) for job in holding] == [1] * SLOTS
        assert lines(tmp_path / "no") == []

    def test_an_unused_engine_has_nothing_to_shut_down(self) -> None:
        """It has made no thread and no connection."""
        began = time.monotonic()
        self.another().shutdown(wait=True, cancel_futures=True)
        assert time.monotonic() - began < 2.0

    def test_statistics_count_jobs(self, engine: Any, tmp_path: Path) -> None:
        """They are frozen, and count the waiting and the running jobs."""
        holding = occupy(engine, tmp_path)
        waiting = submit(engine, farjobs.add, 1)
        seen = engine.statistics()
        assert (seen.engine, seen.queued, seen.running) == (engine.name, 1, SLOTS)
        with pytest.raises(FrozenInstanceError):
            seen.queued = 0
        (tmp_path / "go").touch()
        wait([*holding, waiting], LIMIT)
        after = engine.statistics()
        assert (after.queued, after.running) == (0, 0)
        assert after.finished >= seen.finished + SLOTS + 1
        assert engine.name in repr(engine).lower()


class FarContract(EngineContract):
    """The contract of the remote engines."""

    def test_callbacks_hold_up_no_other_answer(self, engine: Any, tmp_path: Path) -> None:
        """While a callback runs for long, other jobs begin."""
        let_go, is_called = Event(), Event()

        def call(_: Any) -> None:
            is_called.set()
            assert let_go.wait(LIMIT)

        # Held until then: the callback of a job that has ended is called by whoever adds it.
        go = tmp_path / "go"
        submit(engine, farjobs.hold, str(tmp_path / "began"), str(go)).add_done_callback(call)
        go.touch()
        assert is_called.wait(LIMIT)
        path = tmp_path / "ran"
        job = submit(engine, farjobs.note, str(path))
        eventually(lambda: lines(path), "the other job")
        let_go.set()
        job.result(LIMIT)

    def test_a_pool_runs_jobs_on_it(self, engine: Any) -> None:
        """They see the request of the submit, which the worker's app makes again."""
        pool = TaskPool(engine=engine, app="farjobs:app", max_queue=100)
        with farjobs.app.test_request_context("/in/a/pool"):
            job = pool.submit(farjobs.where_from)
            assert list(pool.map(farjobs.add, range(5), timeout=LIMIT)) == [0, 1, 2, 3, 4]
        assert job.result(LIMIT) == "/in/a/pool"
