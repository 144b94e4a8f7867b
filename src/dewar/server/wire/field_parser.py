"""The fields of a head, as keys of the environ (RFC 9112 §5).

llhttp (httptools, in its strict mode) splits them. It is given one whole head at a time, with a
fixed request line in front.
"""

import httptools

from dewar.server.errors import Refusal
from dewar.server.wire import errors
from dewar.server.wire.head import FieldNames
from dewar.server.wire.limits import Limits
from dewar.server.wire.partial_head import LEAST_FIELD, check_field_count, check_fields_size
from dewar.server.wire.request import Environ

# llhttp reads this in place of the real line: it would refuse methods that it does not know, and
# measure the body by the version.
_PLACEHOLDER_LINE = b"GET / HTTP/1.1"
# llhttp reports this after all fields, and it is checked here instead: llhttp does not allow a tab
# after a value.
_BAD_CODING = "Request has invalid `Transfer-Encoding`"
# llhttp reads Proxy-Connection, which is no field of HTTP (RFC 9112 §C.2.2), and takes nothing
# more after a "close" in it.
_CLOSED = "Data after `Connection: close`"
# Replaces a parser that is not needed any more. Nothing is ever fed to it.
_DETACHED_PARSER = httptools.HttpRequestParser(None)


class FieldParser:
    """Puts the fields of one connection's heads into their environs.

    Args:
        names: The server's memo of field names.
        limits: The limits of a head.

    Attributes:
        parser: llhttp. It and this object refer to each other until `detach`: it calls `on_header`.
    """

    __slots__ = (
        "_environ", "_keys", "_limits", "_max_bytes", "_max_bytes_uncounted", "_names", "parser",
    )  # fmt: skip

    def __init__(self, names: FieldNames, limits: Limits) -> None:
        self._names = names
        self._keys = names.keys
        self._limits = limits
        self._max_bytes = limits.header_bytes
        # So few bytes cannot hold too many fields, and need not be counted.
        self._max_bytes_uncounted = LEAST_FIELD * limits.header_count
        self._environ: Environ = {}
        self.parser = httptools.HttpRequestParser(self)

    def __repr__(self) -> str:
        return f"<FieldParser {len(self._keys)} names known>"

    def parse(self, environ: Environ, data: bytes, line_end: int, end: int) -> None:
        """Put the fields of a head into *environ*; see `check_fields_size` for the arguments.

        Raises:
            Refusal: The fields are malformed or exceed a limit.
        """
        self._environ = environ
        size = end - line_end
        if size > self._max_bytes:
            check_fields_size(data, line_end, end, self._limits)
        if size > self._max_bytes_uncounted:
            check_field_count(data, line_end, end, self._limits)
        is_closed = False
        try:
            self.parser.feed_data(_PLACEHOLDER_LINE + data[line_end : end + 4])
        except (httptools.HttpParserUpgrade, httptools.HttpParserError) as error:
            is_closed = self._replace_after(error)
        if is_closed:
            self.parse(environ, data, line_end, end)

    def take_body(self, content: bytes | None) -> None:
        """Have llhttp expect a head again, after one with a body.

        Args:
            content: The body, if it has the Content-Length of the head. PERF: llhttp skips it in
                less time than a new parser takes.
        """
        # After an upgrade the parser is a new one, and would take the body for a head.
        is_expected = "HTTP_UPGRADE" not in self._environ
        self._environ = {}
        if content is not None and is_expected:
            self.parser.feed_data(content)
        else:
            self.parser = httptools.HttpRequestParser(self)

    def detach(self) -> None:
        """Release the parser and the environ; nothing is parsed any more."""
        self.parser = _DETACHED_PARSER
        self._environ = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one field; llhttp calls this."""
        try:
            key = self._keys[name]
        except KeyError:
            key = self._names.learn(name)
        environ = self._environ
        if key is None or key in environ:
            self._merge(key, value)
        else:
            environ[key] = value.decode("latin-1").rstrip(" \t")

    def _merge(self, key: str | None, value: bytes) -> None:
        """Take a repeated field, or one that the application does not see."""
        if key is None:
            return
        # Two Host fields make an invalid one: a host has no comma and no space (RFC 9112 §3.2).
        separator = "; " if key == "HTTP_COOKIE" else ", "
        self._environ[key] += separator + value.decode("latin-1").rstrip(" \t")

    def _replace_after(self, error: Exception) -> bool:
        """Make a new parser; return whether the old one ignored the head.

        Raises:
            Refusal: It found an error in the head.
        """
        if isinstance(error, httptools.HttpParserCallbackError):
            raise error  # an error in this file, not the client's
        self.parser = httptools.HttpRequestParser(self)
        reason = str(error)
        # The server declines an upgrade by continuing in HTTP/1.1 (RFC 9110 §7.8), while the parser
        # takes all that follows for another protocol.
        upgrade = isinstance(error, httptools.HttpParserUpgrade)
        if not upgrade and reason not in (_CLOSED, _BAD_CODING):
            raise Refusal(errors.BAD_REQUEST, f"{reason}.") from None
        return reason == _CLOSED
