"""The formats of a line in the access log: Combined and JSON. No I/O.

Text from a client cannot end a line or a quoted part, and has no control characters that would
affect a terminal (CWE-117). Authorization, Cookie and other fields are never in a line.
"""

import re
import time
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring_ascii as _json
from typing import Any

from dewar.server.wire.request import WireRequest
from dewar.support.redaction import without_secrets

#: What a line is made of: the time; the bytes sent; of the client, the address, user, Referer and
#: User-Agent; of the request, the method, the target, whether it is HTTP/1.1, and the status line,
#: all None but the last if it could not be parsed; the duration in seconds and the X-Request-ID,
#: which only a line in JSON has.
Record = tuple[float, int, tuple[str, ...], tuple[Any, ...], tuple[float, str]]
#: Makes lines. Raises an error of any kind if an application has set a value that is no text.
Format = Callable[[Iterable[Record]], list[str]]

_SAFE = re.compile(r"[ !#-\[\]-~]*").fullmatch
# PERF: all others, which is compiled a hundred times faster than their ranges.
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")
# A value without quotes ends at a space.
_SAFE_BARE = re.compile(r"[!#-\[\]-~]+").fullmatch
_UNSAFE_BARE = re.compile(r"[^!#-\[\]-~]")
# PERF: parts that many lines have in common are kept, by what they are made of.
_Memo = dict[tuple[Any, ...], tuple[str, ...]]
_MEMO_SIZE = 512
_LONGEST = 1024
_NO_REQUEST = '"method":null,"path":null,"query":null,"protocol":null'
# Not from strftime, which uses the locale of the process.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class CombinedFormat:
    """Apache's ``%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"``."""

    __slots__ = ("_clients", "_clock", "_requests")

    def __init__(self) -> None:
        self._clock = LogClock()
        self._clients: _Memo = {}
        self._requests: _Memo = {}

    def lines(self, records: Iterable[Record]) -> list[str]:
        """Return a line for each record."""
        clients, requests, lines = self._clients, self._requests, []
        since, until, time_text, _, _ = self._clock.latest
        for now, sent, client, request, _ in records:
            begin, end = clients.get(client) or _learn(clients, client, _client_parts)
            [part] = requests.get(request) or _learn(requests, request, _request_part)
            if not since <= now < until:
                since, until, time_text, _, _ = self._clock.at(now)
            lines.append(f"{begin}{time_text}{part}{sent or '-'}{end}")
        return lines


class JsonFormat:
    """One JSON object per line; unknown values are null."""

    __slots__ = ("_clients", "_clock", "_requests")

    def __init__(self) -> None:
        self._clock = LogClock()
        self._clients: _Memo = {}
        self._requests: _Memo = {}

    def lines(self, records: Iterable[Record]) -> list[str]:
        """Return a line for each record."""
        clients, requests, lines = self._clients, self._requests, []
        for now, sent, client, request, (duration, request_id) in records:
            address, tail = clients.get(client) or _learn(clients, client, _client_members)
            [members] = requests.get(request) or _learn(requests, request, _request_members)
            if request_id:
                tail += f',"request_id":{_value(request_id)}'
            _, _, _, second, zone = self._clock.at(now)
            lines.append(
                f'{{"time":"{second}.{int(now * 1000) % 1000:03d}{zone}","remote_addr":{address}'
                f',{members},"bytes":{sent},"duration_ms":{duration * 1000:.3f}{tail}}}'
            )
        return lines


class LogClock:
    """Formats times, once per second; safe for any thread.

    Attributes:
        latest: The latest second, as `at` returns it. PERF: a caller may look here first.
    """

    __slots__ = ("latest",)

    def __init__(self) -> None:
        # One tuple, so that no thread combines the text of one second with the bounds of another.
        self.latest = (0.0, 0.0, "", "", "")

    def __repr__(self) -> str:
        return f"<LogClock {self.latest[2]}>"

    def at(self, now: float) -> tuple[float, float, str, str, str]:
        """Return the second of a time.

        Returns:
            Its begin and its end. The inside of Apache's ``%t``, ``10/Oct/2000:13:55:36 -0700``.
            The two parts of the time in ISO 8601, before and after its fraction:
            ``2000-10-10T13:55:36`` and ``-07:00``.
        """
        latest = self.latest
        if latest[0] <= now < latest[1]:
            return latest
        local = time.localtime(now)
        zone = time.strftime("%z", local)
        month = _MONTHS[local.tm_mon - 1]
        common = time.strftime(f"%d/{month}/%Y:%H:%M:%S {zone}", local)
        iso = time.strftime("%Y-%m-%dT%H:%M:%S", local)
        since = float(now // 1)
        latest = self.latest = (since, since + 1, common, iso, f"{zone[:3]}:{zone[3:]}")
        return latest


def _learn(
    memo: _Memo, key: tuple[Any, ...], make: Callable[..., tuple[str, ...]]
) -> tuple[str, ...]:
    """Return what *make* makes of *key*, and keep it in *memo*; safe for any thread."""
    made = make(*key)
    if sum(map(len, made)) <= _LONGEST:
        if len(memo) >= _MEMO_SIZE:
            memo.clear()  # what is common is learned again at once
        memo[key] = made
    return made


def request_line(request: WireRequest) -> str:
    """Return the request line for a quoted part of a log line, without secrets."""
    return _request_line(request.method, request.target, request.http11)


def _client_parts(address: str, user: str, referer: str, agent: str) -> tuple[str, str]:
    """Return the begin of a Combined line, up to its time, and the end, after the size."""
    return (
        f"{_bare(address or '-')} - {_bare(user or '-')} [",
        f' "{_quotable(without_secrets(referer or "-"))}" "{_quotable(agent or "-")}"',
    )


def _request_part(method: str | None, target: str, http11: bool, status: str) -> tuple[str]:
    """Return what is between the time and the size of a Combined line."""
    line = "-" if method is None else _request_line(method, target, http11)
    return (f'] "{line}" {status[:3]} ',)


def _client_members(address: str, _user: str, referer: str, agent: str) -> tuple[str, str]:
    """Return the address in JSON, and the members at the end of a line."""
    members = f',"referer":{_value(without_secrets(referer))},"user_agent":{_value(agent)}'
    return _value(address), members


def _request_line(method: str, target: str, http11: bool) -> str:
    return _quotable(f"{method} {without_secrets(target)} {_protocol(http11)}")


def _request_members(method: str | None, target: str, http11: bool, status: str) -> tuple[str]:
    """Return the members of a JSON line from the method to the status."""
    what = _NO_REQUEST
    if method is not None:
        path, _, query = without_secrets(target).partition("?")
        what = (
            f'"method":{_value(method)},"path":{_value(path)},"query":{_value(query)}'
            f',"protocol":"{_protocol(http11)}"'
        )
    return (f'{what},"status":{status[:3]}',)


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


def _value(text: str) -> str:
    """Return *text* as JSON; "" is null."""
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
