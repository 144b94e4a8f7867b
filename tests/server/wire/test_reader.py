"""`RequestReader`: what the application is given. What is refused stands in the corpus."""

import errno
import io
import tempfile
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dewar.server.wire.head import FieldNames
from dewar.server.wire.limits import Limits
from dewar.server.wire.read_phase import ReadPhase
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.request import WireRequest
from dewar.server.wire.storage import BodyStorage

CHUNKED = b"Transfer-Encoding: chunked\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def reader(limits: Limits | None = None, storage: BodyStorage | None = None) -> RequestReader:
    return RequestReader(
        {"SERVER_PROTOCOL": "HTTP/1.1"}, FieldNames(), limits or Limits(), WireRequest, storage
    )


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n%b" % (fields, body)


def taken(read: RequestReader) -> list[WireRequest]:
    """Take the requests that are complete, one after the other, as a connection does."""
    requests = []
    while read.advance():
        requests.append(read.completed.pop())
    return requests


def environ_of(data: bytes) -> dict[str, Any]:
    read = reader()
    read.feed(data)
    assert read.refusal is None
    return read.completed[0].environ


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_at_all_make_the_reader_raise(data: bytes, size: int) -> None:
    """Whatever comes, it is read, refused, or waited for."""
    read = reader()
    for start in range(0, len(data), size):
        read.feed(data[start : start + size])
    assert read.phase in ReadPhase


def test_the_environ_has_what_pep_3333_asks_for() -> None:
    """Fields under their keys; the two that have none of the prefix; repeats joined."""
    environ = environ_of(
        b"POST /p?q HTTP/1.1\r\nHost: h:1\r\nContent-Type: a/b\r\nContent-Length: 1\r\n"
        b"X-Twice: 1\r\nx-twice: 2\r\nCookie: a=1\r\nCookie: b=2\r\nX_Forged: 1\r\n\r\nz"
    )
    assert environ["wsgi.input"].read() == b"z"
    del environ["wsgi.input"]
    assert environ == {
        "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "POST", "REQUEST_URI": "/p?q",
        "RAW_URI": "/p?q", "PATH_INFO": "/p", "QUERY_STRING": "q", "HTTP_HOST": "h:1",
        "CONTENT_TYPE": "a/b", "CONTENT_LENGTH": "1", "HTTP_X_TWICE": "1, 2",
        "HTTP_COOKIE": "a=1; b=2",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["Content_Length", "Transfer_Encoding", "X_Forwarded_For", "_", "Host_"]
)
def test_a_field_with_an_underscore_is_dropped(name: str) -> None:
    """It would fall together with the one that a proxy sets, or that frames the message."""
    environ = environ_of(f"GET / HTTP/1.1\r\nHost: x\r\n{name}: 7\r\n\r\n".encode())
    assert sorted(environ) == [
        "HTTP_HOST", "PATH_INFO", "QUERY_STRING", "RAW_URI", "REQUEST_METHOD", "REQUEST_URI",
        "SERVER_PROTOCOL",
    ]  # fmt: skip


def test_a_small_body_needs_no_new_parser() -> None:
    """The parser skips it, and expects the next head."""
    read = reader()
    parsers = set()
    for number in range(3):
        body = b"x" * (number + 1)
        read.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        request = read.completed.pop()
        assert request.environ["CONTENT_LENGTH"] == str(len(body))
        assert request.environ["wsgi.input"].read() == body
        parsers.add(read._field_parser.parser)
    assert len(parsers) == 1


@pytest.mark.parametrize("coding", [b"Content-Length: 43", b"Transfer-Encoding: chunked"])
def test_a_body_is_never_taken_for_a_head(coding: bytes) -> None:
    """Not even behind an offer to leave HTTP, after which llhttp begins anew."""
    body = b"GET /other HTTP/1.1\r\nHost: y\r\nX-Forged: 1\r\n\r\n"[:43]
    sent = b"2b\r\n" + body + b"\r\n0\r\n\r\n" if b"chunked" in coding else body
    read = reader()
    for _ in range(2):
        read.feed(
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            + coding + b"\r\n\r\n" + sent
        )  # fmt: skip
        environ = read.completed.pop().environ
        assert environ["wsgi.input"].read() == body
        assert "HTTP_X_FORGED" not in environ
    read.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "HTTP_X_FORGED" not in read.completed.pop().environ


