"""What becomes of a job when an attempt at it has ended."""

import json
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any

import pytest

from dewar.loop.call_queue import CallQueue
from dewar.tasks.engines.execution import DONE, FAILED
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.remote.in_flight import InFlightJobs
from dewar.tasks.errors import JobLost, JobTimeout, NotSupported, Unserializable, WorkerDied
from dewar.tasks.job import Job
from dewar.tasks.ledger.interruption import Interruptions, state_after
from dewar.tasks.ledger.records import JobRecord, JobState, Outcome
from dewar.tasks.progress import Progress
from dewar.tasks.retry import RetryPolicy
from dewar.tasks.runtime.attempt import Attempt
from dewar.tasks.runtime.outcomes import describe_outcome, outcome_of
from dewar.tasks.serialization.failures import describe_error, make_error
from dewar.tasks.status import public_outcome


class AttemptListener:
    """Lets everything begin, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def note_begin(self, attempt: Attempt) -> bool:
        self.told.append("note_begin")
        return True

    def note_progress(self, attempt: Attempt, progress: Progress) -> None:
        self.told.append(progress)


def record(**changes: Any) -> JobRecord:
    values: dict[str, Any] = dict.fromkeys(JobRecord.__dataclass_fields__)
    values |= {"id": "j1", "task": "add", "state": JobState.QUEUED, "arguments": "[]"}
    values |= {"attempts": 0, "idempotent": True, "created": 0.0, "due": 0.0}
    values |= {"limited": False}
    return JobRecord(**{**values, **changes})


def ended(result: Any = None, error: BaseException | None = None, **changes: Any) -> Attempt:
    attempt = Attempt(record(**changes), AttemptListener())
    assert attempt.set_running_or_notify_cancel()
    if error is None:
        attempt.set_result(result)
    else:
        attempt.set_exception(error)
    return attempt


def again(said: str | None, *args: Any, **changes: Any) -> Attempt:
    """Return an ended attempt at a job with the error of its last one."""
    attempt = ended(*args, **changes)
    attempt.record = replace(attempt.record, error=said)
    return attempt


def judge(attempt: Attempt, policy: RetryPolicy | None = None) -> Outcome:
    return outcome_of(attempt, policy or RetryPolicy(), "me", 100.0, json)


def failure(text: str = "no") -> list[str]:
    return [FAILED, json.dumps(describe_error(ValueError(text)))]


def test_a_result_is_the_end() -> None:
    """It is kept as it was packed, for this owner at this attempt."""
    outcome = judge(ended([DONE, "[1, 2]"], attempts=2))
    assert outcome == Outcome(
        id="j1", owner="me", attempt=3, state=JobState.DONE, at=100.0, result="[1, 2]"
    )


def test_no_job_ends_before_it_was_accepted() -> None:
    """The clock of its process may be far behind; the result would be old from the beginning."""
    outcome = judge(ended([DONE, "[]"], created=5e8))
    assert outcome.at == 5e8
    policy = RetryPolicy(retries=1, backoff=[2])
    assert judge(ended(failure(), created=5e8), policy).due == 5e8 + 2.0


def test_an_error_is_the_end_or_waits_for_the_next_attempt() -> None:
    """As the task says; the error is kept in both cases."""
    outcome = judge(ended(failure()))
    assert outcome.state is JobState.FAILED
    assert json.loads(outcome.error or "")["text"] == "no"
    again = judge(ended(failure()), RetryPolicy(retries=1, backoff=[7]))
    assert (again.state, again.due) == (JobState.QUEUED, 107.0)
    assert json.loads(again.error or "")["type"] == "builtins:ValueError"
    last = judge(ended(failure(), attempts=1), RetryPolicy(retries=1, backoff=[7]))
    assert last.state is JobState.FAILED


@pytest.mark.parametrize(
    ("error", "policy", "recalled", "state"),
    [
        (CancelledError(), RetryPolicy(retries=5), False, JobState.CANCELLED),
        (CancelledError(), RetryPolicy(), True, JobState.QUEUED),
        (CancelledError(), RetryPolicy(idempotent=False), True, JobState.LOST),
        (JobTimeout("perform", 3.0), RetryPolicy(), False, JobState.FAILED),
        (JobTimeout("perform", 3.0), RetryPolicy(retries=1), False, JobState.QUEUED),
        (
            JobTimeout("perform", 3.0),
            RetryPolicy(retries=1, idempotent=False),
            False,
            JobState.FAILED,
        ),
        (WorkerDied("killed"), RetryPolicy(), False, JobState.QUEUED),
        (WorkerDied("killed"), RetryPolicy(idempotent=False), False, JobState.LOST),
        (JobLost("the broker forgot it"), RetryPolicy(), False, JobState.QUEUED),
        (JobLost("its worker died"), RetryPolicy(idempotent=False), False, JobState.LOST),
        (RuntimeError("the engine's own"), RetryPolicy(retries=5), False, JobState.FAILED),
    ],
)
def test_what_the_engine_says_decides(
    error: BaseException, policy: RetryPolicy, recalled: bool, state: JobState
) -> None:
    """Stopped by hand, recalled at the end of the process, out of time, its worker dead."""
    attempt = ended(error=error)
    attempt.is_requeued = recalled
    outcome = judge(attempt, policy)
    assert outcome.state is state
    assert (outcome.error is None) == (state is JobState.CANCELLED)


def test_a_timeout_names_the_task_and_a_loss_the_repair() -> None:
    """The engine knows only what function ran."""
    assert "add was stopped after 3 seconds" in (judge(ended(error=JobTimeout("x", 3))).error or "")
    lost = judge(ended(error=WorkerDied("killed")), RetryPolicy(idempotent=False))
    assert "dewar tasks retry j1" in (lost.error or "")


@pytest.mark.parametrize(
    "error",
    [
        CancelledError(),
        WorkerDied("killed"),
        JobLost("its worker died"),
        JobTimeout("perform", 3.0),
        NotSupported("threads", "stop a job", "Wait for it."),
        Unserializable("result", object()),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("idempotent", [True, False])
def test_what_is_written_of_an_error_can_be_read_back(
    error: BaseException, idempotent: bool
) -> None:
    """Each error of ours comes back as one of its class with the same text."""
    attempt = ended(error=error)
    attempt.is_requeued = True
    outcome = judge(attempt, RetryPolicy(idempotent=idempotent))
    if outcome.error is None:
        assert outcome.state is JobState.QUEUED
        return
    description = json.loads(outcome.error)
    back = make_error(description)
    assert type(back) is (JobLost if outcome.state is JobState.LOST else type(error))
    assert str(back) == description["text"]
    assert back.__cause__ is None  # it was not raised anywhere


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (CancelledError(), JobState.LOST),
        (WorkerDied("killed"), JobState.LOST),
        (JobLost("its worker died"), JobState.LOST),
        (JobTimeout("perform", 3.0), JobState.FAILED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_job_is_repeated_only_as_it_was_accepted(error: BaseException, state: JobState) -> None:
    """Where the task has changed its mind since, as where the ledger decides for a dead process."""
    attempt = ended(error=error, idempotent=False)
    attempt.is_requeued = True
    assert judge(attempt, RetryPolicy(retries=5, idempotent=True)).state is state


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.parametrize("repeatable", [True, False])
def test_an_interrupted_job_has_one_fate_wherever_it_is_decided(
    stopped: bool, repeatable: bool
) -> None:
    """The ledger, this process and an engine far away say the same, in the same words."""
    state = state_after(may_repeat=repeatable, is_stopped=stopped)
    attempt = ended(error=WorkerDied("killed"), idempotent=repeatable)
    here = judge(attempt, RetryPolicy())
    if not stopped:  # here that is not known: the ledger's batch cancels what would be repeated
        assert here.state is state
    settling_queue = CallQueue("test")
    table, job = InFlightJobs(settling_queue), Job()
    table.add("a", job, JobCall(len, (), {}, repeatable=repeatable))
    table.ask("a", "one", stoppable=True)
    if stopped:
        table.stop(job)
    runs_again = table.ask("a", "two", stoppable=True) == 2
    settling_queue.close()
    assert runs_again == (state is JobState.QUEUED)
    if not runs_again:
        raised = job.exception(10)
        assert isinstance(raised, CancelledError if stopped else JobLost)
        words = "died, and the job may not be repeated."
        assert stopped or (words in str(raised) and words in (here.error or ""))


def test_what_fails_while_an_outcome_is_made_is_the_outcome() -> None:
    """A task's own backoff, or a result that nobody here can read for a callback."""

    def backoff(_attempt: int) -> float:
        raise ZeroDivisionError("no pause")

    outcome = judge(ended(failure()), RetryPolicy(retries=1, backoff=backoff))
    assert outcome.state is JobState.FAILED
    assert "no pause" in (outcome.error or "")
    assert "builtins:ValueError: no" in (outcome.error or "")
    text = json.dumps({"$dataclass": ["no.such.module:Gone", {"size": 1}]})
    assert judge(ended([DONE, text])).state is JobState.DONE  # it is not read here
    told = judge(ended([DONE, text], callback="https://example.org/hook"))
    assert (told.state, told.result) == (JobState.FAILED, None)
    assert told.callback_body is None  # the ledger makes it of the record
    assert "no.such.module" in (told.error or "")


