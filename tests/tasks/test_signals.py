"""Signals that tell of jobs: which are sent, with what, and what a receiver may do."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.test_tasks import Gate

from dewar import Dewar, current_app
from dewar.tasks import signals
from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.records import AttemptStart, NewJob
from dewar.tasks.progress import current_job
from dewar.tasks.status import JobStatus
from dewar.tasks.tasks import Tasks
from polling import eventually

_SOON = 20.0
_NAMES = ("accepted", "started", "progressed", "retried", "ended")


class Heard:
    """Receives the signals of one sender, and keeps what they have told."""

    def __init__(self, sender: object) -> None:
        self.told: list[tuple[str, JobStatus]] = []
        self.apps: set[str] = set()
        self.receivers = [self.receiver(name) for name in _NAMES]
        for name, receiver in zip(_NAMES, self.receivers, strict=True):
            getattr(signals, f"job_{name}").connect(receiver, sender)

    def receiver(self, name: str) -> Any:
        def receive(sender: object, job: JobStatus, **extra: object) -> None:
            self.told.append((name, job))
            if current_app:
                self.apps.add(current_app.name)

        return receive

    def of(self, id: str) -> list[tuple[str, str, int]]:
        return [(name, job.state.value, job.attempts) for name, job in self.told if job.id == id]


@pytest.fixture
def app(tmp_path: Path) -> Dewar:
    return Dewar("heard", instance_path=str(tmp_path))


@pytest.fixture
def tasks(app: Dewar) -> Iterator[Tasks]:
    tasks = Tasks(app, poll=0.02, lease=0.3)
    yield tasks
    tasks.stop(_SOON)


def test_each_moment_of_a_job_is_told_once_and_in_order(app: Dewar, tasks: Tasks) -> None:
    """Its status is the one at that moment, with the error of an attempt that failed."""

    @tasks.task(retries=1, backoff=0)
    def work() -> int:
        current_job.progress(0.5, "half")
        if current_job.attempt == 1:
            raise ValueError("not yet")
        return 7

    heard = Heard(app)
    job = work.submit()
    assert job.result(_SOON) == 7
    tasks.stop(_SOON)
    assert heard.of(job.id) == [
        ("accepted", "queued", 0),
        ("started", "running", 1),
        ("progressed", "running", 1),
        ("retried", "queued", 1),
        ("started", "running", 2),
        ("progressed", "running", 2),
        ("ended", "done", 2),
    ]
    said = dict(heard.told)
    assert said["retried"].error is not None
    assert said["retried"].error["text"] == "not yet"
    assert (said["ended"].result, said["ended"].progress) == (7, said["progressed"].progress)
    assert heard.apps == {"heard"}, "receivers run in a context of the app"


def test_jobs_that_end_without_an_attempt_are_told_too(app: Dewar, tasks: Tasks) -> None:
    """A job that is cancelled while it waits, and one that was lost with its process."""

    @tasks.task(idempotent=False)
    def work() -> None: ...

    heard = Heard(app)
    waiting = work.submit_later(delay=1000)
    assert waiting.cancel()
    lost, owner = new_id(1.0), "gone-1"
    tasks.ledger.write(
        [
            NewJob(id=lost, task="work", arguments="[[],{}]", created=1.0, due=1.0, owner=owner,
                   idempotent=False),
            AttemptStart(id=lost, owner=owner, attempt=1, at=2.0),
        ]
    )  # fmt: skip
    eventually(lambda: heard.of(lost))
    tasks.stop(_SOON)
    assert heard.of(waiting.id) == [("accepted", "queued", 0), ("ended", "cancelled", 0)]
    assert heard.of(lost) == [("ended", "lost", 1)]


def test_what_runs_again_after_a_stop_was_asked_for_is_told_as_cancelled(
    app: Dewar, tasks: Tasks
) -> None:
    """The ledger cancels a job that fails after it was asked to end, whatever its retries."""
    gate = Gate()

    @tasks.task(retries=3, backoff=0)
    def work() -> None:
        gate()
        raise ValueError

    heard = Heard(app)
    job = work.submit()
    assert gate.began.acquire(timeout=_SOON)
    assert tasks.cancel(job.id, running=True)
    gate.open.set()
    eventually(job.done)
    tasks.stop(_SOON)
    assert heard.of(job.id)[-1] == ("ended", "cancelled", 1)


def test_a_receiver_harms_nothing(
    app: Dewar, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    """One that raises is logged and the next is called; one that hangs holds up no job."""
    gate = Gate()

    def fail(sender: object, **extra: object) -> None:
        raise SystemError("broken receiver")

    def hang(sender: object, **extra: object) -> None:
        gate()

    @tasks.task()
    def work() -> int:
        return 1

    with (
        caplog.at_level(logging.ERROR, "dewar.tasks"),
        signals.job_ended.connected_to(fail, app),
        signals.job_ended.connected_to(hang, app),
    ):
        assert [work.submit().result(_SOON) for _ in range(3)] == [1, 1, 1]
        assert gate.began.acquire(timeout=_SOON)
        gate.open.set()
        tasks.stop(_SOON)
    assert caplog.text.count("SystemError: broken receiver") == 3


def test_receivers_of_one_sender_hear_of_its_jobs_alone(tmp_path: Path) -> None:
    """Tasks without an app are the sender themselves; a coroutine function may receive."""
    mine = Tasks(ledger=str(tmp_path / "mine.sqlite3"))
    others = Tasks(ledger=str(tmp_path / "others.sqlite3"))
    done = threading.Semaphore(0)

    @mine.task()
    def work() -> None: ...

    @others.task(name="work")
    def other_work() -> None: ...

    heard = Heard(mine)
    with signals.job_ended.connected_to(lambda sender, **extra: done.release(), others):
        job, other = work.submit(), other_work.submit()
        job.result(_SOON)
        assert done.acquire(timeout=_SOON)
        assert mine.stop(_SOON)
        assert others.stop(_SOON)
    assert [name for name, *_ in heard.of(job.id)] == ["accepted", "started", "ended"]
    assert heard.of(other.id) == []
