"""What an acceptor is doing, and what may follow.

Two things keep a process from accepting, each for its own time: the system has nothing more to
give, or another process should have the next clients. Both can hold at once, so this table goes by
what happens and not by the state that follows.
"""

from enum import Enum


class AcceptState(Enum):
    """One acceptor's state. The poller reports new connections in LISTENING alone."""

    LISTENING = "takes new connections"
    YIELDING = "leaves the next client to another process for a moment"
    PAUSED = "waits until the system has something to give again"
    STANDBY = "no thread is free: takes only those whom no other process takes"
    STANDBY_PAUSED = "both of the last two"
    CLOSED = "has closed the listeners"


class AcceptEvent(Enum):
    """What moves an acceptor from one state to another."""

    YIELD = "another process should have the next client"
    RETURN = "the moment that it was given is over"
    EXHAUST = "the system has no descriptor or no memory left"
    RESUME = "the pause after that is over"
    STEP_BACK = "all threads of this process are busy"
    STEP_FORWARD = "a thread is free again"
    CLOSE = "the listeners are closed"


_LISTENING, _YIELDING = AcceptState.LISTENING, AcceptState.YIELDING
_PAUSED, _CLOSED = AcceptState.PAUSED, AcceptState.CLOSED
_STANDBY, _STANDBY_PAUSED = AcceptState.STANDBY, AcceptState.STANDBY_PAUSED

# Where an event changes nothing it is one that can come late or twice: of several listeners that
# are ready at once, each may yield or find the system exhausted; a leader that failed halfway
# begins anew; and a pool that ends has a leader until its end.
MOVES: dict[AcceptState, dict[AcceptEvent, AcceptState]] = {
    _LISTENING: {
        AcceptEvent.YIELD: _YIELDING,
        AcceptEvent.EXHAUST: _PAUSED,
        AcceptEvent.STEP_BACK: _STANDBY,
        AcceptEvent.CLOSE: _CLOSED,
    },
    _YIELDING: {
        AcceptEvent.YIELD: _YIELDING,
        AcceptEvent.RETURN: _LISTENING,
        AcceptEvent.EXHAUST: _PAUSED,
        AcceptEvent.STEP_BACK: _STANDBY,
        AcceptEvent.CLOSE: _CLOSED,
    },
    _PAUSED: {
        AcceptEvent.EXHAUST: _PAUSED,
        AcceptEvent.RESUME: _LISTENING,
        AcceptEvent.STEP_BACK: _STANDBY_PAUSED,
        AcceptEvent.CLOSE: _CLOSED,
    },
    _STANDBY: {
        AcceptEvent.EXHAUST: _STANDBY_PAUSED,
        AcceptEvent.STEP_BACK: _STANDBY,
        AcceptEvent.STEP_FORWARD: _LISTENING,
        AcceptEvent.CLOSE: _CLOSED,
    },
    _STANDBY_PAUSED: {
        AcceptEvent.EXHAUST: _STANDBY_PAUSED,
        AcceptEvent.RESUME: _STANDBY,
        AcceptEvent.STEP_BACK: _STANDBY_PAUSED,
        AcceptEvent.STEP_FORWARD: _PAUSED,
        AcceptEvent.CLOSE: _CLOSED,
    },
    _CLOSED: {
        AcceptEvent.STEP_BACK: _CLOSED,
        AcceptEvent.STEP_FORWARD: _CLOSED,
        AcceptEvent.CLOSE: _CLOSED,
    },
}