def test_a_job_that_kills_each_worker_is_given_up() -> None:
    """After three more attempts it has failed."""
    states, said = [], None
    for attempts in range(4):
        outcome = judge(again(said, error=WorkerDied("killed"), attempts=attempts))
        said = outcome.error
        states.append(outcome.state)
    assert states == [JobState.QUEUED] * 3 + [JobState.FAILED]


def test_what_interrupts_a_job_takes_none_of_its_retries() -> None:
    """A stop, a death and another stop; only its own errors count, and end a row of deaths."""
    policy, said = RetryPolicy(retries=1, backoff=0.0), None
    errors = [CancelledError(), WorkerDied("killed"), CancelledError()]
    for attempts, error in enumerate(errors):
        attempt = again(said, error=error, attempts=attempts)
        attempt.is_requeued = True
        said = judge(attempt, policy).error
    assert Interruptions.of(said) == Interruptions(deaths=1, interruptions=3)
    first = judge(again(said, failure(), attempts=3), policy)
    assert first.state is JobState.QUEUED
    assert Interruptions.of(first.error) == Interruptions(deaths=0, interruptions=3)
    last = judge(again(first.error, failure(), attempts=4), policy)
    assert last.state is JobState.FAILED
    assert "interruptions" not in (last.error or "")


def test_a_client_sees_no_error_of_a_job_that_runs_again() -> None:
    """It has not failed, whatever its last attempt has left."""
    error = describe_error(ValueError("no"))
    assert public_outcome(JobState.QUEUED, None, error) == {}
    assert public_outcome(JobState.RUNNING, None, error) == {}
    assert public_outcome(JobState.FAILED, None, error)["error"]["message"] == "no"


