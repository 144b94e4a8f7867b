"""One thread watches the ledger for all who follow a job."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import pytest

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.notifications import Notice
from dewar.tasks.ledger.records import JobState
from dewar.tasks.settings import TasksSettings
from dewar.tasks_http.watcher import Subscriber, Watcher
from jobtools import ID, Jobs

SOON = 20.0


class Heard(Subscriber):
    """Keeps what it is told."""

    def __init__(self, id: str = ID) -> None:
        self.came: SimpleQueue[Any] = SimpleQueue()
        super().__init__(id, self.came.put)

    def next(self) -> Any:
        return self.came.get(timeout=SOON)


class Stepped(Jobs):
    """Jobs whose ledger is looked at only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.looks_done = threading.Semaphore(0)
        self.failing_changes: Exception | None = None
        changes = self.ledger.changes

        def counted() -> int:
            self.looks_done.release()
            if self.failing_changes is not None:
                raise self.failing_changes
            return changes()

        self.ledger.changes = counted  # type: ignore[method-assign]

    def settings(self) -> TasksSettings:
        return TasksSettings(poll=0.001)

    def several_looks(self) -> None:
        """Wait until the ledger was looked at again and again."""
        while self.looks_done.acquire(blocking=False):
            pass
        for _ in range(3):
            assert self.looks_done.acquire(timeout=SOON)


@pytest.fixture
def jobs() -> Stepped:
    jobs = Stepped()
    jobs.put()
    return jobs


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dewar-tasks-watcher"]


def gone(holds: Callable[[], bool]) -> bool:
    """Wait for what a thread does in a moment."""
    for thread in watchers():
        thread.join(SOON)
    return holds()


def test_all_are_told_of_each_change_by_one_thread(jobs: Stepped) -> None:
    """How the job is at first, and what becomes of it; in one look for all."""
    watcher = Watcher(jobs)
    followers = [Heard() for _ in range(20)]
    leave = [watcher.subscribed(subscriber) for subscriber in followers]
    for subscriber in leave:
        subscriber.__enter__()
    assert len(watchers()) == 1
    assert repr(watcher) == "<Watcher, 20 subscribed>"
    assert [subscriber.next().state for subscriber in followers] == [JobState.QUEUED] * 20
    jobs.put(state=JobState.RUNNING)
    assert [subscriber.next().state for subscriber in followers] == [JobState.RUNNING] * 20
    for subscriber in leave:
        subscriber.__exit__(None, None, None)
    assert gone(lambda: watchers() == [])
    assert set(jobs.ledger.asked) <= {0, 1}
    assert all(subscriber.came.empty() for subscriber in followers)


def test_jobs_are_looked_up_only_after_a_change(jobs: Stepped) -> None:
    """While nobody writes, the ledger is asked for nothing but that."""
    with Watcher(jobs).subscribed(subscriber := Heard()):
        subscriber.next()
        jobs.several_looks()
        assert [count for count in jobs.ledger.asked if count] == [1]


def test_who_comes_later_is_told_how_it_is(jobs: Stepped) -> None:
    """Though nothing has changed, and nobody else is told again."""
    watcher = Watcher(jobs)
    with watcher.subscribed(first := Heard()):
        first.next()
        jobs.several_looks()
        with watcher.subscribed(second := Heard()):
            assert second.next().id == ID
        jobs.several_looks()
        assert first.came.empty()


def test_another_job_s_change_is_not_told(jobs: Stepped) -> None:
    """Nor is a change of the ledger that is none of a job."""
    with Watcher(jobs).subscribed(subscriber := Heard()):
        subscriber.next()
        jobs.ledger.count += 1
        jobs.several_looks()
        assert subscriber.came.empty()


def test_a_job_that_is_gone_is_told_as_none(jobs: Stepped) -> None:
    """And only to those who follow it."""
    watcher = Watcher(jobs)
    with watcher.subscribed(here := Heard()), watcher.subscribed(other := Heard("other")):
        assert here.next().id == ID
        assert other.next() is None
        del jobs.jobs[ID]
        jobs.ledger.count += 1
        assert here.next() is None


