"""What a connection is doing, and what may follow."""

from enum import Enum


class State(Enum):
    """One connection's state. The leader owns a connection in all but RUNNING and SUSPENDED."""

    GREETING = "the PROXY header or the TLS handshake has yet to end"
    IDLE = "between requests"
    HEAD = "a part of a head has come"
    BODY = "a part of a body has come"
    RUNNING = "a thread is inside the application for it"
    SUSPENDED = "the application waits on the event loop"
    FLUSHING = "the client has yet to take the rest of a response, or of our part of a greeting"
    LINGERING = "all is sent and our side shut; waiting for the client to see it"
    CLOSED = "done"


# LINGERING is RFC 9112 §9.6: closing while unread input waits makes the kernel reset the
# connection, and the client may lose the very response that says why.
MOVES: dict[State, frozenset[State]] = {
    State.GREETING: frozenset(
        {State.IDLE, State.RUNNING, State.FLUSHING, State.LINGERING, State.CLOSED}
    ),
    State.IDLE: frozenset(
        {State.HEAD, State.BODY, State.RUNNING, State.FLUSHING, State.LINGERING, State.CLOSED}
    ),
    State.HEAD: frozenset(
        {State.BODY, State.RUNNING, State.FLUSHING, State.LINGERING, State.CLOSED}
    ),
    State.BODY: frozenset({State.RUNNING, State.FLUSHING, State.LINGERING, State.CLOSED}),
    State.RUNNING: frozenset(
        {
            State.IDLE,
            State.HEAD,
            State.BODY,
            State.SUSPENDED,
            State.FLUSHING,
            State.LINGERING,
            State.CLOSED,
        }
    ),
    State.SUSPENDED: frozenset({State.RUNNING, State.CLOSED}),
    State.FLUSHING: frozenset(
        {
            State.GREETING,
            State.IDLE,
            State.HEAD,
            State.BODY,
            State.RUNNING,
            State.LINGERING,
            State.CLOSED,
        }
    ),
    State.LINGERING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
