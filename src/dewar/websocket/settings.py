"""`WebSocketSettings`: the limits and times of WebSockets, checked once."""

from dataclasses import dataclass, fields

from dewar.support.setting_values import maybe_expected
from dewar.websocket.errors import WebSocketValueError

#: The settings that can be switched off with None.
_OPTIONAL = frozenset({"ping_interval", "ping_timeout", "idle_timeout"})


@dataclass(frozen=True, kw_only=True, slots=True)
class WebSocketSettings:
    """The limits and times of WebSockets. Sizes are in bytes, times in seconds."""

    #: The longest message that is received, as it is after decompression. A longer one closes the
    #: WebSocket with code 1009. The library `websockets` has the same default.
    max_message_size: int = 2**20
    #: The time between two pings; None sends none.
    ping_interval: float | None = 20.0
    #: How long nothing may come from the client after a ping, before the connection counts as lost;
    #: None for as long as it takes.
    ping_timeout: float | None = 20.0
    #: How long no message may be sent or received, before the WebSocket is closed with code 1001;
    #: None for as long as it takes.
    idle_timeout: float | None = None
    #: How long closing may take, before the connection is cut.
    close_timeout: float = 10.0
    #: How many bytes of messages may wait to be received, before no more is read from the client.
    receive_high_water: int = 2**16
    #: How many bytes may wait to be sent, before send() waits.
    send_high_water: int = 2**16
    #: Whether messages are compressed if the client offers it (RFC 7692).
    compression: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name in _OPTIONAL:
                continue
            expected = maybe_expected(value, field.type)
            if expected is not None:
                or_none = ", or None" if field.name in _OPTIONAL else ""
                raise WebSocketValueError(f"{field.name}={value!r} should be {expected}{or_none}.")
