"""Limits, unique keys and retries, where no process looks at the ledger unless it has a reason."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.test_tasks import Gate

from dewar.tasks.tasks import Tasks
from polling import eventually

_SOON = 30.0
#: Nothing in a test may wait for a poll, nor for the renewal of a lease.
_NEVER = 3600.0

MakeProcess = Callable[..., Tasks]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeProcess]:
    """Return what makes a process on the ledger of the test."""
    made: list[Tasks] = []

    def make_process(**settings: Any) -> Tasks:
        known = {"ledger": tmp_path / "jobs.sqlite3", "poll": _NEVER, "lease": _NEVER}
        made.append(Tasks(**known, **settings))
        return made[-1]

    yield make_process
    for tasks in made:
        tasks.stop(_SOON)


def test_the_end_of_a_job_with_limits_is_told_to_other_processes(make: MakeProcess) -> None:
    """Only another one serves the queue of the next, and it has looked before."""
    one, two = make(threads=1, queues=["a"]), make(threads=1, queues=["b"])
    gate = Gate()
    for tasks in (one, two):
        tasks.task("hold", max_running=1)(gate.__call__)
    one.start()
    two.start()
    first = one.find("hold").options_for(queue="a").submit()
    assert gate.began.acquire(timeout=_SOON)
    second = one.find("hold").options_for(queue="b").submit()
    eventually(lambda: two.runtime._claimed._waits_for_end, "the other process is blocked")
    gate.open.set()
    assert [first.result(_SOON), second.result(_SOON)] == ["through"] * 2


@pytest.mark.parametrize("limits", [{"max_running": 1}, {"rate": "200/s"}])
@pytest.mark.parametrize("is_alone", [True, False])
def test_jobs_with_limits_that_come_closely_all_run(
    make: MakeProcess, limits: dict[str, Any], is_alone: bool
) -> None:
    """None of them is claimed as it comes: each leads to a look."""
    back = make(threads=2)
    front = back if is_alone else make(run_jobs=False)
    for tasks in {front, back}:
        tasks.task("double", **limits)(lambda number: 2 * number)
    back.start()
    for _ in range(3):
        jobs = [front.find("double").submit(number) for number in range(5)]
        assert [job.result(_SOON) for job in jobs] == [0, 2, 4, 6, 8]


def test_a_job_for_another_queue_is_told(make: MakeProcess) -> None:
    """A process that runs jobs leaves it, and hears of its end."""
    one, two = make(threads=1, queues=["a"]), make(threads=1, queues=["b"])
    for tasks in (one, two):
        tasks.task("double", queue="b")(lambda number: 2 * number)
    two.start()
    for number in range(20):
        assert one.find("double").submit(number).result(_SOON) == 2 * number


def test_a_replaced_job_is_told_to_its_owner_and_who_waits(make: MakeProcess) -> None:
    """The owner is about to run it, and a third process waits for it."""
    front, back, third = make(run_jobs=False), make(threads=1), make(run_jobs=False)
    gate = Gate()
    for tasks in (front, back, third):
        tasks.task("double", unique=True, on_duplicate="replace")(lambda number: 2 * number)
    back.task("hold")(gate.__call__).submit()
    assert gate.began.acquire(timeout=_SOON)
    replaced = back.find("double").submit(1)
    seen = third.get(replaced.id)
    job = front.find("double").submit(1)
    eventually(lambda: replaced.cancelled() and seen.cancelled(), "both know")
    gate.open.set()
    assert job.result(_SOON) == 2


def test_a_retry_begins_when_it_is_due(make: MakeProcess) -> None:
    """Whichever thread writes that the attempt has failed."""
    tasks = make(threads=2)
    failed: set[int] = set()

    @tasks.task(retries=1, backoff=0.02)
    def fail_once(number: int) -> int:
        if number not in failed:
            failed.add(number)
            raise ValueError(number)
        return number

    @tasks.task()
    def plain() -> None:
        pass

    for number in range(10):
        job = fail_once.submit(number)
        plain.submit().result(_SOON)
        assert job.result(_SOON) == number
