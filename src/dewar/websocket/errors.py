"""The errors of WebSockets."""

from collections.abc import Sequence

from dewar.errors import DewarError

# RFC 6455, section 7.4.1; 1005 is a close frame without a code.
_NORMAL = frozenset({1000, 1001, 1005})


class WebSocketError(DewarError):
    """The base class of the errors of WebSockets."""


class HandshakeError(WebSocketError, ValueError):
    """Raised if a request is no valid opening handshake (RFC 6455, section 4.2.1).

    It has what to answer: the `status`, 400 or 426, and the `headers` that go with it.
    """

    def __init__(
        self, message: str, status: int = 400, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = tuple(headers)


class WebSocketClosedError(WebSocketError, ConnectionError):
    """Raised by receiving and sending if the WebSocket is closed.

    It has the `code` and the `reason` of the close frame (RFC 6455, section 7.4). The code is 1006
    if the connection was lost without one, and 1005 if the frame had none.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        text = f"{code}, {reason!r}" if reason else str(code)
        super().__init__(f"The WebSocket is closed, with code {text}.")
        self.code = code
        self.reason = reason

    @property
    def is_normal(self) -> bool:
        """Whether the close was agreed on, and is no fault: code 1000, 1001 or none."""
        return self.code in _NORMAL


class WebSocketStateError(WebSocketError, RuntimeError):
    """Raised for a call that the WebSocket cannot do now, such as a second accept()."""


class WebSocketLoopError(WebSocketStateError):
    """Raised for a call on another event loop than the one on which the WebSocket was accepted."""

    def __init__(self, call: str) -> None:
        super().__init__(
            f"{call} was called on another event loop than that of the WebSocket. From a thread"
            " write: app.ensure_sync(ws.send)(message), or hand the coroutine to the loop with"
            " asyncio.run_coroutine_threadsafe(ws.send(message), loop)"
        )


class WebSocketValueError(WebSocketError, ValueError):
    """Raised for an argument or a setting that cannot be, such as the close code 1006."""


class WebSocketTypeError(WebSocketError, TypeError):
    """Raised for a message that is neither str nor bytes."""

    def __init__(self, message: object) -> None:
        super().__init__(
            f"send() takes str or bytes, and not {type(message).__name__}. For JSON use"
            " send_json(value)."
        )


class WebSocketLibraryError(WebSocketError, ImportError):
    """Raised if the library for the frames is not installed."""

    def __init__(self) -> None:
        super().__init__("WebSockets need one more library: pip install 'dewar-web[websocket]'")
