"""The corpus over real sockets: what a client sees of each case, whole and in pieces."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.server.corpus import bounds
from tests.server.corpus.case import Case, Seen
from tests.server.corpus.corpus import CASES

from servertools import Served

_SECTIONS = sorted({case.section for case in CASES.values()})


def app(environ: Any, start_response: Any) -> list[bytes]:
    """Answer with what came."""
    body = environ["wsgi.input"].read()
    seen = [environ[key] for key in ("REQUEST_METHOD", "REQUEST_URI", "PATH_INFO", "QUERY_STRING")]
    text = json.dumps([*seen, body.decode("latin-1")]).encode()
    start_response("200 OK", [("X-Seen", text.hex()), ("Content-Length", "0")])
    return []


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    settings = {
        "max_request_line": bounds.REQUEST_LINE,
        "max_header_count": bounds.HEADER_COUNT,
        "max_header_bytes": bounds.HEADER_BYTES,
        "max_body": bounds.BODY,
        "buffered_body": bounds.BUFFERED,
    }
    server = Served(app, None, settings)
    yield server
    server.stop()


def converse(served: Served, pieces: list[bytes]) -> list[tuple[bytes, Any]]:
    """Send the pieces, and return every response's status and what the application saw."""
    with socket.create_connection(served.address, timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                sock.sendall(piece)
        except OSError:
            pass  # it was refused before it was all sent
        return list(responses(sock))


def responses(sock: socket.socket) -> Iterator[tuple[bytes, Any]]:
    """Read until the server closes, or has answered the request that says that all was sent."""
    rest = b""
    while True:
        while b"\r\n\r\n" not in rest:
            try:
                piece = sock.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                assert rest == b""
                yield b"closed", None
                return
            rest += piece
        head, _, rest = rest.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        fields = dict(field.lower().split(b": ", 1) for field in lines)
        while len(rest) < int(fields.get(b"content-length", 0)):
            rest += sock.recv(65536)
        rest = rest[int(fields.get(b"content-length", 0)) :]
        seen = None
        if b"x-seen" in fields:
            *words, body = json.loads(bytes.fromhex(fields[b"x-seen"].decode()))
            seen = Seen(*words, body.encode("latin-1"))
        yield line.split()[1], seen
        if seen is not None and seen.path == "/--end--":
            return


def right(case: Case) -> list[tuple[bytes, Any]]:
    """Return what a client must see of a case that is followed by one request more."""
    answers: list[tuple[bytes, Any]] = [(b"200", seen) for seen in case.requests]
    if case.refusal is not None:
        answers += [(b"%d" % case.refusal, None), (b"closed", None)]
    elif case.closes:
        answers.append((b"closed", None))
    else:
        answers.append((b"200", Seen("GET", "/--end--", "/--end--", "", b"")))
    return answers


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Return the data whole, in two and in three."""
    half, third = len(data) // 2, len(data) // 3
    yield [data]
    yield [data[:half], data[half:]]
    yield [data[:third], data[third : 2 * third], data[2 * third :]]


@pytest.mark.parametrize("section", _SECTIONS)
def test_a_client_sees_each_case_as_the_rfc_has_it(served: Served, section: str) -> None:
    """All of its requests are answered, then the fault, and nothing behind it is served."""
    last = b"GET /--end-- HTTP/1.1\r\nHost: x\r\n\r\n"
    for name, case in CASES.items():
        if case.section != section or case.waits or case.data.endswith(b"\r"):
            continue
        for pieces in cuts(case.data + last):
            got = [answer for answer in converse(served, pieces) if answer[0] != b"100"]
            assert got == right(case), name


def test_what_is_left_over_is_waited_for_and_answers_nothing(served: Served) -> None:
    """Half a message gets no answer, and its end no error, when the client hangs up."""
    waiting = [case for case in CASES.values() if case.waits]
    for case in waiting:
        with socket.create_connection(served.address, timeout=10) as sock:
            sock.sendall(case.data)
            sock.shutdown(socket.SHUT_WR)
            got = [answer for answer in responses(sock) if answer[0] != b"100"]
            assert got == [(b"200", seen) for seen in case.requests] + [(b"closed", None)], (
                case.name
            )
    assert len(waiting) > 10
