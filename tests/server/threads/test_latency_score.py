"""When the leader hands over before it runs a request."""

from dewar.server.threads.latency_score import LatencyScore


def test_one_slow_request_changes_nothing() -> None:
    """A rare slow one is left to the watchdog."""
    latency = LatencyScore()
    latency.note_slow()
    assert not latency.is_slow


def test_slow_requests_in_short_order_make_it_slow_and_quick_ones_undo_it() -> None:
    """Both changes of mind come within a bounded number of requests."""
    latency = LatencyScore()
    for _ in range(1000):
        latency.note_slow()
    assert latency.is_slow
    quick = 0
    while latency.is_slow:
        latency.note_quick()
        quick += 1
    assert quick <= 200
    assert "quick" in repr(latency)


def test_one_slow_request_in_fifty_is_not_worth_handing_over() -> None:
    """Handing over would cost the other forty-nine more than it saves."""
    latency = LatencyScore()
    for _ in range(200):
        latency.note_slow()
        latency.note_quick(49)
    assert not latency.is_slow


def test_one_slow_request_in_ten_is() -> None:
    """The score drifts up from one in about thirty."""
    latency = LatencyScore()
    for _ in range(200):
        latency.note_slow()
        latency.note_quick(9)
    assert latency.is_slow
