"""Whether the library for the frames is installed."""

from importlib.util import find_spec

from dewar.websocket.errors import WebSocketLibraryError


def check_library() -> None:
    """Raise an error that says what to install, unless WebSockets can be used.

    Raises:
        WebSocketLibraryError: If `websockets` is not installed.
    """
    if find_spec("websockets") is None:
        raise WebSocketLibraryError
