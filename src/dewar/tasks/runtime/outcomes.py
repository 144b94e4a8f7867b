"""The outcome of an attempt: whether its job has ended, and how, or when it runs again."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any

from dewar.tasks.engines.execution import DONE
from dewar.tasks.errors import JobLost, JobTimeout, TasksError, TaskSetupError, WorkerDied
from dewar.tasks.ledger.interruption import Interruptions, lost_error, state_after
from dewar.tasks.ledger.records import JobRecord, JobState, Outcome
from dewar.tasks.retry import RetryPolicy
from dewar.tasks.runtime.attempt import Attempt
from dewar.tasks.serialization.error_text import text_of
from dewar.tasks.serialization.failures import describe_error
from dewar.tasks.serialization.values import unpack
from dewar.tasks.status import public_outcome


def outcome_of(
    attempt: Attempt, policy: RetryPolicy, owner: str, now: float, provider: Any
) -> Outcome:
    """Return what to write of an attempt that has ended: how the job ended, or when it runs again.

    Args:
        attempt: An attempt that is done and was not cancelled before it began.
        policy: The rules of its task for running again.
        owner: The id of the process that ran it.
        now: In seconds since the epoch.
        provider: Writes and reads JSON.
    """
    record = attempt.record
    # A clock that is set back would make the result old, and another process delete it at once.
    now = max(now, record.created)
    try:
        decision = _decide(attempt, policy)
        body = _callback_body(record, decision, provider)
    except BaseException as raised:  # noqa: BLE001  # a task's `backoff`, or a class in its result
        # Without an outcome the job would stay in the state running while this process lives. The
        # ledger makes the body.
        decision, body = (JobState.FAILED, None, describe_error(raised), None), None
    state, result, error, pause = decision
    return Outcome(
        id=record.id,
        owner=owner,
        attempt=attempt.number,
        state=state,
        at=now,
        result=result,
        error=None if error is None else json.dumps(error),
        due=None if pause is None else now + pause,
        limited=record.limited,
        callback_body=body,
    )


_Decision = tuple[JobState, str | None, Mapping[str, Any] | None, float | None]


def _decide(attempt: Attempt, policy: RetryPolicy) -> _Decision:
    """Return the state, the packed result, the error, and the pause before the next attempt."""
    raised = attempt.exception()
    if raised is None:
        kind, text = attempt.result()
        if kind == DONE:
            return JobState.DONE, text, None, None
        return _failed(policy.after_error, attempt, json.loads(text))
    if isinstance(raised, CancelledError) and not attempt.is_requeued:
        return JobState.CANCELLED, None, None, None
    policy = policy.as_accepted(attempt.record.idempotent)
    if isinstance(raised, JobTimeout):
        # The engine knows the function that ran, but not its task.
        error = describe_error(JobTimeout(attempt.record.task, raised.seconds))
        return _failed(policy.after_timeout, attempt, error)
    if isinstance(raised, WorkerDied) and policy.idempotent:
        return _failed(policy.after_death, attempt, describe_error(raised), has_died=True)
    if isinstance(raised, CancelledError | JobLost | WorkerDied):
        return _interrupted(attempt.record, policy, raised)
    return JobState.FAILED, None, describe_error(raised), None


def _failed(
    pause_after: Callable[[int], float | None],
    attempt: Attempt,
    error: Mapping[str, Any],
    *,
    has_died: bool = False,
) -> _Decision:
    before = Interruptions.of(attempt.record.error)
    after = before.after_death() if has_died else before.after_error()
    try:
        # What a deployment has interrupted is no failure of the job.
        pause = pause_after(after.deaths if has_died else attempt.number - before.interruptions)
    except BaseException as raised:  # noqa: BLE001  # whatever it is, there is no next attempt
        failure = TaskSetupError(
            f"{attempt.record.task} has failed, {error['type']}: {error['text']}; and there is no"
            f" next attempt, because its backoff has failed, {type(raised).__name__}:"
            f" {text_of(raised)}"
        )
        failure.__cause__ = raised
        return JobState.FAILED, None, describe_error(failure), None
    if pause is None:
        return JobState.FAILED, None, error, None
    return JobState.QUEUED, None, after.written(error), pause


def _interrupted(record: JobRecord, policy: RetryPolicy, raised: BaseException) -> _Decision:
    """Return the outcome of an attempt that was interrupted at an unknown point."""
    state = state_after(may_repeat=policy.idempotent)
    if state is JobState.LOST:
        return state, None, describe_error(lost_error(record.task, record.id)), None
    if isinstance(raised, CancelledError):
        raised = CancelledError(f"The process that ran {record.task} was stopped.")
    after = Interruptions.of(record.error).after_stop()
    return state, None, after.written(describe_error(raised)), 0.0


def unwritable(outcome: Outcome, error: Exception) -> Outcome:
    """Return the failure to write instead of an outcome that the database does not take."""
    failure = TasksError(
        f"The job has run, but the ledger did not take its outcome: {text_of(error)}. Keep large"
        " data in a file or a store, and return where it is."
    )
    return replace(
        outcome,
        state=JobState.FAILED,
        result=None,
        error=json.dumps(describe_error(failure)),
        due=None,
        callback_body=None,
    )


def _callback_body(record: JobRecord, decision: _Decision, provider: Any) -> str | None:
    state, result, error, _ = decision
    if record.callback is None or state is JobState.QUEUED:
        return None
    value = None if result is None else unpack(result, provider.loads)
    return describe_outcome(record, state, value, error, provider)


def describe_outcome(
    record: JobRecord,
    state: JobState,
    result: Any,
    error: Mapping[str, Any] | None,
    provider: Any,
) -> str:
    """Return the body of the callback with the outcome of a job."""
    told = {"id": record.id, "task": record.task, "state": state.value}
    text: str = provider.dumps({**told, **public_outcome(state, result, error)})
    return text
