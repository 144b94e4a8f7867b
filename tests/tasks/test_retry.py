"""Whether a job that failed runs again, and when."""

from datetime import timedelta
from typing import Any

import pytest

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.retry import RetryPolicy


def test_without_retries_an_error_is_the_end() -> None:
    """Nothing that raised is run again unless the task says so."""
    assert RetryPolicy().after_error(1) is None


def test_there_are_as_many_attempts_as_said_and_one() -> None:
    """Three retries make four attempts."""
    policy = RetryPolicy(retries=3, backoff=0)
    assert [policy.after_error(attempt) is None for attempt in range(1, 6)] == [
        False, False, False, True, True,
    ]  # fmt: skip


def test_a_number_doubles_with_each_attempt_and_is_spread() -> None:
    """The pause lies between its base and a quarter more, and never beyond an hour."""
    policy = RetryPolicy(retries=100, backoff=2.0)
    for attempt, base in ((1, 2.0), (2, 4.0), (5, 32.0)):
        pauses = {policy.after_error(attempt) for _ in range(50)}
        assert len(pauses) > 1
        assert all(pause is not None and base <= pause <= 1.25 * base for pause in pauses)
    assert policy.after_error(90) == 3600.0


def test_a_list_says_each_pause_and_its_last_goes_on() -> None:
    """With more retries than pauses the last pause is used again."""
    policy = RetryPolicy(retries=4, backoff=[1, 10])
    assert [policy.after_error(attempt) for attempt in (1, 2, 3, 4)] == [1.0, 10.0, 10.0, 10.0]


def test_a_function_is_asked_with_the_attempt_that_failed() -> None:
    """What it returns is the pause, and nothing less than none."""
    policy = RetryPolicy(retries=3, backoff=lambda attempt: 5.0 - 3 * attempt)
    assert [policy.after_error(attempt) for attempt in (1, 2)] == [2.0, 0.0]


def test_a_timeout_is_retried_only_where_it_may_be_repeated() -> None:
    """Nobody knows how far a stopped job came."""
    assert RetryPolicy(retries=1, backoff=0).after_timeout(1) == 0.0
    assert RetryPolicy(retries=1, backoff=0, idempotent=False).after_timeout(1) is None
    assert RetryPolicy().after_timeout(1) is None


def test_a_death_is_retried_at_once_and_not_for_ever() -> None:
    """A job that kills each worker it gets is given up; one that may not be repeated at once."""
    policy = RetryPolicy()
    assert policy.after_death(1) == 0.0
    assert policy.after_death(2) is not None
    assert policy.after_death(4) is None
    assert RetryPolicy(retries=8).after_death(8) is not None
    assert RetryPolicy(idempotent=False).after_death(1) is None


_NO_PAUSE = [float("nan"), float("inf"), 1e300, 10**400, timedelta(1), None, "1", b"1", True, 1j]


@pytest.mark.parametrize(
    "given",
    [
        *({"retries": value} for value in (-1, 1.5, True, "2", None)),
        *({"backoff": value} for value in (-1.0, [], {}, [1, -1], *_NO_PAUSE)),
        *({"backoff": [0, value]} for value in _NO_PAUSE),
        {"idempotent": None},
    ],
)
def test_what_can_not_be_is_refused(given: dict[str, Any]) -> None:
    """The mistake is told where the task is declared."""
    with pytest.raises(TaskSetupError, match=next(iter(given))):
        RetryPolicy(**given)


@pytest.mark.parametrize("value", _NO_PAUSE)
def test_a_function_that_returns_no_pause_is_an_error(value: Any) -> None:
    """The error has what it returned, and what it should return."""
    policy = RetryPolicy(retries=1, backoff=lambda _attempt: value)
    with pytest.raises(TaskSetupError, match=r"backoff\(1\) is .* a number of seconds"):
        policy.after_error(1)
