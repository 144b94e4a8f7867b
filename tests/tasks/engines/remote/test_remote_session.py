"""The part of a session that all remote engines share, without any remote side."""

import threading
from concurrent.futures import wait

import pytest

from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.remote.in_flight import InFlightState
from dewar.tasks.engines.remote.session import RemoteSession, description_of
from dewar.tasks.job import Job

LIMIT = 10.0


class Session(RemoteSession):
    """A session whose remote side is this test."""

    def __init__(self) -> None:
        super().__init__("test")
        self.forgotten: list[str] = []
        self.disconnected = threading.Event()
        self.table = self._in_flight

    def submit(self, job: Job, call: JobCall) -> None:
        self._add(job, call)
        job.add_done_callback(self._withdraw)

    def id_of(self, job: Job) -> str:
        """Return the id of a job that waits."""
        return next(one.id for one in self.table.all(InFlightState.WAITING) if one.job is job)

    def _forget(self, id: str) -> None:
        self.forgotten.append(id)

    def _disconnect(self) -> None:
        self.disconnected.set()


def submitted(session: Session) -> Job:
    job = Job()
    session.submit(job, JobCall(len, (), {}))
    return job


def test_a_job_that_is_cancelled_before_it_begins_is_forgotten_remotely() -> None:
    """A running one is not: it ends by itself."""
    session = Session()
    waiting, running = submitted(session), submitted(session)
    ids = [session.id_of(waiting), session.id_of(running)]
    assert session.table.ask(ids[1], "worker") == 1
    assert waiting.cancel()
    assert not running.cancel()
    assert session.forgotten == ids[:1]
    session.table.finish(ids[1], 7)
    assert running.result(LIMIT) == 7
    assert session.forgotten == ids[:1]
    session.shutdown(wait=True, cancel_futures=False)


def test_nothing_is_taken_after_the_shutdown() -> None:
    """A session without jobs disconnects at once."""
    session = Session()
    session.shutdown(wait=False, cancel_futures=False)
    assert session.disconnected.wait(LIMIT)
    with pytest.raises(RuntimeError, match="after shutdown"):
        submitted(session)


def test_it_ends_with_its_last_job() -> None:
    """A shutdown that does not wait leaves the jobs their connection."""
    session = Session()
    job = submitted(session)
    id = session.id_of(job)
    session.table.ask(id, "worker")
    session.shutdown(wait=False, cancel_futures=True)
    assert not session.disconnected.is_set()
    session.table.finish(id, 7)
    assert session.disconnected.wait(LIMIT)
    assert job.result(LIMIT) == 7


def test_the_last_job_s_callback_may_shut_down_and_wait() -> None:
    """The callback runs on the thread that the shutdown would wait for."""
    session = Session()
    job, done = submitted(session), threading.Event()
    id = session.id_of(job)
    job.add_done_callback(lambda _: (session.shutdown(True, False), done.set()))
    session.table.ask(id, "worker")
    session.table.finish(id, 7)
    assert done.wait(LIMIT)
    assert session.disconnected.is_set()


def test_the_last_job_ends_and_the_shutdown_waits_at_once() -> None:
    """In either order the session disconnects and the job has its outcome."""
    session = Session()
    job, gate = submitted(session), threading.Barrier(2)
    id = session.id_of(job)
    session.table.ask(id, "worker")

    def finish() -> None:
        gate.wait(LIMIT)
        session.table.finish(id, 7)

    thread = threading.Thread(target=finish)
    thread.start()
    gate.wait(LIMIT)
    session.shutdown(wait=True, cancel_futures=False)
    assert session.disconnected.is_set()
    thread.join(LIMIT)
    assert wait([job], LIMIT).done == {job}


def test_it_counts_its_jobs() -> None:
    """The statistics have the engine's name. Remote workers are not counted."""
    session = Session()
    submitted(session)
    statistics = session.statistics()
    assert (statistics.engine, statistics.workers, statistics.queued) == ("test", 0, 1)
    session.shutdown(wait=True, cancel_futures=True)


def test_a_worker_is_told_which_job_it_runs() -> None:
    """The job of the ledger, or the function's name if it is in no ledger."""
    assert description_of(JobCall(len, (), {}, described=("x", "add", 2))) == {
        "id": "x",
        "task": "add",
        "attempt": 2,
        "soft_timeout": None,
    }
    assert description_of(JobCall(len, (), {}, soft_timeout=2.5)) == {
        "id": "",
        "task": "len",
        "attempt": 1,
        "soft_timeout": 2.5,
    }
