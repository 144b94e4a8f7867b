"""The formats of a line in the access log: Combined and JSON. No I/O.

Text from a client cannot end a line or a quoted part, and has no control characters that would
affect a terminal (CWE-117). Authorization, Cookie and other fields are never in a line.
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _json

from dewar.server.wire.request import Environ, WireRequest
from dewar.support.redaction import without_secrets

#: Makes a line from: the environ, the request or None if it could not be parsed, the status line,
#: the bytes sent, the duration in seconds, the time.
Format = Callable[[Environ, WireRequest | None, str, int, float, float], str]

_SAFE = re.compile(r"[ !#-\[\]-~]*").fullmatch
# PERF: all others, which is compiled a hundred times faster than their ranges.
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")
# A value without quotes ends at a space.
_SAFE_BARE = re.compile(r"[!#-\[\]-~]+").fullmatch
_UNSAFE_BARE = re.compile(r"[^!#-\[\]-~]")
# PERF: parts that most lines have in common are kept, the latest of each.
_MEMO_SIZE = 512
_NO_REQUEST = '"method":null,"path":null,"query":null,"protocol":null'
# Not from strftime, which uses the locale of the process.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def line_format(name: str) -> Format:
    """Return the format *name*, ``"combined"`` or ``"json"``."""
    # PERF: a method, because the call of an object takes more time.
    return JsonFormat().line if name == "json" else CombinedFormat().line


class CombinedFormat:
    """Apache's ``%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"``."""

    __slots__ = ("_clock", "_line", "_quoted", "_word")

    def __init__(self) -> None:
        self._clock = LogClock()
        self._line = lru_cache(_MEMO_SIZE)(_request_line)
        self._word = lru_cache(_MEMO_SIZE)(_bare)
        self._quoted = lru_cache(_MEMO_SIZE)(_quotable)

    def line(
        self,
        environ: Environ,
        request: WireRequest | None,
        status: str,
        sent: int,
        _duration: float,
        now: float,
    ) -> str:
        """Return a line."""
        # PERF: a call of an attribute that is no method is slower than one of a local name.
        get, word, quoted, line_of = environ.get, self._word, self._quoted, self._line
        line = "-"
        if request is not None:
            line = line_of(request.method, request.target, request.http11)
        referer = get("HTTP_REFERER")
        agent = get("HTTP_USER_AGENT")
        user = get("REMOTE_USER")
        return (
            f"{word(str(get('REMOTE_ADDR') or '-'))} - {word(str(user)) if user else '-'}"
            f' [{self._clock.common(now)}] "{line}" {status[:3]} {sent or "-"}'
            f' "{_quotable(without_secrets(str(referer))) if referer else "-"}"'
            f' "{quoted(str(agent)) if agent else "-"}"'
        )


class JsonFormat:
    """One JSON object per line; unknown values are null."""

    __slots__ = ("_clock", "_text", "_what")

    def __init__(self) -> None:
        self._clock = LogClock()
        self._what = lru_cache(_MEMO_SIZE)(_request_members)
        self._text = lru_cache(_MEMO_SIZE)(_text)

    def line(
        self,
        environ: Environ,
        request: WireRequest | None,
        status: str,
        sent: int,
        duration: float,
        now: float,
    ) -> str:
        """Return a line."""
        get, text, members = environ.get, self._text, self._what  # PERF: as above
        what = _NO_REQUEST
        if request is not None:
            what = members(request.method, request.target, request.http11)
        referer = get("HTTP_REFERER")
        request_id = get("HTTP_X_REQUEST_ID")
        tail = f',"request_id":{_value(request_id)}' if request_id else ""
        return (
            f'{{"time":"{self._clock.iso(now)}","remote_addr":{text(str(get("REMOTE_ADDR") or ""))}'
            f',{what},"status":{status[:3]}'
            f',"bytes":{sent},"duration_ms":{duration * 1000:.3f}'
            f',"referer":{_value(without_secrets(str(referer))) if referer else "null"}'
            f',"user_agent":{text(str(get("HTTP_USER_AGENT") or ""))}{tail}}}'
        )


class LogClock:
    """Formats times, once per second; safe for any thread."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        # One tuple, so that no thread combines the text of one second with the number of another.
        self._latest = (-1, "", "", "")

    def __repr__(self) -> str:
        return f"<LogClock {self._latest[1]}>"

    def common(self, now: float) -> str:
        """Return ``10/Oct/2000:13:55:36 -0700``, the inside of Apache's ``%t``."""
        latest = self._latest
        return latest[1] if latest[0] == int(now) else self._at(now)[1]

    def iso(self, now: float) -> str:
        """Return ``2000-10-10T13:55:36.042-07:00`` (ISO 8601)."""
        _, _, second, offset = self._at(now)
        return f"{second}.{int(now * 1000) % 1000:03d}{offset}"

    def _at(self, now: float) -> tuple[int, str, str, str]:
        latest = self._latest
        if latest[0] == int(now):
            return latest
        local = time.localtime(now)
        zone = time.strftime("%z", local)
        month = _MONTHS[local.tm_mon - 1]
        common = time.strftime(f"%d/{month}/%Y:%H:%M:%S {zone}", local)
        second = time.strftime("%Y-%m-%dT%H:%M:%S", local)
        latest = self._latest = (int(now), common, second, f"{zone[:3]}:{zone[3:]}")
        return latest


def request_line(request: WireRequest) -> str:
    """Return the request line for a quoted part of a log line, without secrets."""
    return _request_line(request.method, request.target, request.http11)


def _request_line(method: str, target: str, http11: bool) -> str:
    return _quotable(f"{method} {without_secrets(target)} {_protocol(http11)}")


def _request_members(method: str, target: str, http11: bool) -> str:
    path, _, query = without_secrets(target).partition("?")
    return (
        f'"method":{_value(method)},"path":{_value(path)},"query":{_value(query)}'
        f',"protocol":"{_protocol(http11)}"'
    )


def _protocol(http11: bool) -> str:
    return "HTTP/1.1" if http11 else "HTTP/1.0"


def _quotable(text: str) -> str:
    # PERF: takes half the time of a search for unsafe characters.
    return text if _SAFE(text) else _UNSAFE.sub(_escaped, text)


def _bare(text: str) -> str:
    return text if _SAFE_BARE(text) else _UNSAFE_BARE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    """Return a character escaped as in Apache's log."""
    character = found[0]
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    # Characters above 0xFF do not come from a request, only from an application.
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{{{code:x}}}"


def _value(value: object) -> str:
    """Return *value* as JSON; "" and None are null."""
    return _text(str(value or ""))


def _text(text: str) -> str:
    if not text:
        return "null"
    if not text.isascii():
        text = _decoded(text)
    return _json(text).replace("\x7f", "\\u007f")


def _decoded(text: str) -> str:
    """Return *text*, bytes decoded as latin-1 (PEP 3333), decoded as UTF-8 if it is valid."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