def test_white_space_around_values_is_not_part_of_them() -> None:
    """Of single and of repeated fields (RFC 9112 §5.1)."""
    environ = environ_of(
        b"GET / HTTP/1.1\r\nHost:\t x \t\r\nX: \ta b \r\nX:c\t\r\nX:\r\nY: \t \r\n\r\n"
    )
    assert environ["HTTP_HOST"] == "x"
    assert environ["HTTP_X"] == "a b, c, "
    assert environ["HTTP_Y"] == ""


def test_values_are_latin_1() -> None:
    """As PEP 3333 has it."""
    assert environ_of(b"GET / HTTP/1.1\r\nHost: x\r\nX: \xc3\xa9\r\n\r\n")["HTTP_X"] == "\xc3\xa9"


def test_an_absolute_target_outdoes_the_host() -> None:
    """RFC 9112 §3.2.2; the target as sent is still there."""
    environ = environ_of(b"GET http://right:8/p HTTP/1.1\r\nHost: wrong\r\n\r\n")
    assert environ["HTTP_HOST"] == "right:8"
    assert environ["REQUEST_URI"] == "http://right:8/p"


@pytest.mark.parametrize(
    ("version", "protocol"), [("1.0", "HTTP/1.0"), ("1.1", "HTTP/1.1"), ("1.2", "HTTP/1.1")]
)
def test_the_protocol_is_the_highest_that_both_speak(version: str, protocol: str) -> None:
    """A later 1.x is read as 1.1 (RFC 9110 §2.5)."""
    environ = environ_of(f"GET / HTTP/{version}\r\nHost: x\r\n\r\n".encode())
    assert environ["SERVER_PROTOCOL"] == protocol


def test_a_trailer_never_reaches_the_environ() -> None:
    """It would come after everything was checked."""
    trailers = b"X-Forged: 1\r\nHost: evil\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\n"
    environ = environ_of(post(CHUNKED, b"1\r\nx\r\n0\r\n" + trailers + b"\r\n"))
    assert environ["HTTP_HOST"] == "x"
    assert environ["CONTENT_LENGTH"] == "1"
    assert "HTTP_X_FORGED" not in environ
    assert "HTTP_TRANSFER_ENCODING" not in environ


@pytest.mark.parametrize("fields", [b"Content-Length: 00\r\n", b"Content-Length: 003\r\n", CHUNKED])
def test_the_length_of_a_body_that_has_come_is_known(fields: bytes) -> None:
    """Chunked or not, without leading zeros."""
    body = b"3\r\nabc\r\n0\r\n\r\n" if fields == CHUNKED else b"abc" if b"3" in fields else b""
    environ = environ_of(post(fields, body))
    assert environ["CONTENT_LENGTH"] == ("3" if body else "0")


