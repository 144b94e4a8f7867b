"""What a batch does, decided without a database."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.ledger.ledgertools import URL, end, new, queued, start

from dewar.tasks.ledger.batch import Batch, JobSnapshot
from dewar.tasks.ledger.columns import clean
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.outbox_insert import describe_record
from dewar.tasks.ledger.queue_allowance import QueueAllowance
from dewar.tasks.ledger.records import (
    MOVES,
    AttemptStart,
    JobRecord,
    JobState,
    Outcome,
    ProgressUpdate,
    StopRequest,
)

STATES = st.sampled_from(JobState)
OWNERS = st.sampled_from(["here", "there"])
ATTEMPTS = st.integers(0, 3)
STARTS = st.builds(AttemptStart, id=st.just("job"), owner=OWNERS, attempt=ATTEMPTS, at=st.just(1.0))
OUTCOMES = st.builds(
    Outcome, id=st.just("job"), owner=OWNERS, attempt=ATTEMPTS, state=STATES, at=st.just(2.0)
)
UPDATES = st.just(ProgressUpdate(id="job", fraction=0.5, message=""))
REQUESTS = st.just(StopRequest(id="job"))
STANDINGS = st.builds(
    JobSnapshot,
    st.just("task"),
    STATES,
    st.none() | OWNERS,
    ATTEMPTS,
    st.none() | st.just(URL),
    st.booleans(),
)


@given(STANDINGS, STARTS | OUTCOMES | UPDATES | REQUESTS)
def test_a_job_moves_only_as_the_table_says(
    snapshot: JobSnapshot, item: AttemptStart | Outcome
) -> None:
    """Any operation moves it to a state that MOVES allows, or has no effect."""
    before = snapshot.state
    batch = Batch({"job": snapshot}, {})
    batch.judge(item)
    changed = batch.changes.get("job", {}).get("state", before.value)
    assert changed == snapshot.state.value
    assert snapshot.state is before or snapshot.state in MOVES[before]
    assert bool(batch.outbox) == (
        snapshot.state is not before and snapshot.state.is_final and snapshot.callback is not None
    )


@given(STANDINGS, st.lists(STARTS | OUTCOMES | UPDATES | REQUESTS))
def test_each_item_counts_or_is_fenced(
    snapshot: JobSnapshot, items: list[AttemptStart | Outcome]
) -> None:
    """A job has one outcome at most, and never more after it."""
    batch = Batch({"job": snapshot}, {})
    outcomes = 0
    for item in items:
        before, fenced = snapshot.state, len(batch.fenced)
        batch.judge(item)
        assert len(batch.fenced) == fenced or snapshot.state is before
        outcomes += snapshot.state.is_final and not before.is_final
    assert outcomes <= 1
    assert len(batch.outbox) <= outcomes


@given(STANDINGS, OUTCOMES)
def test_a_job_that_is_to_end_does_not_wait_again(snapshot: JobSnapshot, item: Outcome) -> None:
    """Whatever its attempt comes to. Only a running job can be asked."""
    was_running = snapshot.state is JobState.RUNNING
    batch = Batch({"job": snapshot}, {})
    batch.judge(StopRequest(id="job"))
    batch.judge(StopRequest(id="unknown"))
    assert ("stop_requested" in batch.changes.get("job", {})) == was_running
    batch.judge(item)
    assert not was_running or snapshot.state is not JobState.QUEUED


def test_a_life_in_one_batch_is_one_row() -> None:
    """A new job is inserted in its final state, without further changes."""
    job = new(owner="here", callback=URL)
    batch = Batch({}, {})
    for item in (job, start(job), end(job, result="1", callback_body="body")):
        batch.judge(item)
    assert batch.inserts[job.id]["state"] == "done"
    assert batch.inserts[job.id]["result"] == "1"
    assert batch.changes == {}
    assert [post.body for post in batch.outbox] == ["body"]


def test_a_limit_counts_what_the_batch_moves() -> None:
    """A start frees a place, a retry takes one, and other tasks do not count."""
    jobs = [new(owner="here", max_queue=1) for _ in range(4)]
    batch = Batch({}, {"resize": 0})
    batch.judge(jobs[0])
    batch.judge(jobs[1])
    batch.judge(start(jobs[0]))
    batch.judge(jobs[2])
    batch.judge(start(jobs[2]))
    batch.judge(end(jobs[0], JobState.QUEUED))
    batch.judge(jobs[3])
    assert batch.refused == [jobs[1], jobs[3]]
    assert batch.waiting == {"resize": 1}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_good_text_stays_as_it_is(text: str) -> None:
    """Only characters that a database refuses are changed."""
    assert clean(text) == text


@given(st.text(st.characters()))
def test_any_text_becomes_one_that_is_taken(text: str) -> None:
    """It has no NUL, and is UTF-8."""
    assert "\0" not in clean(text)
    assert clean(text).encode().decode() == clean(text)


def test_an_end_is_described_without_its_traceback() -> None:
    """The body has the id, the task, the state and the error, and nothing else."""
    record = JobRecord(
        id="x", task="resize", state=JobState.LOST, arguments="", context=None, owner=None,
        attempts=1, idempotent=False, created=1.0, due=1.0, started=1.0, finished=2.5,
        fraction=None, message=None, result=None, callback=URL,
        error='{"type": "a:B", "text": "no", "traceback": "secret"}',
    )  # fmt: skip
    assert describe_record(record) == (
        '{"id": "x", "task": "resize", "state": "lost", "error": {"type": "a:B", "message": "no"}}'
    )


def test_nothing_is_accepted_before_it_was_counted() -> None:
    """After a count, a sixteenth of the free places may be taken in any parts."""
    allowance = QueueAllowance()
    assert not allowance.take("resize", 1)
    allowance.note("resize", waiting=40, limit=200)
    assert allowance.take("resize", 7)
    assert not allowance.take("resize", 4)
    assert allowance.take("resize", 3)
    assert not allowance.take("resize", 1)
    assert not allowance.take("other", 1)
    assert repr(allowance) == "<QueueAllowance {'resize': 0}>"


@given(st.integers(0, 500), st.lists(st.integers(1, 40)))
def test_one_process_never_exceeds_the_limit(limit: int, wanted: list[int]) -> None:
    """For any sequence of batches, uncounted jobs had a free place."""
    allowance, waiting = QueueAllowance(), 0
    for count in wanted:
        if allowance.take("resize", count):
            waiting += count
        else:
            accepted = min(count, max(0, limit - waiting))
            allowance.note("resize", waiting + count, limit)
            waiting += accepted
        assert waiting <= limit


def test_a_limit_is_reached_exactly(tmp_path: Path) -> None:
    """A ledger that does not count each job refuses the first one too many."""
    ledger = open_ledger(tmp_path / "jobs.sqlite")
    written = [ledger.write([new(max_queue=100), new(max_queue=100)]) for _ in range(52)]
    assert [len(one.refused) for one in written] == [0] * 50 + [2] * 2
    assert queued(ledger, "resize") == 100
    ledger.close()
