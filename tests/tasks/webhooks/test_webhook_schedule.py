import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.webhooks.schedule import (
    Delivered,
    DeliveryResult,
    Disabled,
    GaveUp,
    Retry,
    Schedule,
    next_step,
)

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def step(status, attempts=1, retry_after=None, chance=0.0, schedule=None):
    answer = DeliveryResult(status=status, retry_after=retry_after)
    return next_step(answer, attempts, NOW, schedule or Schedule(), lambda: chance)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status):
    """At any attempt, even one too many."""
    assert step(status) == step(status, 50) == Delivered()


@pytest.mark.parametrize("status", [100, 301, 302, 307, 308, 400, 401, 404, 500, 503, 600, None])
def test_all_else_is_tried_again(status):
    """Redirects too, which are never followed."""
    assert step(status) == Retry(NOW + 5)


def test_410_disables():
    """At any attempt."""
    assert step(410) == step(410, 10) == Disabled()


def test_the_schedule_is_the_specifications():
    """Ten attempts over three days, and then no more."""
    at, times = 0.0, []
    for attempts in range(1, 10):
        next_one = step(500, attempts)
        at += next_one.at - NOW
        times.append(at)
    assert times == [5, 305, 2105, 9305, 27305, 63305, 113705, 185705, 272105]
    assert step(500, 10) == step(500, 99) == GaveUp()


def test_chance_makes_a_delay_longer():
    """By a tenth at most."""
    assert step(500, 2, chance=1.0) == Retry(NOW + 330)
    assert step(500, 2, chance=0.5) == Retry(NOW + 315)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("1", 5),
        ("0", 5),
        ("999999", 86400),
        ("9" * 400, 86400),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60),
        ("Tue Nov 14 22:14:20 2023", 60),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60),
        ("Tue, 14 Nov 2020 22:14:20 GMT", 5),
        ("Tue, 14 Nov 9999 22:14:20 GMT", 86400),
        ("-5", 5),
        ("1.5", 5),
        ("soon", 5),
        ("", 5),
        ("٣٠", 5),
        ("Tue, 99 Nov 2023 22:14:20 GMT", 5),
    ],
)
def test_a_busy_receiver_says_how_long(status, retry_after, seconds):
    """It is waited for as long, within reason, and never shorter than the schedule says."""
    assert step(status, retry_after=retry_after) == Retry(NOW + seconds)


def test_other_statuses_do_not_say_how_long():
    """Nor does a busy receiver get more attempts."""
    assert step(500, retry_after="120") == Retry(NOW + 5)
    assert step(503, 10, retry_after="120") == GaveUp()


@given(st.integers() | st.none(), st.integers(1, 20), st.text(max_size=40), st.floats(0, 1))
def test_every_answer_has_a_next_step(status, attempts, retry_after, chance):
    """A retry is in the future, and no further away than the longest wait."""
    found = step(status, attempts, retry_after, chance)
    if isinstance(found, Retry):
        assert 0 < found.at - NOW <= 86400 * 1.1
        assert math.isfinite(found.at)


@pytest.mark.parametrize("given", [{"delays": ()}, {"delays": (0, -1)}, {"jitter": -1}])
def test_a_schedule_that_makes_no_sense_is_refused(given):
    """With the repair."""
    with pytest.raises(TaskSetupError, match=r"Schedule\(delays=\(0\.0,\)\)"):
        Schedule(**given)
