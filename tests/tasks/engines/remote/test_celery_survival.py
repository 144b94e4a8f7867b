"""Celery jobs survive the end of their worker, broker or submitting process."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

import farcelery
import farjobs
from deploymenttools import free_port
from dewar.tasks.engines.celery.engine import CeleryEngine
from dewar.tasks.engines.celery.engine import open as open_celery
from dewar.tasks.errors import EngineUnreachable, JobLost, NotSupported
from fartools import (
    LIMIT,
    ROOT,
    CeleryWorker,
    Process,
    Rabbit,
    Redis,
    answers,
    lines,
    submit,
)
from polling import eventually

AMQP = "amqp://guest:guest@127.0.0.1:5672//"

# A process that submits two jobs, cancels one of them, and exits.
LEAVING = """
import os, sys
import farjobs
from fartools import submit
from dewar.tasks.engines.celery.engine import open
engine = open(sys.argv[1])
submit(engine, farjobs.note, sys.argv[2], "one")
assert submit(engine, farjobs.note, sys.argv[2], "cancelled").cancel()
submit(engine, farjobs.note, sys.argv[2], "two")
os._exit(0)
"""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path, free_port(), keeps=False) as redis:
        yield redis


@pytest.fixture
def opened() -> Iterator[Any]:
    """A function that opens engines, which are shut down after the test."""
    engines: list[CeleryEngine] = []

    def open_(url: str) -> CeleryEngine:
        engines.append(open_celery(url))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.shutdown(wait=False, cancel_futures=True)


@pytest.fixture
def amqp() -> Iterator[str]:
    """The URL of a new queue at the running RabbitMQ."""
    if not answers(5672):
        pytest.skip("RabbitMQ does not answer on 127.0.0.1:5672")
    queue = f"dewar-test-{uuid.uuid4().hex}"
    yield f"celery+{AMQP}?queue={queue}"
    with Connection(AMQP) as connection:
        connection.default_channel.queue_delete(queue)


def test_redis_that_keeps_nothing_loses_jobs_and_they_say_so(
    redis: Redis, tmp_path: Path, opened: Any
) -> None:
    """A job that waited ends with JobLost. The next one runs."""
    engine = opened(redis.url)
    job = submit(engine, farjobs.add, 1)
    redis.kill()
    with pytest.raises(EngineUnreachable, match=r"127\.0\.0\.1"):
        submit(engine, farjobs.add, 2)
    with Redis(tmp_path, redis.port, keeps=False), CeleryWorker(tmp_path, redis.url):
        assert isinstance(job.exception(LIMIT), JobLost)
        assert submit(engine, farjobs.add, 3).result(LIMIT) == 3
        engine.shutdown(wait=True, cancel_futures=False)


def test_redis_with_a_log_on_disk_keeps_jobs(tmp_path: Path, opened: Any) -> None:
    """A job that waits while Redis is killed and started again runs."""
    with Redis(tmp_path, free_port(), keeps=True) as redis:
        engine = opened(redis.url)
        job = submit(engine, farjobs.add, 1)
        redis.kill()
    with Redis(tmp_path, redis.port, keeps=True), CeleryWorker(tmp_path, redis.url):
        assert job.result(LIMIT) == 1
        engine.shutdown(wait=True, cancel_futures=False)


def test_rabbitmq_keeps_jobs_over_a_restart(tmp_path: Path, opened: Any) -> None:
    """A job that waits while a node is killed and started again runs."""
    with Rabbit(tmp_path, free_port()) as rabbit:
        engine = opened(rabbit.url)
        job = submit(engine, farjobs.add, 1)
        rabbit.kill()
        with pytest.raises(EngineUnreachable):
            submit(engine, farjobs.add, 2)
        rabbit.start()
        with CeleryWorker(tmp_path, rabbit.url):
            assert job.result(LIMIT) == 1
            engine.shutdown(wait=True, cancel_futures=False)


def test_rabbitmq_gives_the_jobs_of_a_dead_worker_to_others(
    amqp: str, tmp_path: Path, opened: Any
) -> None:
    """All of the worker's processes are killed at once."""
    _have_two_workers(opened(amqp), amqp, tmp_path)


def test_redis_gives_the_jobs_of_a_dead_worker_to_others_later(
    redis: Redis, tmp_path: Path, opened: Any
) -> None:
    """After the visibility timeout."""
    url = f"{redis.url}?visibility_timeout=2"
    _have_two_workers(opened(url), url, tmp_path)


