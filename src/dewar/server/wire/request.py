"""`WireRequest`: one complete request of a client."""

from typing import Any, Protocol

Environ = dict[str, Any]


class Body(Protocol):
    """What an application reads a body from, for whoever has to give back what it holds."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most *size* bytes, or all."""

    def close(self) -> None:
        """Give it back."""


class WireRequest:
    """One complete request, ready for an application.

    Attributes:
        environ: The application's, to change as it likes.
        http11: Whether the client speaks HTTP/1.1.
        keep_alive: Whether the connection can go on after it.
        body: What the application reads it from, or None where it has none.
        method: As it came. Middleware may put another one into the environ, and the client would
            not know.
        target: As it came.
    """

    __slots__ = ("body", "environ", "http11", "keep_alive", "method", "target")

    def __init__(self, environ: Environ, http11: bool, keep_alive: bool, body: Body | None) -> None:
        self.environ = environ
        self.http11 = http11
        self.keep_alive = keep_alive
        self.body = body
        self.method: str = environ["REQUEST_METHOD"]
        self.target: str = environ["REQUEST_URI"]

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target!r}>"
