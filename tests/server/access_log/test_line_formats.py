"""One response is one line, whatever a client sends."""

import json
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.server.access_log.line_formats import (
    CombinedFormat,
    Format,
    JsonFormat,
    LogClock,
    Record,
)

# Apache's: nothing but escapes, printable ASCII, and quotes where quotes belong.
QUOTED = r'"(?P<{}>(?:[ !#-\[\]-~]|\\["\\]|\\x[0-9a-f]{{2}}|\\u\{{[0-9a-f]+\}})*)"'
COMBINED = re.compile(
    r"(?P<host>[!-~]+) - (?P<user>[!-~]+)"
    r" \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    + QUOTED.format("request")
    + r" (?P<status>\d{3}) (?P<sent>\d+|-) "
    + QUOTED.format("referer")
    + " "
    + QUOTED.format("agent")
)
ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "REQUEST_URI": "/shop?page=2&token=abc",
    "REMOTE_ADDR": "192.0.2.7",
    "HTTP_REFERER": "https://me:secret@example.org/",
    "HTTP_USER_AGENT": 'Fire"fox\\',
    "HTTP_AUTHORIZATION": "Basic c2VjcmV0",
    "HTTP_COOKIE": "session=secret",
    "HTTP_X_REQUEST_ID": "r-1",
}
NOON = datetime(2026, 3, 1, 12, 0, 0, 42000).astimezone().timestamp()

FORMATS = {"combined": CombinedFormat, "json": JsonFormat}

latin1 = st.text(st.characters(max_codepoint=255), max_size=40)
anything = st.text(max_size=40)
environs = st.fixed_dictionaries(
    {"REQUEST_METHOD": st.sampled_from(["GET", "POST"]), "REQUEST_URI": latin1},
    optional={
        "REMOTE_ADDR": latin1,
        "REMOTE_USER": anything,
        "HTTP_REFERER": latin1,
        "HTTP_USER_AGENT": latin1,
        "HTTP_X_REQUEST_ID": latin1,
    },
)


def line_of(
    make: Format,
    environ: dict[str, Any],
    status: str = "200 OK",
    sent: int = 3,
    now: float = NOON,
) -> str:
    [line] = make([record_of(environ, status, sent, now)])
    return line


def record_of(
    environ: dict[str, Any], status: str = "200 OK", sent: int = 3, now: float = NOON
) -> Record:
    address, user, referer, agent, request_id = [
        environ.get(name, "")
        for name in (
            "REMOTE_ADDR", "REMOTE_USER", "HTTP_REFERER", "HTTP_USER_AGENT", "HTTP_X_REQUEST_ID",
        )
    ]  # fmt: skip
    request = (None, None, None, status)
    if "REQUEST_METHOD" in environ:
        request = environ["REQUEST_METHOD"], environ["REQUEST_URI"], True, status
    return now, sent, (address, user, referer, agent), request, (0.0421, request_id)


def test_a_line_in_the_combined_format() -> None:
    """Field for field as Apache's ``LogFormat`` of that name."""
    line = line_of(CombinedFormat().lines, ENVIRON, sent=12)
    found = COMBINED.fullmatch(line)
    assert found is not None
    assert found.groupdict() == {
        "host": "192.0.2.7",
        "user": "-",
        "time": datetime.fromtimestamp(NOON).astimezone().strftime("%d/Mar/%Y:%H:%M:%S %z"),
        "request": "GET /shop?page=2&token=*** HTTP/1.1",
        "status": "200",
        "sent": "12",
        "referer": "https://example.org/",
        "agent": 'Fire\\"fox\\\\',
    }


def test_a_line_in_json() -> None:
    """Types as they are; the time with milliseconds and zone."""
    line = line_of(JsonFormat().lines, ENVIRON, "404 Not Found", 12)
    record = json.loads(line)
    assert datetime.fromisoformat(record.pop("time")).timestamp() == pytest.approx(NOON, abs=1e-3)
    assert record == {
        "remote_addr": "192.0.2.7",
        "method": "GET",
        "path": "/shop",
        "query": "page=2&token=***",
        "protocol": "HTTP/1.1",
        "status": 404,
        "bytes": 12,
        "duration_ms": 42.1,
        "referer": "https://example.org/",
        "user_agent": 'Fire"fox\\',
        "request_id": "r-1",
    }


@pytest.mark.parametrize("name", ["combined", "json"])
def test_no_credentials_are_in_a_line(name: str) -> None:
    """Not those of the fields, and not those of the URLs."""
    line = line_of(FORMATS[name]().lines, ENVIRON)
    for secret in ("c2VjcmV0", "secret", "abc"):
        assert secret not in line


