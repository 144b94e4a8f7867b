"""Workflows of a program on PostgreSQL, in two processes' parts at once."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from dewar import chain, chord
from dewar.tasks.ledger.records import JobState
from dewar.tasks.tasks import Tasks

_SOON = 60.0


def _add(a: int, b: int = 1) -> int:
    return a + b


def _total(values: list[int]) -> int:
    return sum(values)


def _fail(*args: Any) -> None:
    raise ValueError(args)


@pytest.fixture
def both(postgresql_url: str) -> Iterator[list[Tasks]]:
    """Two that share a ledger, and run the same tasks."""
    with ExitStack() as stack:
        made = []
        for _ in range(2):
            tasks = Tasks(ledger=postgresql_url, threads=2, poll=0.05)
            tasks.task("add")(_add)
            tasks.task("total")(_total)
            tasks.task("fail")(_fail)
            stack.callback(tasks.stop, _SOON)
            made.append(tasks)
        yield made


def test_workflows_run_in_two_processes(both: list[Tasks]) -> None:
    """Many at once, each with its own result; what fails stops what waits for it."""
    first, second = both
    second.start()
    add, total, fail = (first.find(name) for name in ("add", "total", "fail"))
    header = [add.s(number) for number in range(20)]
    good = [chain(chord(header, total.s()), add.s(number)).submit() for number in range(10)]
    bad = chord([*header, fail.s()], total.s()).submit()
    assert [one.result(_SOON) for one in good] == [210 + number for number in range(10)]
    with pytest.raises(ValueError, match=r"\(\)"):
        bad.result(_SOON)
    found = second.get_workflow(good[0].id)
    assert found.status().jobs[JobState.DONE] == 22
    assert found.result(_SOON) == 210
