"""What becomes of the jobs of a batch that has failed."""

import json
import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.records import (
    AttemptStart,
    JobRecord,
    JobState,
    NewJob,
    Outcome,
    ProgressUpdate,
)
from dewar.tasks.runtime.attempt import Dispatch
from dewar.tasks.runtime.pending_write import Entry, PendingWrite
from dewar.tasks.runtime.separate_writes import SeparateWrites

REFUSED = LedgerError("db", "too big", is_refusal=True)
AWAY = LedgerError("db", "the connection was lost")


class Database:
    """Fails for some jobs, in each of their transactions or in those with a large outcome."""

    def __init__(self, bad: dict[str, Exception], *, is_away: bool = False) -> None:
        self.bad = bad
        self.is_away = is_away
        self.batches: list[list[Entry]] = []

    def write(self, entries: Sequence[Entry]) -> None:
        if self.is_away:
            raise AWAY
        for operation, _ in entries:
            error = self.bad.get(getattr(operation, "id", ""))
            if error is not None and getattr(operation, "result", None) is not None:
                raise error
        self.batches.append(list(entries))

    @property
    def ids(self) -> list[str]:
        return [operation.id for batch in self.batches for operation, _ in batch]  # type: ignore[union-attr]


def start(id: str) -> Entry:
    return AttemptStart(id=id, owner="me", attempt=1, at=1.0), None


def progress(id: str) -> Entry:
    return ProgressUpdate(id=id, fraction=0.5, message=""), None


def ended(id: str, result: str = "1") -> Entry:
    outcome = Outcome(
        id=id, owner="me", attempt=1, state=JobState.DONE, at=2.0, result=result, callback_body="{}"
    )
    return outcome, None


def new(id: str) -> Entry:
    return NewJob(id=id, task="t", arguments="[]", created=0.0, due=0.0), PendingWrite()


def only_outcome(batch: Sequence[Entry]) -> Outcome:
    (found,) = [operation for operation, _ in batch if isinstance(operation, Outcome)]
    return found


@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=12), st.sets(st.sampled_from("abcd")))
def test_only_the_refused_jobs_fail(ids: list[str], bad: set[str]) -> None:
    """The others are written as they were, each in its own order, whatever comes first."""
    bad = bad or set(ids)  # some job is the reason why the batch has failed
    if len(set(ids)) == 1:
        bad |= set(ids)
    database = Database(dict.fromkeys(bad, REFUSED))
    entries = [entry for id in ids for entry in (start(id), progress(id), ended(id))]
    assert SeparateWrites(database.write).run(entries, REFUSED) == []
    for id in set(ids):
        (batch,) = [batch for batch in database.batches if batch[0][0].id == id]  # type: ignore[union-attr]
        if id not in bad:
            assert batch == [entry for entry in entries if entry[0].id == id]  # type: ignore[union-attr]
            continue
        assert not any(isinstance(operation, ProgressUpdate) for operation, _ in batch)
        for operation, _ in batch:
            if isinstance(operation, Outcome):
                assert (operation.state, operation.result) == (JobState.FAILED, None)


def test_a_refused_outcome_is_the_failure_of_its_job(caplog: pytest.LogCaptureFixture) -> None:
    """With the database's error, a repair, and a callback that the ledger makes of it."""
    database = Database({"a": REFUSED})
    with caplog.at_level(logging.CRITICAL, logger="dewar.tasks"):
        assert SeparateWrites(database.write).run([ended("a")], REFUSED) == []
    outcome = only_outcome(database.batches[0])
    error = json.loads(outcome.error or "")
    assert "too big" in error["text"]
    assert "Keep large data in a file" in error["text"]
    assert outcome.callback_body is None


def test_a_new_job_that_is_refused_is_its_submitters() -> None:
    """Another submitter of the same batch has its job accepted."""
    database = Database({})

    def write(entries: Sequence[Entry]) -> None:
        if any(operation.id == "bad" for operation, _ in entries):  # type: ignore[union-attr]
            raise OverflowError("too large an integer")
        database.write(entries)

    bad, good = new("bad"), new("good")
    assert SeparateWrites(write).run([bad, good], REFUSED) == []
    assert database.ids == ["good"]
    assert bad[1] is not None
    with pytest.raises(OverflowError):
        bad[1].wait()


def test_a_database_that_is_away_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each look may cost a timeout. Nothing is given up, and the one that was tried comes last."""
    database = Database({}, is_away=True)
    writes = 0

    def write(entries: Sequence[Entry]) -> None:
        nonlocal writes
        writes += 1
        database.write(entries)

    separate = SeparateWrites(write)
    submitted = new("n")
    entries = [start("a"), ended("a"), start("b"), submitted, ended("b")]
    kept = separate.run(entries, AWAY)
    assert writes == 1
    assert kept == [start("b"), ended("b"), start("a"), ended("a")]
    assert submitted[1] is not None
    with pytest.raises(LedgerError):
        submitted[1].wait()
    for _ in range(20):
        kept = separate.run(kept, AWAY)
    assert sorted(map(repr, kept)) == sorted(map(repr, entries[:3] + entries[4:]))
    database.is_away = False
    assert separate.run(kept, AWAY) == []
    assert only_outcome(database.batches[-1]).state is JobState.DONE


def test_a_dispatch_says_nothing_of_the_database() -> None:
    """It is done, and the jobs behind it do not wait for a timeout each."""
    writes: list[int] = []

    def write(entries: Sequence[Entry]) -> None:
        if all(isinstance(operation, Dispatch) for operation, _ in entries):
            return
        writes.append(len(entries))
        raise AWAY

    new_job, _ = new("d")
    assert isinstance(new_job, NewJob)
    dispatch: Entry = (Dispatch(cast("Any", SimpleNamespace(record=JobRecord.of(new_job)))), None)
    kept = SeparateWrites(write).run([dispatch, start("a"), start("b")], AWAY)
    assert kept == [start("b"), start("a")]
    assert writes == [1]


def test_a_large_outcome_that_does_not_fit_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """After some tries, as the disk may be full for a moment. A small one is not the cause."""
    full = LedgerError("db", "database or disk is full")
    database = Database({"a": full, "small": full})
    separate = SeparateWrites(database.write)
    kept = [start("a"), ended("a", "x" * (1 << 20)), ended("small")]
    with caplog.at_level(logging.CRITICAL, logger="dewar.tasks"):
        rounds = 0
        while any(operation.id == "a" for operation, _ in kept):  # type: ignore[union-attr]
            kept = separate.run([*kept, start(f"other {rounds}")], full)
            rounds += 1
    assert rounds > 2
    assert kept == [ended("small")]
    (batch,) = [batch for batch in database.batches if batch[0][0].id == "a"]  # type: ignore[union-attr]
    assert only_outcome(batch).state is JobState.FAILED