def test_who_asked_for_it_is_told_the_end_and_only_that() -> None:
    """The callback's body has the result or the error, and there is none for a retry."""
    url = "https://example.org/hook"
    done = judge(ended([DONE, '{"$bytes": "AAE="}'], callback=url))
    assert json.loads(done.callback_body or "") == {
        "id": "j1", "task": "add", "state": "done", "result": "AAE=",
    }  # fmt: skip
    failed = judge(ended(failure("bad"), callback=url))
    assert json.loads(failed.callback_body or "") == {
        "id": "j1",
        "task": "add",
        "state": "failed",
        "error": {"type": "builtins:ValueError", "message": "bad"},
    }
    assert judge(ended(failure(), callback=url), RetryPolicy(retries=1)).callback_body is None
    assert judge(ended([DONE, "1"])).callback_body is None


def test_a_cancelled_job_is_told_without_result_and_error() -> None:
    """There is neither."""
    body = describe_outcome(record(), JobState.CANCELLED, None, None, json)
    assert json.loads(body) == {"id": "j1", "task": "add", "state": "cancelled"}


def test_an_attempt_tells_its_keeper() -> None:
    """When its function begins and how far it is; a cancelled one does not begin."""
    keeper = AttemptListener()
    attempt = Attempt(record(), keeper)
    assert attempt.set_running_or_notify_cancel()
    attempt.progress = Progress(0.5, "half")
    assert keeper.told == ["note_begin", Progress(0.5, "half")]
    assert attempt.progress == Progress(0.5, "half")
    other = Attempt(record(), keeper)
    other.cancel()
    assert not other.set_running_or_notify_cancel()
    assert len(keeper.told) == 2
