"""What the server refuses for reasons of its own leaves a line in its log."""

import logging
import signal
import tempfile
import threading
from typing import Any

import pytest

from faulttools import COMMON, Running, running
from polling import eventually
from servertools import Serve


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer."""
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings: one refusal is one line."""
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_connection_above_the_limit(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Whose request was not read; the flood of them is one line."""
    served = serve(hello, max_connections=1)
    held = served.client()
    held.get("/")
    held.send(b"GET / HTTP/1.1\r\nHost: x\r\n")  # it is not idle
    for _ in range(20):
        assert b" 503 " in served.client().rest()
    [line] = warnings(caplog)
    assert line.startswith("Refused with 503 Service Unavailable: max_connections=1 is reached")
    assert line.endswith("Request: not read, from 127.0.0.1.")


def test_a_request_above_the_limit(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """With its request line, without secrets and control characters."""
    entered, release = threading.Event(), threading.Event()

    def stuck(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        entered.set()
        release.wait(10)
        return hello(environ, start_response)

    served = serve(stuck, threads=1, max_queue=1)
    clients = [served.client() for _ in range(4)]
    clients[0].send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert entered.wait(10)
    for client in clients[1:]:
        client.send(b'POST /a"b?token=x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
    lines = eventually(lambda: warnings(caplog))
    release.set()
    for client in clients:
        client.answer()
    assert lines[0].startswith("Refused with 503 Service Unavailable: max_queue=1 requests wait")
    assert lines[0].endswith(r'Request: "POST /a\"b?token=*** HTTP/1.1", from 127.0.0.1.')


def read_in_vain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Read the body, and answer by itself if that fails."""
    try:
        environ["wsgi.input"].read()
    except OSError:
        start_response("507 Insufficient Storage", [("Content-Length", "0")])
        return []
    return hello(environ, start_response)


@pytest.mark.parametrize(("fields", "status"), [("", b"503"), ("Expect: 100-continue\r\n", b"507")])
@pytest.mark.parametrize("folder", ["/no/where 100%", None])
def test_a_body_that_can_not_be_stored(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    folder: str | None, fields: str, status: bytes,
) -> None:  # fmt: skip
    """With the request line, also if the app answers by itself: the disk is full, or missing."""
    served = serve(read_in_vain, buffered_body=1)
    monkeypatch.setattr(tempfile, "tempdir", folder)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/no/where"])
    client = served.client()
    client.send(f"PUT /large HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: 9\r\n\r\n".encode())
    if fields:
        client.answer()  # 100
    client.send(b"12345678")
    assert b"HTTP/1.1 " + status in client.rest()
    [line] = warnings(caplog)
    assert line.startswith("Refused with 503 Service Unavailable: The body cannot be stored in ")
    assert (folder or "No usable temporary directory") in line
    assert line.endswith('Request: "PUT /large HTTP/1.1", from 127.0.0.1.')


def test_what_the_client_is_to_blame_for_is_not_logged_as_a_warning(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """It could fill the log."""
    client = serve(hello).client()
    client.send(b"GET  / HTTP/1.1\r\n\r\n")
    assert b" 400 " in client.rest()
    assert not caplog.records


LIMITED = """
start, left = threading.Thread.start, [2]
def limited(thread):
    if threading.active_count() > left[0]:
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = limited

from dewar.environ_keys import IS_DRAINING
plain = app

def app(environ, start_response):
    if environ["PATH_INFO"] == "/until-stop":
        line("waits")
        environ[IS_DRAINING].__self__.wait()
    return plain(environ, start_response)
"""


@pytest.mark.parametrize("settings", ["threads=4", "processes=2, threads=4"])
def test_without_a_thread_a_stop_answers_what_is_in_flight(settings: str) -> None:
    """The one thread that leads finishes its request; the log says it once for each thread."""
    with running(settings, LIMITED) as server:
        client = server.client()
        client.send(b"GET /until-stop HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_line("waits")
        server.wait_line("does not start")
        server.send(signal.SIGTERM)
        assert client.answer()[2] == b"here"
        assert server.wait_end() == 0
        assert 1 <= sum("does not start" in line for line in server.lines) <= 2


def test_a_server_that_gets_no_thread_at_all_does_not_start() -> None:
    """It says which limit to raise."""
    server = Running(f'{COMMON}{LIMITED}left[0] = 1\nrun(app, bind="127.0.0.1:0")')
    try:
        assert server.wait_end() == 1
        assert "docker run --pids-limit" in server.wait_line("starts with two threads")
    finally:
        server.close()
