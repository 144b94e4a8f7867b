"""`select_fairly`: which clients go first if many are ready at once."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dewar.server.connection.state import ConnectionState
from dewar.server.threads.leader_duties import select_fairly
from dewar.server.threads.poller import READ, WRITE


def connections(
    served: dict[int, int], state: ConnectionState = ConnectionState.IDLE
) -> dict[int, Any]:
    """Connections by descriptor that have been served so often."""
    return {
        fd: SimpleNamespace(served=count, state=state, since=0.0) for fd, count in served.items()
    }


def test_clients_that_were_served_go_before_new_ones_and_listeners_come_last() -> None:
    """So that a flood of new clients does not delay the others."""
    events = [(fd, READ) for fd in (1, *range(100, 300), 7)]
    turn = select_fairly(events, connections(dict.fromkeys(range(100, 300), 0) | {7: 3}))
    assert turn[0] == (7, READ)
    assert turn[-1] == (1, READ)
    assert 1 < len(turn) < 100


def test_one_that_asks_often_goes_before_thousands_that_ask_seldom() -> None:
    """It asks for one thing after the other; they ask all at once."""
    events = [(fd, READ) for fd in range(5001)]
    turn = select_fairly(events, connections(dict.fromkeys(range(5000), 2) | {5000: 800}))
    assert turn[0] == (5000, READ)
    assert len(turn) < 500


@given(
    st.integers(1, 600),
    st.dictionaries(st.integers(1000, 2000), st.integers(0, 5), max_size=400),
)
def test_each_ready_connection_has_its_turn_within_a_few_rounds(
    count: int, served: dict[int, int]
) -> None:
    """The poller reports all of them, each time in the same order, and other clients as well."""
    waiting = connections(dict.fromkeys(range(count), 9), ConnectionState.READY)
    events = [*((fd, WRITE) for fd in waiting), *((fd, READ) for fd in served)]
    had_turn: set[int] = set()
    for now in range(1, 11):
        turn = select_fairly(events, waiting | connections(served))
        chosen = {fd for fd, mask in turn if mask == WRITE}
        assert not served or len(turn) > len(chosen)
        for fd in chosen:
            waiting[fd].since = float(now)
        had_turn |= chosen
    assert had_turn == set(waiting)


@given(st.dictionaries(st.integers(0, 2000), st.integers(0, 5), max_size=400), st.integers(0, 3))
def test_no_event_is_lost_or_doubled_and_all_kinds_have_their_turn(
    served: dict[int, int], others: int
) -> None:
    """The poller reports the rest again, and some of each kind are handled."""
    events = [(fd, READ) for fd in [*served, *range(3000, 3000 + others)]]
    turn = select_fairly(events, connections(served))
    assert len(set(turn)) == len(turn)
    assert set(turn) <= set(events)
    for kind in (
        lambda fd: not served.get(fd, 1),
        lambda fd: served.get(fd),
        lambda fd: fd >= 3000,
    ):
        if any(kind(fd) for fd, _ in events):
            assert any(kind(fd) for fd, _ in turn)
    seldom = [event for event in events if served.get(event[0]) == 1]
    if len(seldom) == 1 and len(events) < 150:
        assert seldom[0] in turn
