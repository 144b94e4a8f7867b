"""The access log of a server that runs: what is in it, where it goes, and what it may not break."""

import json
import logging
import re
import select
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from dewar.server import Server, Settings
from dewar.server.access_log.file import LogFile
from dewar.server.access_log.log import AccessLog
from dewar.server.errors import BindError, ClientGoneError, LogFileError, Refusal
from polling import eventually
from servertools import Serve, Served, wait_in_head


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def logged(served: Served, path: Path) -> list[dict[str, Any]]:
    """Stop the server, so that all is written, and return the records."""
    served.stop()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def as_json(path: Path) -> dict[str, Any]:
    return {"access_log": True, "access_log_file": str(path), "access_log_format": "json"}


def test_each_response_is_a_line(serve: Serve, path: Path, as_json: dict[str, Any]) -> None:
    """With what was sent, for HEAD too, on one connection and in order."""
    served = serve(hello, **as_json)
    client = served.client()
    client.get("/a?token=x&b=1", User_Agent="test", X_Request_ID="r1")
    client.ask(b"HEAD /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    first, second = logged(served, path)
    assert (first["method"], first["path"], first["query"]) == ("GET", "/a", "token=***&b=1")
    assert (first["status"], first["bytes"], first["request_id"]) == (200, 5, "r1")
    assert (first["remote_addr"], first["user_agent"]) == ("127.0.0.1", "test")
    assert (second["method"], second["protocol"], second["bytes"]) == ("HEAD", "HTTP/1.0", 0)


def test_lines_of_requests_that_come_together_are_one_write(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for a flush, or until there are many; closing writes the rest."""
    writes: list[str] = []
    monkeypatch.setattr(LogFile, "write", lambda _, text: writes.append(text))
    log = AccessLog(Settings(access_log=True, access_log_file=str(path)), lambda: 0.0)
    log.open()
    for _ in range(3):
        log.log_refusal({"REMOTE_ADDR": "1.2.3.4"}, Refusal("400 Bad Request", "x"))
    assert not writes
    log.flush()
    log.flush()
    for _ in range(65):
        log.log_refusal({}, Refusal("400 Bad Request", "x"))
    log.close()
    assert [text.count("\n") + 1 for text in writes] == [3, 64, 1]


def test_a_line_is_written_before_the_server_waits(
    serve: Serve, path: Path, as_json: dict[str, Any]
) -> None:
    """By the leader, also if another thread has become one, and by the threads that do not lead."""
    entered, release = threading.Event(), threading.Event()

    def sometimes_stuck(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/stuck":
            entered.set()
            release.wait(10)
        return hello(environ, start_response)

    served = serve(sometimes_stuck, threads=2, **as_json)
    stuck, quick = served.client(), served.client()
    stuck.send(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
    assert entered.wait(10)
    quick.get("/quick")
    eventually(lambda: "/quick" in path.read_text(), "the line of the quick one")
    release.set()
    stuck.answer()
    eventually(lambda: "/stuck" in path.read_text(), "the line of the stuck one")


def test_a_line_says_how_long_the_request_took(
    serve: Serve, path: Path, as_json: dict[str, Any]
) -> None:
    """By the server's clock, from the application's call on."""
    now = [100.0]

    def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        now[0] += 0.25
        return hello(environ, start_response)

    served = serve(slow, clock=lambda: now[0], threads=1, **as_json)
    served.client().get("/")
    assert [record["duration_ms"] for record in logged(served, path)] == [250.0]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", 413),
    ],
)
def test_what_never_reached_the_app_is_logged(
    request_: bytes, status: int, serve: Serve, path: Path, as_json: dict[str, Any]
) -> None:
    """With the client's address and what it was told."""
    served = serve(hello, max_header_bytes=100, max_request_line=50, max_body=10, **as_json)
    client = served.client()
    client.send(request_)
    body = client.rest().partition(b"\r\n\r\n")[2]
    [record] = logged(served, path)
    assert (record["status"], record["remote_addr"]) == (status, "127.0.0.1")
    assert record["bytes"] == len(body)
    assert record["method"] is None


def test_a_timeout_is_logged(serve: Serve, path: Path) -> None:
    """In the Combined format a request line that never came is "-"."""
    settings = {"access_log": True, "access_log_file": str(path), "header_timeout": 0.01}
    served = serve(hello, **settings)
    client = served.client()
    client.send(b"GET / HT")
    assert b"408 Request Timeout" in client.rest()
    served.stop()
    assert '] "-" 408 ' in path.read_text()


def test_a_connection_too_many_is_logged(serve: Serve, path: Path, as_json: dict[str, Any]) -> None:
    """Turned away with 503."""
    served = serve(hello, max_connections=1, **as_json)
    first = served.client()
    first.get("/")
    first.send(b"GET / HTTP/1.1\r\n")
    wait_in_head(served.server, 1)
    assert b"503 Service Unavailable" in served.client().rest()
    records = {record["status"]: record for record in logged(served, path)}
    assert sorted(records) == [200, 503]
    assert records[503]["remote_addr"] == "127.0.0.1"


def test_a_request_too_many_is_logged(serve: Serve, path: Path, as_json: dict[str, Any]) -> None:
    """What it was is known, though no thread was free for it."""
    entered, release = threading.Event(), threading.Event()

    def stuck(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        entered.set()
        release.wait(10)
        return hello(environ, start_response)

    served = serve(stuck, threads=1, max_queue=1, **as_json)
    first, second, third = served.client(), served.client(), served.client()
    first.send(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert entered.wait(10)
    second.send(b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
    third.send(b"GET /3?token=x HTTP/1.1\r\nHost: x\r\n\r\n")
    turned_away = select.select([second.sock, third.sock], [], [], 10)[0]
    release.set()
    [first.answer(), second.answer(), third.answer()]
    assert len(turned_away) == 1
    records = {record["path"]: record for record in logged(served, path)}
    away = "/2" if turned_away[0] is second.sock else "/3"
    assert {path: record["status"] for path, record in records.items()} == {
        "/1": 200, "/2": 200, "/3": 200, away: 503
    }  # fmt: skip


def test_without_a_file_the_lines_go_to_logging(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """To the logger ``dewar.server.access`` at INFO, and nowhere at WARNING."""
    with caplog.at_level(logging.WARNING, "dewar.server.access"):
        served = serve(hello, access_log=True)
        served.client().get("/quiet")
        served.stop()
    with caplog.at_level(logging.INFO, "dewar.server.access"):
        served = serve(hello, access_log=True)
        served.client().get("/100%25")
        served.stop()
    [record] = caplog.records
    assert (record.name, record.levelno) == ("dewar.server.access", logging.INFO)
    assert '"GET /100%25 HTTP/1.1" 200 5 "-" "-"' in record.getMessage()


def test_a_rotation_goes_on_in_a_new_file(
    serve: Serve, path: Path, as_json: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """`reopen_logs` after the file was renamed; where there can be none, the old one goes on."""
    served = serve(hello, **as_json)
    client = served.client()
    client.get("/1")
    client.get("/2")  # the line of the one before is written by now
    path.rename(path.with_suffix(".1"))
    served.server.reopen_logs()
    client.get("/3")
    client.get("/4")
    path.unlink()
    path.mkdir()
    served.server.reopen_logs()
    assert "The file that is open stays in use." in caplog.text
    served.stop()
    assert '"path":"/1"' in path.with_suffix(".1").read_text()
    assert "/3" not in path.with_suffix(".1").read_text()


def test_a_server_without_a_file_has_nothing_to_reopen(serve: Serve) -> None:
    """Nor has one that is not started."""
    Server(hello).reopen_logs()
    serve(hello, access_log=True).server.reopen_logs()


def test_a_server_whose_log_can_not_be_written_does_not_start(tmp_path: Path) -> None:
    """Nothing listens then."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Settings(
        bind=f"127.0.0.1:{port}", access_log=True, access_log_file=str(tmp_path / "no" / "a.log")
    )
    with pytest.raises(LogFileError, match="Cannot write the access log"):
        Server(hello, settings).start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_server_that_can_not_listen_leaves_no_log_open(path: Path) -> None:
    """What was opened before is closed again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        server = Server(hello, Settings(bind=bind, access_log=True, access_log_file=str(path)))
        for _ in range(3):
            with pytest.raises(BindError, match="in use"):
                server.start()
    assert server._backend._server_context.access_log._file is None


def test_a_client_that_went_away_is_logged(
    serve: Serve, path: Path, as_json: dict[str, Any]
) -> None:
    """With nginx's 499, where nothing had been answered."""

    def gone(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise ClientGoneError("nobody is there")

    served = serve(gone, **as_json)
    client = served.client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.is_closed()
    assert [record["status"] for record in logged(served, path)] == [499]


def test_what_an_app_does_to_its_environ_ends_no_connection(
    serve: Serve, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An environ that is emptied, or filled with what has no text."""

    class Wordless:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def rude(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        target = environ["PATH_INFO"]
        environ.clear()
        environ["REMOTE_USER"] = Wordless() if target == "/wordless" else "me"
        return hello(environ, start_response)

    served = serve(rude, access_log=True, access_log_file=str(path))
    client = served.client()
    assert client.get("/empty")[2] == client.get("/wordless")[2] == client.get("/")[2] == b"hello"
    served.stop()
    lines = path.read_text().splitlines()
    assert [line.split()[2:7:4] for line in lines] == [["me", "/empty"], ["me", "/"]]
    assert "no words" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("REMOTE_ADDR", ["::1"], "['::1']"),
        ("REMOTE_ADDR", None, "-"),
        ("REMOTE_USER", 7, "7"),
        ("REMOTE_USER", {}, "-"),
        ("HTTP_REFERER", b"/a", "b'/a'"),
        ("HTTP_USER_AGENT", {1: 2}, "{1: 2}"),
        ("HTTP_USER_AGENT", 0, "-"),
    ],
)
def test_what_is_no_text_is_logged_as_its_text(
    path: Path, name: str, value: object, expected: str
) -> None:
    """PEP 3333 asks for strings; what else an application sets costs no line."""
    log = AccessLog(Settings(access_log=True, access_log_file=str(path)), lambda: 0.0)
    log.open()
    refusal = Refusal("400 Bad Request", "x")
    for environ in ({"REMOTE_ADDR": "1.2.3.4"}, {name: value}, {}):
        log.log_refusal(environ, refusal)
    log.close()
    first, second, third = re.sub(r"\[\d.*?\]", "[time]", path.read_text()).splitlines()
    assert first.startswith("1.2.3.4 - - [time]")
    assert third.startswith("- - - [time]")
    assert second == third if expected == "-" else expected in second


def test_what_has_a_text_only_in_its_request_is_logged(path: Path) -> None:
    """A user that is a proxy, of which nothing is left when the line is written."""

    class User:
        is_here = True

        def __str__(self) -> str:
            if not self.is_here:
                raise RuntimeError("Working outside of request context.")
            return "ada"

    log = AccessLog(Settings(access_log=True, access_log_file=str(path)), lambda: 0.0)
    log.open()
    user = User()
    log.log_refusal({"REMOTE_USER": user}, Refusal("400 Bad Request", "x"))
    user.is_here = False
    log.close()
    assert path.read_text().startswith("- - ada [")


def test_a_line_that_can_not_be_made_costs_no_other(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of the same batch are written."""

    class Wordless:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    log = AccessLog(Settings(access_log=True, access_log_file=str(path)), lambda: 0.0)
    log.open()
    for address in ("1.1.1.1", Wordless(), "2.2.2.2"):
        log.log_refusal({"REMOTE_ADDR": address}, Refusal("400 Bad Request", "x"))
    log.close()
    assert [line.split()[0] for line in path.read_text().splitlines()] == ["1.1.1.1", "2.2.2.2"]
    assert "no words" in caplog.text
