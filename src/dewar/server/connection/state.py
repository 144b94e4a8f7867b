"""The states of a connection, and the transitions between them."""

from enum import Enum


class ConnectionState(Enum):
    """One connection's state. The leader owns a connection in all but RUNNING and SUSPENDED."""

    HANDSHAKE = "the PROXY header or the TLS handshake is not complete"
    IDLE = "between requests"
    HEAD = "a part of a head was received"
    BODY = "a part of a body was received"
    READY = "a complete request waits for its turn, because others come first"
    UPGRADING = "a request for another protocol is to begin on the loop or on its own thread"
    RUNNING = "a thread runs the application for it"
    SUSPENDED = "the application waits on the event loop"
    FLUSHING = "the client has not taken all of a response, or of the handshake"
    LINGERING = "all is sent and the server's side shut; the client has not closed yet"
    CLOSED = "closed"


# LINGERING is RFC 9112 §9.6: closing while unread input
# waits makes the kernel reset the connection, and the client may lose the response that says why.
_ENDS = frozenset({ConnectionState.LINGERING, ConnectionState.CLOSED})
_READ_ENOUGH = _ENDS | {ConnectionState.RUNNING, ConnectionState.FLUSHING}
_READ_HEAD = _READ_ENOUGH | {ConnectionState.BODY, ConnectionState.UPGRADING}

TRANSITIONS: dict[ConnectionState, frozenset[ConnectionState]] = {
    ConnectionState.HANDSHAKE: _READ_ENOUGH | {ConnectionState.IDLE},
    ConnectionState.IDLE: _READ_HEAD | {ConnectionState.HEAD},
    ConnectionState.HEAD: _READ_HEAD,
    ConnectionState.BODY: _READ_ENOUGH,
    ConnectionState.READY: _READ_ENOUGH,
    ConnectionState.UPGRADING: _READ_ENOUGH | {ConnectionState.SUSPENDED},
    ConnectionState.RUNNING: _ENDS
    | {
        ConnectionState.IDLE,
        ConnectionState.HEAD,
        ConnectionState.BODY,
        ConnectionState.READY,
        ConnectionState.UPGRADING,
        ConnectionState.SUSPENDED,
        ConnectionState.FLUSHING,
    },
    ConnectionState.SUSPENDED: frozenset({ConnectionState.RUNNING, ConnectionState.CLOSED}),
    ConnectionState.FLUSHING: _ENDS
    | {
        ConnectionState.HANDSHAKE,
        ConnectionState.IDLE,
        ConnectionState.HEAD,
        ConnectionState.BODY,
        ConnectionState.UPGRADING,
        ConnectionState.RUNNING,
    },
    ConnectionState.LINGERING: frozenset({ConnectionState.CLOSED}),
    ConnectionState.CLOSED: frozenset(),
}
