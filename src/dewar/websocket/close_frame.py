"""What a program may put into a close frame (RFC 6455, sections 5.5.1 and 7.4)."""

from dewar.websocket.errors import WebSocketValueError

# 1004 is reserved; 1005, 1006 and 1015 stand for frames that never came.
_CODES = frozenset({*range(1000, 1015)} - {1004, 1005, 1006})
_LONGEST = 123


def check_close(code: object, reason: object) -> None:
    """Raise an error unless a close frame may have the code and the reason.

    Raises:
        WebSocketValueError: If it may not.
    """
    if not isinstance(code, int) or (code not in _CODES and not 3000 <= code <= 4999):
        raise WebSocketValueError(
            f"close(code={code!r}) cannot be sent. Use 1000, or a code of your own from 4000 to"
            " 4999: ws.close(4001, 'reason')"
        )
    if not isinstance(reason, str):
        raise WebSocketValueError(f"close(reason={reason!r}) is no text.")
    if len(reason.encode()) > _LONGEST:
        raise WebSocketValueError(
            f"close(reason={reason!r}) is longer than {_LONGEST} bytes. Send the text as a message"
            " first."
        )
