"""One case of the corpus: raw bytes, and what RFC 9112 has a server make of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
AFTER = b"GET /after HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


class Seen(NamedTuple):
    """A request as the application sees it."""

    method: str
    target: str
    path: str
    query: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Case:
    """Bytes and their outcome.

    Attributes:
        name: What is tried.
        section: Where the rule stands.
        data: What the client sends.
        requests: What the application is given.
        refusal: The status that ends the connection, or None.
        closes: Whether the connection ends without a fault, after the last request.
        waits: Whether there is a part of a message left over that may still become one.
        may: What the RFC allows too, as other lists of requests (each with or without a refusal
            after it); it counts for other servers, never for us.
        may_wait: Whether a server may also wait for more, since it has no such limit; for others.
        may_refuse: Whether a server may refuse what is accepted here; counts for others too.
        framing: Whether two opinions about it let a request be smuggled.
        limited: Whether it is about a limit, which each server has its own of.
    """

    name: str
    section: str
    data: bytes
    requests: tuple[Seen, ...] = ()
    refusal: int | None = None
    closes: bool = False
    waits: bool = False
    may: tuple[tuple[Seen, ...], ...] = ()
    may_wait: bool = False
    may_refuse: bool = False
    framing: bool = False
    limited: bool = False


def saw(method: str = "GET", target: str = "/", body: bytes = b"", path: str | None = None) -> Seen:
    """Return a request; path and query are those of a target without escapes, if left out."""
    first, _, query = target.partition("?")
    return Seen(method, target, first if path is None else path, query, body)


def get(target: bytes = b"/", fields: bytes = b"Host: x\r\n", version: bytes = b"1.1") -> bytes:
    """Return a GET."""
    return b"GET %b HTTP/%b\r\n%b\r\n" % (target, version, fields)


def post(fields: bytes, body: bytes = b"") -> bytes:
    """Return a POST with a Host."""
    return b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n%b" % (fields, body)


def chunked(body: bytes) -> bytes:
    """Return a POST with a chunked body."""
    return post(CHUNKED, body)


class Section:
    """Collects the cases of one section."""

    def __init__(self, section: str, framing: bool = False, limited: bool = False) -> None:
        self.cases: list[Case] = []
        self._section = section
        self._framing = framing
        self._limited = limited

    def good(
        self,
        name: str,
        data: bytes,
        *requests: Seen,
        closes: bool = False,
        waits: bool = False,
        may_refuse: bool = False,
    ) -> None:
        """Add what is served."""
        self.cases.append(
            Case(
                name=name,
                section=self._section,
                data=data,
                requests=requests,
                closes=closes,
                waits=waits,
                may_refuse=may_refuse,
                framing=self._framing,
                limited=self._limited,
            )
        )

    def bad(
        self,
        name: str,
        data: bytes,
        refusal: int = 400,
        before: Iterable[Seen] = (),
        may: Iterable[Iterable[Seen]] = (),
        may_wait: bool = False,
        framing: bool | None = None,
    ) -> None:
        """Add what is refused, after the requests *before* it."""
        self.cases.append(
            Case(
                name=name,
                section=self._section,
                data=data,
                requests=tuple(before),
                refusal=refusal,
                may=tuple(tuple(requests) for requests in may),
                may_wait=may_wait,
                framing=self._framing if framing is None else framing,
                limited=self._limited,
            )
        )
