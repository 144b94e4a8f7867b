"""`HeadCache`: what is taken without the parser is what the parser makes of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dewar.server.wire.head import FieldNames
from dewar.server.wire.head_cache import HeadCache, RequestLineCache
from dewar.server.wire.limits import Limits
from dewar.server.wire.read_phase import ReadPhase
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.request import WireRequest

BASE = {"SERVER_NAME": "x", "SERVER_PROTOCOL": "HTTP/1.1"}

lines = st.sampled_from(
    [
        b"GET / HTTP/1.1", b"GET /a/b?x=1&y=%20 HTTP/1.1", b"HEAD / HTTP/1.1",
        b"OPTIONS / HTTP/1.1", b"POST / HTTP/1.1", b"GET /%41 HTTP/1.1", b"GET /a#b HTTP/1.1",
        b"GET /? HTTP/1.1", b"GET // HTTP/1.1", b"GET http://x/ HTTP/1.1", b"GET * HTTP/1.1",
        b"GET / HTTP/1.0", b"GET  / HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1", b"get / HTTP/1.1",
        b"GET /a?b?c HTTP/1.1", b"GET /" + b"a" * 300 + b" HTTP/1.1", b"GET / HTTP/1.1\r\nX: y",
        b"CONNECT / HTTP/1.1", b"GET /\t HTTP/1.1", b"GET / HTTP/2.0", b"BREW / HTTP/1.1",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1", b"POST /a HTTP/1.1", b"POST /b?c HTTP/1.1",
        b"PUT /a HTTP/1.1", b"DELETE /a HTTP/1.1", b"POST http://x/ HTTP/1.1", b"POST / HTTP/1.0",
    ]
)  # fmt: skip
fields = st.sampled_from(
    [
        b"\r\nHost: x\r\n\r\n", b"\r\nHost: x\r\nAccept: */*\r\n\r\n", b"\r\nHost: y\r\n\r\n",
        b"\r\n\r\n", b"\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
        b"\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n",
        b"\r\nHost: x\r\nContent-Length: 3\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\na: ",
        b"\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
        b"\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", b"\r\nHost: x\r\nCookie: a\r\n\r\n",
        b"\r\nHost: x\r\nX: y\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\nHost: x\r\nX-A_b: y\r\nX: 1\r\nX: 2\r\n\r\n", b"\nHost: x\n\n",
    ]
)  # fmt: skip
messages = st.lists(st.tuples(lines, fields).map(b"".join), min_size=1, max_size=12)
numbers = st.sampled_from(
    [b"1", b"2", b"3", b"9", b"12", b"0", b"03", b"003", b"", b" 3", b"3 ", b"3\t", b"+3", b"3x",
     b"3, 3", b"-3", b"\xb2", b"3_", b"100", b"600", b"1" + b"0" * 17,
     b"1" + b"0" * 18, b"0" * 17 + b"3"]
)  # fmt: skip
with_length = st.sampled_from(
    [
        b"\r\nHost: x\r\nContent-Length: %b\r\n\r\n", b"\r\ncontent-length:%b\r\nHost: x\r\n\r\n",
        b"\r\nHost: x\r\nContent-Length: %b\r\nX: y\r\n\r\n",
        b"\r\nHost: x\r\nContent-Length:  %b\r\nExpect: 100-continue\r\n\r\n",
        b"\r\nHost: x\r\nContent-Length: %b\r\nConnection: close\r\n\r\n",
        b"\r\nHost: x\r\nContent-Length: %b\r\nConnection: keep-alive\r\n\r\n",
        b"\r\nHost: x\r\nContent-Length: %b\r\nContent-Length: 3\r\n\r\n",
        b"\r\nHost: x\r\nX-Content-Length: 1\r\nContent_Length: 2\r\nContent-Length: %b\r\n\r\n",
        b"\r\nHost: x\r\nContent-Length: %b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\r\nHost: x\r\nContent-Length: %b\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"\r\nHost: x\r\nX: Content-Length: 3\r\nContent-Length: %b\r\n\r\n",
        b"\r\nHost: y\r\nContent-Length: %b\r\n\r\n", b"\r\nContent-Length: %b\r\n\r\n",
        b"\r\nHost: x\r\nContent-Length: %b\n\n",
        b"\r\nHost: x\r\nX: " + b"x" * 210 + b"\r\nContent-Length: %b\r\n\r\n",
    ]
)  # fmt: skip
after = st.sampled_from(
    [b"", b"a", b"abc", b"abcd", b"abc\r\n", b"abcGET / HTTP/1.1\r\nHost: x\r\n\r\n", b"a" * 700,
     b"abcPOST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz", b"\r\n\r\n",
     b"\r\nHost: x\r\n\r\n"]
)  # fmt: skip
with_bodies = st.builds(
    lambda line, field, number, rest: line + field.replace(b"%b", number) + rest,
    lines.filter(lambda line: b"\r" not in line) | st.just(b"POST /a HTTP/1.1"),
    with_length | st.just(b"\r\nHost: x\r\nContent-Length: %b\r\n\r\n"),
    numbers,
    after,
)
SMALL = Limits(body=550, buffered_body=500, header_bytes=260)


def reader(limits: Limits = Limits()) -> RequestReader:  # noqa: B008  # it cannot be changed
    return RequestReader(BASE, FieldNames(), limits, WireRequest)


def outcome(read: RequestReader) -> Any:
    requests = []
    while read.advance():
        request = read.completed.pop()
        environ = {key: value for key, value in request.environ.items() if key != "wsgi.input"}
        body = None if request.body is None else request.body.read()
        requests.append((environ, request.http11, request.keep_alive, body))
    refusal = None if read.refusal is None else read.refusal.status
    awaited = read.wants_continue, read.environ.get("CONTENT_LENGTH") if read.body else None
    return requests, refusal, read.phase, read.received, awaited


@settings(max_examples=500)
@given(messages)
def test_a_connection_reads_each_message_as_a_new_one_would(sent: list[bytes]) -> None:
    """Whatever came before on the connection, the same bytes give the same requests."""
    old = reader()
    for message in sent:
        fresh = reader()
        fresh.feed(message)
        old.feed(message)
        assert outcome(old) == outcome(fresh)
        if old.phase is not ReadPhase.START or old.received:
            return


@settings(max_examples=800)
@given(
    st.lists(with_bodies | st.tuples(lines, fields).map(b"".join), min_size=1, max_size=8),
    st.lists(st.integers(1, 90), max_size=3),
    st.sampled_from([Limits(), SMALL]),
)
def test_messages_with_bodies_are_read_as_by_a_new_connection(
    sent: list[bytes], cuts: list[int], limits: Limits
) -> None:
    """In one piece or in several, with any number in their Content-Length."""
    old = reader(limits)
    for message in sent:
        fresh = reader(limits)
        fresh.feed(message)
        expected = outcome(fresh)
        begin = 0
        for end in [*sorted(cuts), len(message)]:
            if message[begin:end]:
                old.feed(message[begin:end])
            begin = max(begin, end)
        assert outcome(old) == expected
        if old.phase is not ReadPhase.START or old.received:
            return


POST = b"POST /a HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("limits", "first", "second"),
    [
        (
            Limits(body=5),
            POST + b"Content-Length: 3\r\n\r\nabc",
            POST + b"Content-Length: 9\r\n\r\nab",
        ),
        (
            Limits(header_bytes=40),
            POST + b"Content-Length: 3\r\n\r\nabc",
            POST + b"Content-Length: 00000000000000003\r\n\r\nabc",
        ),
        (
            Limits(body=None),
            POST + b"Content-Length: " + b"0" * 18 + b"1\r\n\r\na",
            POST + b"Content-Length: 1" + b"0" * 18 + b"\r\n\r\na",
        ),
        (
            Limits(),
            POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
            POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        ),
        (
            Limits(),
            b"POST http://z/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
            POST + b"Content-Length: 1\r\n\r\na",
        ),
        (Limits(), POST + b"Content-Length: 3\r\n\r\nabc", POST + b"Content-Length: 2\r\n\r\n"),
        (Limits(), POST + b"Content-Length: 3\r\n\r\nabc", POST + b"Content-Length: 3\r\n\n"),
        (Limits(), POST + b"Content-Length: 3\r\n\r\nabc", POST + b"\r\nGET / HTTP/1.1\r\n\r\n"),
    ],
    ids=[
        "too large",
        "head too large",
        "overflow",
        "expects",
        "other host",
        "half",
        "bare LF",
        "none",
    ],
)
def test_a_head_that_is_nearly_known_is_read_in_full(
    limits: Limits, first: bytes, second: bytes
) -> None:
    """What decides is what is different, or was not plain at first."""
    old, fresh = reader(limits), reader(limits)
    old.feed(first)
    assert outcome(old)[0]
    old.feed(second)
    fresh.feed(second)
    assert outcome(old) == outcome(fresh)


def test_a_repeated_head_with_another_length_does_not_reach_the_parser() -> None:
    """So a body costs no parser, whether it comes with its head or behind it."""
    read = reader()
    head = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nX: y\r\n\r\n"
    read.feed(head % (b"one", 12) + b"a" * 12)
    first = read.completed.pop().environ
    read._field_parser = None  # type: ignore[assignment]  # using it would raise
    read.feed(head % (b"two", 3) + b"abc")
    second = read.completed.pop()
    assert second.body.read() == b"abc"
    assert (second.environ["PATH_INFO"], second.environ["CONTENT_LENGTH"]) == ("/two", "3")
    read.feed(head % (b"one", 2))
    assert not read.completed
    read.feed(b"zz")
    assert read.completed.pop().body.read() == b"zz"
    assert (first["CONTENT_LENGTH"], first["HTTP_X"]) == ("12", "y")


def test_a_known_head_is_one_of_http_1_1_after_a_request_of_http_1_0() -> None:
    """A connection of HTTP/1.0 persists if the client asks for it."""
    read = reader()
    known = POST + b"Content-Length: 3\r\n\r\nabc"
    for message, http11 in (
        (known, True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
        (known, True),
    ):
        read.feed(message)
        request = read.completed.pop()
        assert (request.http11, request.keep_alive) == (http11, True)


def test_no_request_with_a_body_sees_what_another_has_put_into_its_environ() -> None:
    """Neither with the same head nor with another number in it."""
    read = reader()
    for number in (3, 3, 3, 2, 3):
        read.feed(POST + b"X: y\r\nContent-Length: %d\r\n\r\n" % number + b"a" * number)
        environ = read.completed.pop().environ
        assert environ["HTTP_X"] == "y"
        assert "own" not in environ
        environ.update(HTTP_X="changed", own=True)


def test_a_repeated_request_does_not_reach_the_parser() -> None:
    """The fields are known, so only the line is looked at."""
    read = reader()
    read.feed(b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n")
    first = read.completed.pop().environ
    read._field_parser = None  # type: ignore[assignment]  # using it would raise
    read.feed(b"GET /two?a=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    second = read.completed.pop().environ
    assert (second["PATH_INFO"], second["QUERY_STRING"]) == ("/two", "a=1")
    assert second["HTTP_HOST"] == "x"
    second["HTTP_HOST"] = "changed"
    assert first["HTTP_HOST"] == "x"


def test_half_a_message_is_never_taken_for_a_whole_one() -> None:
    """The known fields may come as the end of something that began before."""
    read = reader()
    read.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    read.completed.clear()
    read.feed(b"GET /half HTTP/1.1\r\nX-Y: z")
    read.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [request.environ["PATH_INFO"] for request in read.completed] == ["/half"]


def test_the_usual_connection_field_is_known_too() -> None:
    """Browsers send it with each request, and in HTTP/1.1 it says what is so anyway."""
    read = reader()
    message = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
    read.feed(message)
    first = read.completed.pop()
    read._field_parser = None  # type: ignore[assignment]  # using it would raise
    read.feed(message)
    assert read.completed.pop().environ.items() >= first.environ.items()


def test_lines_that_are_never_repeated_leave_the_others_their_room() -> None:
    """A line is learned when it comes for the second time."""
    memo = RequestLineCache()
    for _ in range(2):
        assert memo.maybe_parse(b"GET /usual HTTP/1.1") is not None
    for number in range(2000):
        assert memo.maybe_parse(b"GET /%d HTTP/1.1" % number) is not None
    assert list(memo.known) == [b"GET /usual HTTP/1.1"]
    assert len(memo._once) <= 512


def test_the_memos_are_bounded() -> None:
    """However many targets a client repeats."""
    memo = RequestLineCache()
    for number in range(2000):
        for _ in range(2):
            assert memo.maybe_parse(b"GET /%d HTTP/1.1" % number) is not None
        assert len(memo.known) <= 512
    assert repr(memo) == f"<RequestLineCache {len(memo.known)} of 512 known>"
    assert repr(HeadCache(memo, Limits())) == "<HeadCache of 0 bytes>"
