"""When the leader hands over before it runs a request."""

from dewar.server.threads.pace import Pace


def test_one_slow_request_changes_nothing() -> None:
    """A rare slow one is left to the watchdog."""
    pace = Pace()
    pace.note_slow()
    assert not pace.is_slow


def test_slow_requests_in_short_order_make_it_slow_and_quick_ones_undo_it() -> None:
    """Both changes of mind come within a bounded number of requests."""
    pace = Pace()
    for _ in range(1000):
        pace.note_slow()
    assert pace.is_slow
    quick = 0
    while pace.is_slow:
        pace.note_quick()
        quick += 1
    assert quick <= 200
    assert "quick" in repr(pace)


def test_one_slow_request_in_fifty_is_not_worth_handing_over() -> None:
    """Handing over would cost the other forty-nine more than it saves."""
    pace = Pace()
    for _ in range(200):
        pace.note_slow()
        pace.note_quick(49)
    assert not pace.is_slow


def test_one_slow_request_in_ten_is() -> None:
    """The score drifts up from one in about thirty."""
    pace = Pace()
    for _ in range(200):
        pace.note_slow()
        pace.note_quick(9)
    assert pace.is_slow
