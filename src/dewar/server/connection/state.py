"""What a connection is doing, and what may follow."""

from enum import Enum


class ConnectionState(Enum):
    """One connection's state. The leader owns a connection in all but RUNNING and SUSPENDED."""

    HANDSHAKE = "the PROXY header or the TLS handshake has yet to end"
    IDLE = "between requests"
    HEAD = "a part of a head has come"
    BODY = "a part of a body has come"
    RUNNING = "a thread is inside the application for it"
    SUSPENDED = "the application waits on the event loop"
    FLUSHING = "the client has yet to take the rest of a response, or of our part of a handshake"
    LINGERING = "all is sent and our side shut; waiting for the client to see it"
    CLOSED = "done"


# LINGERING is RFC 9112 §9.6: closing while unread input waits makes the kernel reset the
# connection, and the client may lose the very response that says why.
TRANSITIONS: dict[ConnectionState, frozenset[ConnectionState]] = {
    ConnectionState.HANDSHAKE: frozenset(
        {
            ConnectionState.IDLE,
            ConnectionState.RUNNING,
            ConnectionState.FLUSHING,
            ConnectionState.LINGERING,
            ConnectionState.CLOSED,
        }
    ),
    ConnectionState.IDLE: frozenset(
        {
            ConnectionState.HEAD,
            ConnectionState.BODY,
            ConnectionState.RUNNING,
            ConnectionState.FLUSHING,
            ConnectionState.LINGERING,
            ConnectionState.CLOSED,
        }
    ),
    ConnectionState.HEAD: frozenset(
        {
            ConnectionState.BODY,
            ConnectionState.RUNNING,
            ConnectionState.FLUSHING,
            ConnectionState.LINGERING,
            ConnectionState.CLOSED,
        }
    ),
    ConnectionState.BODY: frozenset(
        {
            ConnectionState.RUNNING,
            ConnectionState.FLUSHING,
            ConnectionState.LINGERING,
            ConnectionState.CLOSED,
        }
    ),
    ConnectionState.RUNNING: frozenset(
        {
            ConnectionState.IDLE,
            ConnectionState.HEAD,
            ConnectionState.BODY,
            ConnectionState.SUSPENDED,
            ConnectionState.FLUSHING,
            ConnectionState.LINGERING,
            ConnectionState.CLOSED,
        }
    ),
    ConnectionState.SUSPENDED: frozenset({ConnectionState.RUNNING, ConnectionState.CLOSED}),
    ConnectionState.FLUSHING: frozenset(
        {
            ConnectionState.HANDSHAKE,
            ConnectionState.IDLE,
            ConnectionState.HEAD,
            ConnectionState.BODY,
            ConnectionState.RUNNING,
            ConnectionState.LINGERING,
            ConnectionState.CLOSED,
        }
    ),
    ConnectionState.LINGERING: frozenset({ConnectionState.CLOSED}),
    ConnectionState.CLOSED: frozenset(),
}
