"""`Request`: one complete request of a client."""

from typing import Any, Protocol

Environ = dict[str, Any]


class Closable(Protocol):
    """A body, for whoever has to give back what it holds."""

    def close(self) -> None:
        """Give it back."""


class Request:
    """One complete request, ready for an application."""

    __slots__ = ("body", "environ", "http11", "keep_alive")

    def __init__(
        self, environ: Environ, http11: bool, keep_alive: bool, body: Closable | None
    ) -> None:
        self.environ = environ
        self.http11 = http11
        self.keep_alive = keep_alive
        self.body = body

    def __repr__(self) -> str:
        environ = self.environ
        return f"<Request {environ['REQUEST_METHOD']} {environ['PATH_INFO']!r}>"
