"""`WebSocketState`: how far a WebSocket has come."""

from enum import Enum


class WebSocketState(Enum):
    """The states of a WebSocket, in their order (RFC 6455, sections 4.1 and 7.1)."""

    CONNECTING = "the handshake is not answered yet"
    OPEN = "messages can be sent and received"
    CLOSING = "a close frame was sent"
    CLOSED = "the connection is closed"