def test_what_was_said_of_proxy_connections_does_not_end_ours() -> None:
    """The parser heeds it, and is replaced."""
    read = reader()
    requests = []
    for _ in range(3):
        read.feed(b"GET / HTTP/1.1\r\nHost: x\r\nProxy-Connection: close\r\nX: 1\r\n\r\n" * 2)
        requests += taken(read)
    assert [request.environ["HTTP_X"] for request in requests] == ["1"] * 6
    assert read.refusal is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"a" * 2000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000,
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"\r" * 1 + b"a" * 60_000,
        post(CHUNKED, b"1\r\nx\r\n" * 20_000),
        post(CHUNKED, b"20000\r\n" + b"\r\n" * 65_536 + b"\r\n0\r\n\r\n"),
        post(CHUNKED, b"1;a=" + b"b" * 60_000),
        post(CHUNKED, b"0\r\n" + b"X: y\r\n" * 10_000),
        post(b"Content-Length: 100000\r\n", b"x" * 100_000),
        (b"\r\n" + GET) * 3000,
    ],
)
def test_reading_is_linear(data: bytes) -> None:
    """Eight times the bytes, one by one or at once, cost about that; 64 would be quadratic."""
    part = min(_seconds(data[: len(data) // 8]) for _ in range(3))
    # Busy neighbours on the same core make a run dearer, and none cheaper.
    assert any(_seconds(data) < 24 * part + 0.02 for _ in range(3))


def _seconds(data: bytes) -> float:
    began = time.process_time()
    read = reader()
    for n in range(len(data)):
        read.feed(data[n : n + 1])
        taken(read)
    read.discard()
    read = reader()
    read.feed(data)
    taken(read)
    read.discard()
    return time.process_time() - began


def test_a_known_head_waits_for_the_request_before_it() -> None:
    """It is not parsed again, and yet there is one request at a time."""
    read = reader()
    for _ in range(3):
        read.feed(GET)
        assert len(read.completed) == 1
    assert len(taken(read)) == 3


@settings(max_examples=300)
@given(st.data())
def test_one_request_is_parsed_at_a_time_wherever_the_pieces_end(data: st.DataObject) -> None:
    """Those behind it are bytes; taken early or late, they are what each is by itself."""
    one_by_one = [
        GET, GET, b"GET /a?b HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n",
        b"\r\n" + GET, post(b"Content-Length: 3\r\n", b"abc"), post(b"Content-Length: 0\r\n"),
        post(CHUNKED, b"2\r\nde\r\n1;x\r\nf\r\n0\r\nT: u\r\n\r\n"),
    ]  # fmt: skip
    sent = data.draw(st.lists(st.sampled_from(one_by_one), max_size=20))
    stream = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    read, found = reader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        read.feed(stream[start:end])
        assert len(read.completed) <= 1
        if data.draw(st.booleans()):
            found += taken(read)
    found += taken(read)
    expected = []
    for message in sent:
        alone = reader()
        alone.feed(message)
        expected += taken(alone)
    assert [described(request) for request in found] == [described(r) for r in expected]
    assert (read.phase, read.refusal) == (ReadPhase.START, None)


def described(request: WireRequest) -> Any:
    environ = {key: value for key, value in request.environ.items() if key != "wsgi.input"}
    return environ, request.keep_alive, None if request.body is None else request.body.read()


def test_an_error_comes_after_the_requests_before_it() -> None:
    """It is not looked for while one of them is there."""
    read = reader()
    read.feed(GET * 2 + b"nonsense\r\n\r\n" + GET)
    for _ in range(2):
        assert read.advance()
        assert read.refusal is None
        read.completed.clear()
    assert not read.advance()
    assert read.refusal is not None
    read.feed(GET)
    assert not read.advance()


def test_what_can_not_become_a_request_is_not_held() -> None:
    """An endless line costs its limit, and no more."""
    read = reader(Limits(request_line=100, header_bytes=100))
    for _ in range(1000):
        read.feed(b"GET /" + b"a" * 50)
    assert read.refusal is not None
    assert read.received == 0
    assert read.phase is ReadPhase.ENDED


EXPECTING = post(b"Content-Length: 3\r\nExpect: 100-continue\r\n")
EXPECTING_CHUNKS = post(CHUNKED + b"Expect: 100-continue\r\n")


@pytest.mark.parametrize(
    ("head", "body"), [(EXPECTING, b"abc"), (EXPECTING_CHUNKS, b"3\r\nabc\r\n0\r\n\r\n")]
)
def test_a_request_that_waits_for_100_can_be_taken_before_its_body(
    head: bytes, body: bytes
) -> None:
    """The body comes by itself, in any pieces, and the next request after it."""
    read = reader()
    read.feed(head)
    assert read.wants_continue
    request = read.take_before_body()
    assert request is not None
    assert request.body is None
    assert request.environ["REQUEST_METHOD"] == "POST"
    assert read.take_before_body() is None
    read.wants_continue = False
    before = request.environ.copy()
    for n in range(len(body)):
        assert read.phase is ReadPhase.BODY
        assert read.continue_body is None
        read.feed(body[n : n + 1])
    assert read.continue_body is not None
    assert read.continue_body.read() == b"abc"
    assert read.phase is ReadPhase.START
    assert read.completed == []
    assert request.environ == before
    read.continue_body = None
    read.feed(GET)
    assert len(read.completed) == 1


def test_a_request_can_be_taken_early_with_a_part_of_its_body() -> None:
    """Without an expectation, too: the owner knows why it does not wait."""
    read = reader()
    read.feed(post(b"Content-Length: 3\r\n", b"a"))
    assert not read.wants_continue
    assert read.body is not None
    assert (read.body.known_size, read.body.buffer.peek(0, 9)) == (3, b"a")
    request = read.take_before_body()
    assert request is not None
    assert request.environ["CONTENT_LENGTH"] == "3"
    assert read.take_before_body() is None
    read.feed(b"bc" + GET)
    assert read.continue_body is not None
    assert read.continue_body.read() == b"abc"
    assert len(read.completed) == 1


def test_a_request_that_is_not_taken_early_comes_as_usual() -> None:
    """With a part of its body, and behind another request."""
    read = reader()
    assert read.take_before_body() is None
    read.feed(EXPECTING + b"a")
    assert not read.wants_continue
    read.feed(b"bc")
    assert len(read.completed) == 1
    read.feed(EXPECTING)
    assert read.take_before_body() is None  # the one before it comes first
    read.completed.clear()
    assert not read.advance()
    assert read.take_before_body() is not None


def test_an_early_request_of_a_closing_connection_is_its_last() -> None:
    """The phase moves on as it does without."""
    read = reader()
    read.feed(post(b"Content-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n"))
    request = read.take_before_body()
    assert request is not None
    assert not request.keep_alive
    read.feed(b"abc" + GET)
    assert read.continue_body is not None
    assert read.phase is ReadPhase.ENDED
    assert read.completed == []


def test_a_fault_in_the_body_of_an_early_request_ends_reading() -> None:
    """There is no body then; who waits for it finds the refusal."""
    read = reader()
    read.feed(EXPECTING_CHUNKS)
    assert read.take_before_body() is not None
    read.feed(b"nonsense\r\n")
    assert read.continue_body is None
    assert read.refusal is not None
    assert read.refusal.status == "400 Bad Request"


class FullDisk(io.RawIOBase):
    """A file on a disk without room."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return offset

    def write(self, data: Any, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("size", [6, 50_000])
def test_a_disk_without_room_is_a_503(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it shows with the last of the body, or while it comes."""
    disk = FullDisk()
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda buffering: disk)
    limits = Limits(buffered_body=2)
    storage = BodyStorage(limits)
    read = reader(limits, storage)
    read.feed(post(b"Content-Length: %d\r\n" % size, b"abc"))
    read.feed(bytes(size - 3) + GET)
    assert read.refusal is not None
    assert read.refusal.status == "503 Service Unavailable"
    assert read.completed == []
    assert disk.closed
    assert (storage.disk.used, storage.memory.used) == (0, 0)
    assert read.refusal.cause.endswith("No space left on device.")


def test_without_a_descriptor_for_a_file_it_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part in memory is given back."""

    def exhausted(buffering: int) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(tempfile, "TemporaryFile", exhausted)
    limits = Limits(buffered_body=4)
    storage = BodyStorage(limits)
    read = reader(limits, storage)
    read.feed(post(b"Content-Length: 9\r\n", b"abc"))
    assert storage.memory.used == 3
    read.feed(b"defghi")
    assert read.refusal is not None
    assert read.refusal.status == "503 Service Unavailable"
    assert (storage.disk.used, storage.memory.used) == (0, 0)


def test_what_nobody_reads_is_given_back() -> None:
    """Bodies that are complete, early, or half there; also those on disk."""
    read = reader(Limits(buffered_body=1))
    read.feed(EXPECTING)
    assert read.take_before_body() is not None
    read.feed(
        b"abc" + post(b"Content-Length: 3\r\n", b"abc") + post(b"Content-Length: 3\r\n", b"a")
    )
    early, whole = read.continue_body, read.completed[0].body
    assert early is not None
    assert whole is not None
    read.discard()
    assert early.closed
    assert whole.closed
    assert read.continue_body is None
    read.feed(GET)
    assert read.completed == []
