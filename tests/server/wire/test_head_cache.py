"""`HeadCache`: what is taken without the parser is what the parser makes of it."""

from typing import Any

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
        b"GET /" + b"a" * 9000 + b" HTTP/1.1",
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


def reader() -> RequestReader:
    return RequestReader(BASE, FieldNames(), Limits(), WireRequest)


def outcome(read: RequestReader) -> Any:
    requests = []
    while read.advance():
        request = read.completed.pop()
        environ = {key: value for key, value in request.environ.items() if key != "wsgi.input"}
        body = None if request.body is None else request.body.read()
        requests.append((environ, request.http11, request.keep_alive, body))
    refusal = None if read.refusal is None else read.refusal.status
    return requests, refusal, read.phase, read.received


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
    assert repr(HeadCache(memo, 8190)) == "<HeadCache of 0 bytes>"
