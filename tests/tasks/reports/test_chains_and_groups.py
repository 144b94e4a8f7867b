"""Reports of jobs that waited for others in vain, or ran in spite of them."""

from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

import reportapp
from dewar import chain, chord, group
from dewar.tasks.errors import JobFailed, JobLost
from dewar.tasks.ledger.records import JobState
from dewar.tasks.progress import current_job
from dewar.tasks.tasks import Tasks
from reporttools import SOON, Workers


@pytest.fixture
def tasks(tmp_path: Path) -> Iterator[Tasks]:
    """Two threads run the jobs."""
    made = Tasks(ledger=tmp_path / "jobs.sqlite3", threads=2, poll=0.02)
    yield made
    assert made.stop(SOON)


def fail(*_given: Any) -> None:
    raise OSError("away")


def test_the_body_runs_once_after_members_that_were_retried(tasks: Tasks) -> None:
    """With the results of all, in the order of the calls.

    There it never ran: https://github.com/celery/celery/issues/1401
    """
    bodies: list[list[int]] = []

    @tasks.task(retries=2, backoff=[0, 0])
    def at_third(number: int) -> int:
        if current_job.attempt < 3:
            raise OSError("away")
        return number

    plain = tasks.task("plain")(lambda number: number)
    body = tasks.task("body")(bodies.append)
    header = [plain.s(1), at_third.s(2), plain.s(3), at_third.s(4), plain.s(5)]
    chord(header, body.s()).submit().result(SOON)
    assert bodies == [[1, 2, 3, 4, 5]]


@pytest.mark.parametrize("nested", [chord, chain, group])
def test_a_failure_in_a_nested_header_is_heard_of(tasks: Tasks, nested: Any) -> None:
    """What follows is cancelled with a reason, or gets the failure; the workflow raises it.

    There the error callback was not called if the header had a chord, a chain or a group in it,
    and the chord waited for ever: https://github.com/celery/celery/issues/9107,
    https://github.com/celery/celery/issues/9674
    """
    failing = tasks.task("failing")(fail)
    same = tasks.task("same")(lambda *given: len(given))
    inner = chord([failing.s(), same.s()], same.s())
    if nested is not chord:
        inner = nested(failing.s(), same.s())
    workflow = chord([inner, same.s()], same.s()).submit()
    with pytest.raises(OSError, match="away"):
        workflow.result(SOON)
    with pytest.raises(CancelledError, match="ended as"):
        workflow.jobs[-1].result(SOON)
    handled: list[Any] = []
    handle = tasks.task("handle")(handled.append)
    chord([inner, same.s()], handle.options_for(on_failure="continue").s()).submit().result(SOON)
    assert "JobFailed" in repr(handled)


def test_chords_may_be_in_chains_in_chords(tasks: Tasks) -> None:
    """Each body runs once, after its header, and gets the results in the order of the calls.

    There the outer body never ran, or the results came in any order:
    https://github.com/celery/celery/issues/2573, https://github.com/celery/celery/issues/4150
    """
    ran: list[Any] = []

    @tasks.task()
    def step(before: Any, name: str) -> list[Any]:
        ran.append(name)
        return [name, before]

    inner = chain(step.s("b"), chord([step.s("c"), step.s("d")], step.s("e")))
    outer = chain(step.s(0, "a"), chord([step.s("x"), inner], step.s("z")))
    a = ["a", 0]
    b = ["b", a]
    assert outer.submit().result(SOON) == ["z", [["x", a], ["e", [["c", b], ["d", b]]]]]
    assert sorted(ran) == ["a", "b", "c", "d", "e", "x", "z"]


def test_what_waits_for_a_failed_job_does_not_wait_for_ever(tasks: Tasks) -> None:
    """It is cancelled, and so is what waits for that; also if the job has failed before.

    There it was deferred for ever: https://github.com/rq/rq/issues/1093
    """
    failing = tasks.task("failing")(fail)
    same = tasks.task("same")(lambda given: given)
    first = failing.submit()
    second = same.submit(first)
    third = same.options_for(after=[second]).submit(3)
    for job in (second, third):
        with pytest.raises(CancelledError, match="ended as"):
            job.result(SOON)
        assert job.status().state is JobState.CANCELLED
    with pytest.raises(CancelledError, match=first.id):
        same.options_for(after=[first]).submit(4).result(SOON)


def test_a_member_that_was_killed_has_ended(workers: Workers, tmp_path: Path) -> None:
    """The body is cancelled, or runs if it continues, as after a failure.

    There the chord waited for ever, and a job that allows failures was never enqueued:
    https://github.com/celery/celery/issues/2911, https://github.com/rq/rq/issues/2006
    """
    (tmp_path / "gate").touch()
    workers.start(processes=1)
    header, body = [reportapp.be_killed.s()], reportapp.kinds.s()
    stopped = chord(header, body).submit()
    continued = chord(header, body, on_failure="continue").submit()
    with pytest.raises(JobLost):
        stopped.result(SOON)
    assert continued.result(SOON) == [JobFailed.__name__]
