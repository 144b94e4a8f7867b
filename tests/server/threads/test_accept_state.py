"""What an acceptor may do, and when."""

import pytest

from dewar.server.threads.accept_state import MOVES, AcceptEvent, AcceptState


def test_the_table_speaks_of_every_state_and_every_event() -> None:
    """Nothing is left out, and no event is there that never counts."""
    assert set(MOVES) == set(AcceptState)
    assert {event for moves in MOVES.values() for event in moves} == set(AcceptEvent)


def test_every_state_can_be_reached() -> None:
    """From LISTENING, in which an acceptor begins."""
    reached = {AcceptState.LISTENING}
    while more := {after for state in reached for after in MOVES[state].values()} - reached:
        reached |= more
    assert reached == set(AcceptState)


@pytest.mark.parametrize("state", AcceptState)
def test_it_can_be_closed_at_any_time_and_for_good(state: AcceptState) -> None:
    """Nothing leads out of CLOSED."""
    assert MOVES[state][AcceptEvent.CLOSE] is AcceptState.CLOSED
    assert set(MOVES[AcceptState.CLOSED].values()) == {AcceptState.CLOSED}


@pytest.mark.parametrize("state", [state for state in AcceptState if state.name != "CLOSED"])
def test_whatever_keeps_it_from_listening_passes(state: AcceptState) -> None:
    """Two events at most bring it back to LISTENING."""
    soon = {state, *MOVES[state].values()}
    later = {after for next_one in soon for after in MOVES[next_one].values()}
    assert AcceptState.LISTENING in soon | later


def test_a_pause_and_a_standby_are_kept_apart() -> None:
    """Whichever comes first, and whichever ends first."""
    paused = MOVES[AcceptState.LISTENING][AcceptEvent.EXHAUST]
    standby = MOVES[AcceptState.LISTENING][AcceptEvent.STEP_BACK]
    both = MOVES[paused][AcceptEvent.STEP_BACK]
    assert both is MOVES[standby][AcceptEvent.EXHAUST]
    assert MOVES[both][AcceptEvent.RESUME] is standby
    assert MOVES[both][AcceptEvent.STEP_FORWARD] is paused
