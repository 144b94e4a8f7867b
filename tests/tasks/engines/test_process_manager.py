"""The thread that manages the child processes: when it starts a process again."""

from dewar.support.backoff import Backoff
from dewar.tasks.engines.processes.manager import MAX_STARTUP_FAILURES, startup_pause


def test_deaths_in_a_row_end_the_attempts() -> None:
    """Each pause is longer than the one before. The fourth death is the last."""
    backoff = Backoff(startup_pause)
    pauses = []
    for now in (10.0, 20.0, 30.0):
        backoff.note_failure(now)
        assert backoff.failures < MAX_STARTUP_FAILURES
        pauses.append(backoff.until - now)
    assert pauses == sorted(pauses)
    assert pauses[0] > 0
    backoff.note_failure(40.0)
    assert backoff.failures == MAX_STARTUP_FAILURES


def test_one_that_gets_ready_begins_the_count_anew() -> None:
    """The cause has been repaired."""
    backoff = Backoff(startup_pause)
    for _ in range(10):
        backoff.note_failure(1.0)
        backoff.note_success()
    assert backoff.failures == 0
    assert backoff.until == 0.0
