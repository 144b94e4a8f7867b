"""Compares jobs that wait for others with a small model, in any order of events."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tasks.ledger.ledgertools import HERE, end, new, start

from dewar.tasks.errors import Duplicate
from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobState, NewJob
from dewar.tasks.placement import OnDuplicate

TASKS = ["resize"]
ENDS = [JobState.DONE, JobState.FAILED, JobState.LOST]


@dataclass
class Modelled:
    """A job in the model. `before` says of each job that it waits for what became of that."""

    job: NewJob
    continues: bool
    key: str | None = None
    before: dict[int, str] = field(default_factory=dict)
    state: JobState = JobState.QUEUED
    attempts: int = 0
    is_stopped: bool = False

    @property
    def is_blocked(self) -> bool:
        return "open" in self.before.values()


class Model:
    """All jobs by their numbers, and the rules."""

    def __init__(self) -> None:
        self.jobs: list[Modelled] = []

    def add(self, job: NewJob, after: set[int]) -> None:
        holder = self.holder(job.unique_key)
        if holder is not None:
            if job.on_duplicate is not OnDuplicate.REPLACE:
                return
            self.end(holder, JobState.CANCELLED)
        before = dict.fromkeys(after, "open")
        self.jobs.append(Modelled(job, job.continues, job.unique_key, before))
        for number in sorted(after):
            if self.jobs[number].state.is_final:
                self._tell(number)

    def end(self, number: int, state: JobState) -> None:
        self.jobs[number].state = state
        self._tell(number)

    def _tell(self, number: int) -> None:
        """Tell those that wait for a job how it has ended."""
        is_met = self.jobs[number].state is JobState.DONE
        for follower, one in enumerate(self.jobs):
            if one.before.get(number) != "open":
                continue
            one.before[number] = "met" if is_met else "failed"
            if not is_met and not one.continues and one.state is JobState.QUEUED:
                one.is_stopped = True
                self.end(follower, JobState.CANCELLED)

    def retry(self, number: int) -> None:
        one = self.jobs[number]
        one.state, one.is_stopped = JobState.QUEUED, False
        self._wait_again(number)

    def holder(self, key: str | None) -> int | None:
        """Return the job that has a key."""
        if key is None:
            return None
        for number, one in enumerate(self.jobs):
            if one.key == key and not one.state.is_final:
                return number
        return None

    def _wait_again(self, number: int) -> None:
        """Have those wait again that were stopped by a job that is run again, unless by their key.

        First all that the job has stopped, then all that these have.
        """
        todo = [number]
        while todo:
            opened = []
            for follower, one in enumerate(self.jobs):
                failed = [before for before in todo if one.before.get(before) == "failed"]
                if failed and one.is_stopped and not one.continues:
                    one.before.update(dict.fromkeys(failed, "open"))
                    opened.append(follower)
            todo = []
            for follower in sorted(opened, key=lambda number: self.jobs[number].job.id):
                one = self.jobs[follower]
                if "failed" not in one.before.values() and self.holder(one.key) is None:
                    one.state, one.is_stopped = JobState.QUEUED, False
                    todo.append(follower)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One for all examples, which leave no job waiting."""
    folder: Path = tmp_path_factory.mktemp("model")
    ledger = open_ledger(folder / "jobs.sqlite")
    ledger.beat(HERE, until=1e9)
    yield ledger
    ledger.close()


def act(ledger: Ledger, model: Model, data: st.DataObject, keys: list[str | None]) -> None:
    """Do one thing to both."""
    acts = ["add", "end", "cancel", "retry"] if model.jobs else ["add"]
    what = data.draw(st.sampled_from(acts))
    if what == "add":
        numbers = st.integers(0, max(len(model.jobs) - 1, 0))
        after = data.draw(st.sets(numbers, max_size=3)) if model.jobs else set()
        job = new(
            after=[model.jobs[one].job.id for one in sorted(after)],
            continues=data.draw(st.booleans()),
            unique_key=data.draw(st.sampled_from(keys)),
            on_duplicate=data.draw(st.sampled_from(OnDuplicate)),
        )
        ledger.write([job])
        model.add(job, after)
        return
    number = data.draw(st.integers(0, len(model.jobs) - 1))
    one = model.jobs[number]
    is_waiting = one.state is JobState.QUEUED
    if what == "cancel":
        assert ledger.cancel(one.job.id, 5.0) is is_waiting
        if is_waiting:
            model.end(number, JobState.CANCELLED)
    elif what == "retry":
        is_retried = one.state.is_final and one.state is not JobState.DONE
        if is_retried and model.holder(one.key) is not None:
            with pytest.raises(Duplicate):
                ledger.retry(one.job.id, 5.0)
            return
        assert ledger.retry(one.job.id, 5.0) is is_retried
        if is_retried:
            model.retry(number)
    elif is_waiting and not one.is_blocked:
        state = data.draw(st.sampled_from(ENDS))
        ledger.claim(HERE.id, 100, 50.0, TASKS)
        one.attempts += 1
        ends = [start(one.job, attempt=one.attempts), end(one.job, state, one.attempts)]
        assert not ledger.write(ends).fenced
        model.end(number, state)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), steps=st.integers(2, 25))
def test_the_ledger_is_as_the_model(ledger: Ledger, data: st.DataObject, steps: int) -> None:
    """Each job has the same state, and waits for others or not, after each step."""
    model, example = Model(), new_id(1.0)
    for _ in range(steps):
        act(ledger, model, data, [None, None, f"{example} a", f"{example} b"])
        found = ledger.get_many([one.job.id for one in model.jobs])
        for one in model.jobs:
            record = found[one.job.id]
            assert record.state is one.state
            assert (record.error is not None) is one.is_stopped
            if one.state is JobState.QUEUED:
                assert record.is_blocked is one.is_blocked
    for one in model.jobs:
        ledger.cancel(one.job.id, 9.0)