def _have_two_workers(engine: Any, url: str, folder: Path) -> None:
    """Kill the worker of a job, and let another worker run it."""
    began, go = folder / "began", folder / "go"
    with CeleryWorker(folder, url, size=1) as worker:
        job = submit(engine, farjobs.hold, str(began), str(go))
        eventually(lambda: lines(began) == ["1"])
        worker.kill()
    go.touch()
    with CeleryWorker(folder, url, size=1):
        assert job.result(LIMIT) == 2
        assert lines(began) == ["1", "2"]
        engine.shutdown(wait=True, cancel_futures=False)


@pytest.mark.parametrize("broker", ["redis", "amqp"])
def test_jobs_outlive_the_process_that_submitted_them(
    broker: str, request: pytest.FixtureRequest, tmp_path: Path, opened: Any
) -> None:
    """They run although no process answers the worker. A cancelled one does not."""
    there = request.getfixturevalue(broker)
    url = there if isinstance(there, str) else f"{there.url}?queue=q"
    url += "&reply_timeout=0.5"
    path = tmp_path / "ran"
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    command = [sys.executable, "-c", LEAVING, url, str(path)]
    subprocess.run(command, env=environment, check=True, timeout=LIMIT)
    with CeleryWorker(tmp_path, url, size=1):
        eventually(lambda: lines(path) == ["one", "two"])
        # Behind them, so that the cancelled one would have run by now.
        assert submit(opened(url), farjobs.add, 1).result(LIMIT) == 1
        assert lines(path) == ["one", "two"]


def test_a_child_of_a_fork_has_a_connection_of_its_own(
    redis: Redis, tmp_path: Path, opened: Any
) -> None:
    """Both processes submit and get results. The child has none of its parent's jobs."""
    engine = opened(redis.url)
    with CeleryWorker(tmp_path, redis.url):
        assert submit(engine, farjobs.add, 1).result(LIMIT) == 1
        before = engine.statistics()
        child = os.fork()
        if child == 0:
            good = engine.statistics().finished == 0
            good = good and submit(engine, farjobs.add, 2).result(LIMIT) == 2
            os._exit(0 if good else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert engine.statistics() == before
        assert submit(engine, farjobs.add, 3).result(LIMIT) == 3
        engine.shutdown(wait=True, cancel_futures=False)


def test_a_pool_of_threads_can_be_used_but_not_killed(
    redis: Redis, tmp_path: Path, opened: Any
) -> None:
    """Stopping and timeouts are refused. The error names the pool that supports them."""
    engine = opened(redis.url)
    with CeleryWorker(tmp_path, redis.url, "--pool", "threads"):
        job = submit(engine, farjobs.hold, str(tmp_path / "began"), str(tmp_path / "go"))
        eventually(lambda: lines(tmp_path / "began"))
        with pytest.raises(NotSupported, match="prefork"):
            job.stop()
        (tmp_path / "go").touch()
        assert job.result(LIMIT) == 1
        with pytest.raises(NotSupported, match="prefork"):
            submit(engine, farjobs.add, 1, timeout=5).result(LIMIT)
        engine.shutdown(wait=True, cancel_futures=False)


def test_a_teams_own_app_runs_jobs(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task is installed in the app, and the engine sends jobs with it."""
    broker = redis.url.removeprefix("celery+")
    monkeypatch.setattr(farcelery.app.conf, "broker_url", broker)
    engine = CeleryEngine(farcelery.app)
    command = [sys.executable, "-m", "celery", "-A", "farcelery", "worker", "-c", "1", "-l", "info"]
    with Process(tmp_path / "team.log", *command, TEAM_BROKER=broker) as worker:
        worker.wait_for(r" ready\.")
        assert submit(engine, farjobs.add, 1).result(LIMIT) == 1
        engine.shutdown(wait=True, cancel_futures=False)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_without_a_broker_nothing_is_accepted(scheme: str, opened: Any) -> None:
    """The error is raised soon, and names the address."""
    port = free_port()
    engine = opened(f"celery+{scheme}://127.0.0.1:{port}/0?connect=1")
    with pytest.raises(EngineUnreachable, match=f"127.0.0.1:{port}"):
        submit(engine, farjobs.add, 1)
    assert engine.statistics().queued == 0
