from datetime import UTC, datetime, timedelta

import pytest

from dewar.tasks.runtime.job_clock import JobClock


def test_the_time_is_that_of_the_system_and_what_is_added(monkeypatch):
    """Both clocks move on together; `now` is in UTC."""
    monkeypatch.setattr("time.time", lambda: 1000.0)
    monkeypatch.setattr("time.monotonic", lambda: 5.0)
    clock = JobClock()
    clock.advance(timedelta(minutes=1))
    clock.advance(0.5)
    assert (clock.time(), clock.monotonic()) == (1060.5, 65.5)
    assert clock.now() == datetime.fromtimestamp(1060.5, UTC)


def test_it_only_moves_forward(monkeypatch):
    """A step back is refused, and a time that is over changes nothing."""
    monkeypatch.setattr("time.time", lambda: 1000.0)
    clock = JobClock()
    clock.move_on(1010.0)
    clock.move_on(1005.0)
    assert clock.time() == 1010.0
    for bad in (-1, timedelta(seconds=-1), float("nan")):
        with pytest.raises(ValueError, match="forward"):
            clock.advance(bad)


def test_it_moves_to_a_date(monkeypatch):
    """The date has a zone, and has not passed; who is told of a move is told before it."""
    monkeypatch.setattr("time.time", lambda: 1000.0)
    told = []
    clock = JobClock(lambda: told.append(clock.time()))
    clock.advance_to(datetime.fromtimestamp(1010.0, UTC))
    assert (told, clock.time()) == ([1000.0], 1010.0)
    with pytest.raises(ValueError, match="tzinfo=UTC"):
        clock.advance_to(datetime(2030, 1, 1))  # noqa: DTZ001  # the mistake
    with pytest.raises(ValueError, match="it is 1970"):
        clock.advance_to(datetime.fromtimestamp(1005.0, UTC))
    assert told == [1000.0]
