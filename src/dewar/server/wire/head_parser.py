"""A complete head as an environ: the request line, the fields, and the Host (RFC 9112 §3)."""

from dewar.server.errors import Refusal
from dewar.server.wire.errors import BAD_REQUEST
from dewar.server.wire.field_parser import FieldParser
from dewar.server.wire.head import FieldNames, check_host, check_line_length, parse_line
from dewar.server.wire.limits import Limits
from dewar.server.wire.request import Environ


class HeadParser:
    """Parses the heads of one connection.

    Args:
        base: The environ keys that every request of this connection has.
        names: The server's memo of request lines.
        limits: The limits of a request.
        field_parser: Parses the fields.

    Attributes:
        http11: Whether the last head was one of HTTP/1.1.
    """

    __slots__ = ("_base", "_field_parser", "_host", "_limits", "_lines", "_max_line", "http11")

    def __init__(
        self, base: Environ, names: FieldNames, limits: Limits, field_parser: FieldParser
    ) -> None:
        self._base = base
        self._lines = names.lines
        self._limits = limits
        self._max_line = limits.request_line
        self._field_parser = field_parser
        self._host = "\0"  # equal to no valid Host
        self.http11 = True

    def __repr__(self) -> str:
        return f"<HeadParser, last Host {self._host!r}>"

    def parse(self, data: bytes, pos: int, line_end: int, end: int) -> Environ:
        """Return the environ of the head that begins at *pos*.

        Args:
            data: The bytes that contain the head.
            pos: Where it begins.
            line_end: Where the CRLF of its request line begins.
            end: Where the CRLF before its empty line begins.

        Raises:
            Refusal: It is malformed or exceeds a limit.
        """
        if line_end - pos > self._max_line:
            check_line_length(data, pos, line_end, self._limits)
        line = data[pos:line_end]
        authority, http11 = None, True
        parts = self._lines.known.get(line)
        if parts is None:
            parts, authority, http11 = parse_line(line)
            self._lines.note(line, parts)
        environ = self._base.copy()
        self._field_parser.parse(environ, data, line_end, end)
        environ.update(parts)
        self.http11 = http11
        host = environ.get("HTTP_HOST")
        if host != self._host or host is None:
            self._check_host(host)
        if authority is not None:
            environ["HTTP_HOST"] = authority  # RFC 9112 §3.2.2: it replaces the Host field
        if not http11:
            environ["SERVER_PROTOCOL"] = "HTTP/1.0"
        return environ

    def _check_host(self, host: str | None) -> None:
        if host is not None:
            check_host(host)
            self._host = host
        elif self.http11:
            raise Refusal(BAD_REQUEST, "A request in HTTP/1.1 needs a Host field.")