@pytest.mark.parametrize("error", [LedgerError("it", "away"), ZeroDivisionError("ours")])
def test_a_ledger_that_fails_ends_it_for_all(
    jobs: Stepped, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is told, and whoever comes after is watched for again."""
    watcher = Watcher(jobs)
    with caplog.at_level(logging.INFO, "dewar.tasks"):
        with watcher.subscribed(subscriber := Heard()):
            subscriber.next()
            jobs.failing_changes = error
            assert subscriber.next() is None
    assert "end early" in caplog.text
    jobs.failing_changes = None
    with watcher.subscribed(subscriber := Heard()):
        assert subscriber.next().id == ID


def test_the_end_is_told_at_once_and_stays(jobs: Stepped) -> None:
    """Also to who comes later, so that nobody waits for nothing."""
    watcher = Watcher(jobs)
    with watcher.subscribed(subscriber := Heard()):
        subscriber.next()
        watcher.end()
        assert subscriber.next() is None
    with watcher.subscribed(late := Heard()):
        assert late.next() is None
    assert repr(watcher) == "<Watcher, 0 subscribed, over>"
    assert gone(lambda: watchers() == [])


def test_its_thread_comes_and_goes(jobs: Stepped) -> None:
    """It is there while somebody follows, and any number of times."""
    watcher = Watcher(jobs)
    for _ in range(20):
        with watcher.subscribed(subscriber := Heard()):
            assert subscriber.next().id == ID
    assert gone(lambda: watchers() == [])


def test_many_come_and_go_at_once(jobs: Stepped) -> None:
    """Each is told, whoever ends the thread in the same moment."""
    watcher = Watcher(jobs)
    told: list[str] = []

    def follow() -> None:
        for _ in range(20):
            with watcher.subscribed(subscriber := Heard()):
                told.append(subscriber.next().id)

    threads = [threading.Thread(target=follow) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert told == [ID] * 160


def test_a_change_during_a_look_is_told(jobs: Stepped) -> None:
    """What is committed after the ledger was asked for changes is seen the next time."""
    get_many, changed = jobs.ledger.get_many, threading.Event()

    def change_first(ids: Sequence[str]) -> Any:
        found = get_many(ids)
        if ids and not changed.is_set():
            changed.set()
            jobs.put(state=JobState.DONE)
        return found

    jobs.ledger.get_many = change_first  # type: ignore[method-assign]
    with Watcher(jobs).subscribed(subscriber := Heard()):
        assert subscriber.next().state is JobState.QUEUED
        assert subscriber.next().state is JobState.DONE


class Telling(Stepped):
    """Jobs of a ledger that says what changes, and that nobody needs to poll."""

    def __init__(self) -> None:
        super().__init__()
        self.tell: Callable[[Notice], object] | None = None
        ledger: Any = self.ledger
        ledger.watched = self.watched
        kind = type("TellingLedger", (type(ledger),), {"is_listening": True})
        ledger.__class__ = kind

    @contextmanager
    def watched(self, tell: Callable[[Notice], object]) -> Iterator[None]:
        self.tell = tell
        yield
        self.tell = None

    def settings(self) -> TasksSettings:
        return TasksSettings(poll=3600.0)


def test_a_change_is_told_without_a_poll() -> None:
    """A notice about the job, or one that leaves something out, leads to a look; others do not."""
    jobs = Telling()
    jobs.put()
    with Watcher(jobs).subscribed(subscriber := Heard()):
        assert subscriber.next().state is JobState.QUEUED
        assert jobs.tell is not None
        jobs.put(state=JobState.RUNNING)
        jobs.tell(Notice(changed=(ID,)))
        assert subscriber.next().state is JobState.RUNNING
        looks = len(jobs.ledger.asked)
        jobs.tell(Notice(jobs=True, ended=("another",)))
        jobs.put(state=JobState.DONE)
        jobs.tell(Notice(is_partial=True))
        assert subscriber.next().state is JobState.DONE
        assert len(jobs.ledger.asked) == looks + 1
    assert gone(lambda: jobs.tell is None)


def test_who_comes_later_waits_for_no_poll() -> None:
    """The first record is told at once, while others follow already."""
    jobs = Telling()
    jobs.put()
    watcher = Watcher(jobs)
    with watcher.subscribed(first := Heard()):
        assert first.next().id == ID
        with watcher.subscribed(second := Heard()):
            assert second.next().id == ID
