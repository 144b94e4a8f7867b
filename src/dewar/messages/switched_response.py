"""`SwitchedResponse`: stands for the 101 of a WebSocket, which has been sent already."""

import errno
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from dewar.environ_keys import UPGRADE
from dewar.messages.response import Response


class SwitchedResponse(Response):
    """What the app returns to the server when a WebSocket has ended."""

    def __init__(self) -> None:
        super().__init__(status=101)
        del self.headers["Content-Type"]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Have the server send nothing more."""
        result = super().__call__(environ, start_response)
        if UPGRADE not in environ:
            return _ClientGone(result)
        # PERF: without anything to close, which may block, the end needs no thread. Thousands may
        # come at once.
        return result if self._on_close else ()


class _ClientGone:
    """A body for a server that does not know that the connection is not its own any more.

    With this error every server ends a connection without sending anything: its client has gone.
    """

    def __init__(self, result: Iterable[bytes]) -> None:
        self._result = result

    def __iter__(self) -> "_ClientGone":
        return self

    def __next__(self) -> bytes:
        raise BrokenPipeError(errno.EPIPE, "The WebSocket has ended")

    def close(self) -> None:
        """Close the response."""
        close = getattr(self._result, "close", None)
        if close is not None:
            close()
