"""The Dask engine, on a real cluster."""

import threading
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from distributed import Client

import farjobs
from deploymenttools import free_port
from dewar.tasks.engines.dask.engine import DaskEngine
from dewar.tasks.engines.dask.engine import open as open_dask
from dewar.tasks.engines.dask.worker_side import run_job
from dewar.tasks.errors import EngineUnreachable, JobFailed, JobLost, WorkerDied
from enginecontract import SLOTS, FarContract, occupy
from fartools import (
    LIMIT,
    dask_cluster,
    dask_scheduler,
    lines,
    submit,
)
from polling import eventually


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dask_cluster(tmp_path_factory.mktemp("dask")) as url:
        yield url


@pytest.fixture(scope="module")
def engine(cluster: str) -> Iterator[DaskEngine]:
    engine = open_dask(cluster)
    yield engine
    engine.shutdown(wait=True, cancel_futures=True)


@pytest.fixture(scope="module")
def scheduler(cluster: str) -> Iterator[Client]:
    with Client(cluster.replace("dask://", "tcp://"), set_as_default=False) as client:
        yield client


def until_idle(scheduler: Client) -> None:
    """Wait until the scheduler knows of two workers that have nothing to do.

    It may give both of two jobs to one worker while it counts an earlier job on the other, or while
    that one is being started again; and it need not move the second one later.
    """

    def is_idle() -> bool:
        jobs = scheduler.processing()
        return len(jobs) == SLOTS and not any(jobs.values())

    eventually(is_idle, lambda: f"idle workers: {scheduler.processing()}")


class TestDask(FarContract):
    """The contract of all engines."""

    @pytest.fixture(autouse=True)
    def _know(self, cluster: str, scheduler: Client) -> None:
        self.url = cluster
        until_idle(scheduler)

    def another(self) -> DaskEngine:
        return open_dask(self.url)


def test_a_lambda_goes_along(engine: DaskEngine) -> None:
    """A function without an importable name is pickled by value."""
    number = 4
    assert submit(engine, lambda x: x + number, 3).result(LIMIT) == 7


def test_an_exception_that_does_not_pickle_is_described(engine: DaskEngine) -> None:
    """Its class, text and traceback are known."""
    error = submit(engine, farjobs.fail_oddly, "odd").exception(LIMIT)
    assert isinstance(error, JobFailed)
    assert error.type == "farjobs:Locked"
    assert "in fail_oddly" in error.traceback


def test_what_does_not_pickle_is_refused_at_once(engine: DaskEngine) -> None:
    """Nothing was accepted."""
    before = engine.statistics()
    with pytest.raises(TypeError, match="pickle"):
        submit(engine, farjobs.add, (one for one in ()))
    assert engine.statistics() == before


def test_a_job_that_always_kills_its_worker_is_given_up(engine: DaskEngine, tmp_path: Path) -> None:
    """Dask raises KilledWorker after the failures that its scheduler allows, here one."""
    path = tmp_path / "attempts"
    error = submit(engine, farjobs.die, str(path), 9).exception(LIMIT)
    assert isinstance(error, WorkerDied)
    assert lines(path) == ["1", "2"]
    assert submit(engine, farjobs.add, 1).result(LIMIT) == 1


@pytest.mark.parametrize("is_submitter_gone", [False, True])
def test_a_worker_does_not_wait_for_the_answer_to_a_job_that_nobody_wants(
    cluster: str, engine: DaskEngine, scheduler: Client, tmp_path: Path, is_submitter_gone: bool
) -> None:
    """Withdrawn one by one, or with the connection of the process that submitted them."""
    topic = f"nobody-{uuid4().hex}"
    until_idle(scheduler)
    with Client(cluster.replace("dask://", "tcp://"), set_as_default=False) as submitter:
        asking = [
            submitter.submit(run_job, str(number), topic, 600.0, {}, key=f"{topic}-{number}")
            for number in range(SLOTS)
        ]
        eventually(lambda: len(scheduler.get_events(topic)) == SLOTS, "workers that ask")
        if is_submitter_gone:
            submitter.close()
        else:
            for job in asking:
                job.release()
        until_idle(scheduler)
        jobs = occupy(engine, tmp_path)
        (tmp_path / "go").touch()
        assert [job.result(LIMIT) for job in jobs] == [1] * SLOTS


def test_the_last_progress_of_a_job_comes_before_its_end(
    engine: DaskEngine, tmp_path: Path
) -> None:
    """Also while the thread that answers workers is busy with others."""
    began, go, gate = tmp_path / "began", tmp_path / "go", threading.Event()
    job = submit(engine, farjobs.tell_at_end, str(began), str(go))
    eventually(lambda: lines(began))
    session: Any = engine._sessions.get()
    session._answers.call_soon(gate.wait, LIMIT)
    go.touch()
    try:
        job.result(LIMIT)
        assert job.progress is not None
        assert job.progress.message == "all"
    finally:
        gate.set()


def test_without_a_scheduler_nothing_is_accepted() -> None:
    """The error is raised soon, and names the address."""
    port = free_port()
    engine = open_dask(f"dask://127.0.0.1:{port}")
    with pytest.raises(EngineUnreachable, match=f"127.0.0.1:{port}"):
        submit(engine, farjobs.add, 1)
    assert engine.statistics().queued == 0
    engine.shutdown(wait=True, cancel_futures=False)


def test_jobs_of_a_scheduler_that_dies_are_lost_and_say_so(tmp_path: Path) -> None:
    """They end with JobLost. The next job goes to the scheduler that runs then."""
    port = free_port()
    url = f"dask://127.0.0.1:{port}"
    engine: Any = open_dask(url)
    with dask_scheduler(tmp_path, port) as scheduler:
        scheduler.wait_for("Scheduler at")
        jobs = [submit(engine, farjobs.add, number) for number in range(3)]
        scheduler.kill()
        assert wait(jobs, LIMIT).not_done == set()
        assert all(isinstance(job.exception(), JobLost) for job in jobs)
    with pytest.raises(EngineUnreachable):
        submit(engine, farjobs.add, 1)
    with dask_scheduler(tmp_path, port) as scheduler:
        scheduler.wait_for("Scheduler at")
        job = submit(engine, farjobs.add, 1)
        eventually(lambda: engine.statistics().queued == 1)
        assert job.cancel()
        engine.shutdown(wait=True, cancel_futures=True)