def test_what_is_not_known_is_left_open() -> None:
    """A request that was refused before it was understood, over a UNIX socket."""
    line = line_of(CombinedFormat().lines, {"REMOTE_ADDR": ""}, "400 Bad Request", 0)
    found = COMBINED.fullmatch(line)
    assert found is not None
    assert (
        found["host"]
        == found["user"]
        == found["request"]
        == found["referer"]
        == found["sent"]
        == "-"
    )
    record = json.loads(line_of(JsonFormat().lines, {"REMOTE_ADDR": ""}, "400 Bad Request", 0))
    assert [k for k, v in record.items() if v is None] == [
        "remote_addr", "method", "path", "query", "protocol", "referer", "user_agent",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["combined", "json"])
@given(environ=environs)
def test_a_record_is_one_line_of_ascii(name: str, environ: dict[str, Any]) -> None:
    """No client ends a line, or sends a control character to whoever looks at the log."""
    line = line_of(FORMATS[name]().lines, environ)
    assert line.isascii()
    assert line.isprintable()


@given(environ=environs)
def test_a_combined_line_can_be_taken_apart(environ: dict[str, Any]) -> None:
    """No client ends a quoted part, so that each part is what it seems to be."""
    found = COMBINED.fullmatch(line_of(CombinedFormat().lines, environ))
    assert found is not None
    agent = environ.get("HTTP_USER_AGENT") or "-"
    assert unescaped(found["agent"]) == agent
    assert found["status"] == "200"


@given(environ=environs)
def test_a_json_line_can_be_taken_apart(environ: dict[str, Any]) -> None:
    """It is one object, and what it holds is what was sent, as UTF-8 where it is that."""
    record = json.loads(line_of(JsonFormat().lines, environ))
    agent = environ.get("HTTP_USER_AGENT") or ""
    raw = agent.encode("latin-1")
    try:
        expected = raw.decode()
    except UnicodeDecodeError:
        expected = agent
    assert (record["user_agent"] or "") == expected


def test_a_time_is_formatted_once_a_second() -> None:
    """And again when the next one begins; milliseconds are those of each call."""
    clock = LogClock()
    since, until, common, iso, zone = clock.at(NOON)
    assert since <= NOON < until == since + 1
    assert clock.at(NOON + 0.9) is clock.at(NOON) is clock.latest
    assert clock.at(until)[2] != common == clock.at(NOON)[2]
    assert datetime.fromisoformat(f"{iso}.042{zone}").timestamp() == pytest.approx(NOON, abs=1e-3)
    lines = [line_of(JsonFormat().lines, ENVIRON, now=NOON + later) for later in (0, 0.9011)]
    assert [line[: line.index('",')][-10:-6] for line in lines] == [".042", ".943"]


@pytest.mark.parametrize("name", ["combined", "json"])
@given(drawn=st.lists(environs, max_size=4), order=st.lists(st.integers(0, 3), max_size=12))
def test_what_a_format_remembers_is_what_it_would_make_again(
    name: str, drawn: list[dict[str, Any]], order: list[int]
) -> None:
    """In any order of clients, requests, statuses and seconds."""
    records = [
        record_of(drawn[place % len(drawn)], f"{200 + place} x", place, NOON + place / 2)
        for place in (order if drawn else [])
    ]
    used, make = FORMATS[name](), FORMATS[name]
    assert used.lines(records) == [line for each in records for line in make().lines([each])]
    assert used.lines(records[::-1]) == used.lines(records)[::-1]


def test_a_format_remembers_little() -> None:
    """Not the parts of thousands of clients, and no long ones."""
    used = CombinedFormat()
    used.lines(
        record_of({"REQUEST_METHOD": "GET", "REQUEST_URI": f"/{n}", "REMOTE_ADDR": f"{n}"})
        for n in range(2000)
    )
    assert 0 < len(used._clients) <= 512
    assert 0 < len(used._requests) <= 512
    before = len(used._clients), len(used._requests)
    long = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/" * 5000, "HTTP_USER_AGENT": "x" * 5000}
    assert "x" * 5000 in line_of(used.lines, long)
    assert (len(used._clients), len(used._requests)) == before


def unescaped(text: str) -> str:
    return re.sub(
        r"\\(?:x([0-9a-f]{2})|([\"\\]))", lambda m: chr(int(m[1], 16)) if m[1] else m[2], text
    )
