"""nginx in front of the server: every answer is right, and the connections between are kept."""

import hashlib
import http.client
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from deployment.deployed import make_app
from deploymenttools import ask, ask_on
from dewar import Response
from dewar.server import Server, Settings
from nginxtools import NGINX, Nginx
from polling import eventually

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt install nginx")

CLIENTS, REQUESTS = 16, 30


class Site:
    """The app on Dewar's server, behind nginx."""

    def __init__(self, kind: str, folder: Path, fixes: bool, settings: dict[str, Any]) -> None:
        self._sockets = tempfile.TemporaryDirectory()  # a path in tmp_path can be too long
        bind = f"unix:{self._sockets.name}/s" if kind == "unix" else "127.0.0.1:0"
        self.closed, self.gate = threading.Event(), threading.Event()
        self.app: Any = self._app()
        if fixes:
            self.app.wsgi_app = ProxyFix(self.app.wsgi_app, x_for=1, x_proto=1, x_host=1)
        self.server = Server(self.app, Settings(bind=bind, **settings))
        self.server.start()
        address = self.server.addresses[0]
        upstream = f"unix:{self._sockets.name}/s" if kind == "unix" else address[len("http://") :]
        self.nginx = Nginx(upstream, folder)
        self.port = self.nginx.port

    def pool(self) -> Any:
        return self.server.statistics().pool

    def stop(self) -> None:
        self.gate.set()
        self.nginx.stop()
        self.server.stop(5)
        self._sockets.cleanup()

    def _app(self) -> Any:
        app = make_app()

        @app.get("/events")
        def events() -> Response:
            """Send one event, wait for the gate, and send another."""

            def pieces() -> Iterator[str]:
                try:
                    yield "data: 1\n\n"
                    self.gate.wait(10)
                    yield "data: 2\n\n"
                finally:
                    self.closed.set()

            return Response(pieces(), mimetype="text/event-stream")

        @app.get("/forever")
        def forever() -> Response:
            def pieces() -> Iterator[bytes]:
                try:
                    while True:
                        yield b"x" * 4096
                finally:
                    self.closed.set()

            return Response(pieces(), mimetype="text/plain")

        return app


Start = Callable[..., Site]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Start]:
    started: list[Site] = []

    def start(kind: str = "unix", fixes: bool = False, **settings: Any) -> Site:
        started.append(Site(kind, tmp_path, fixes, settings))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_every_answer_is_right_and_connections_are_kept(site: Start, kind: str) -> None:
    """Sixteen clients, requests of all kinds, and no more connections to us than nginx needs."""
    behind = site(kind, threads=4)
    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = list(pool.map(_be_client, [behind.port] * CLIENTS, range(CLIENTS)))
    statistics = behind.pool()
    assert statistics.requests == sum(asked) >= CLIENTS * REQUESTS
    assert statistics.accepted <= 2 * CLIENTS
    assert behind.nginx.errors() == []


def _be_client(port: int, number: int) -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asked = 0
    for turn in range(REQUESTS):
        asked += 2 if turn % 6 == 4 else 1
        mark = f"{number}-{turn}"
        kind = turn % 6
        if kind < 2:
            assert f" {mark} ".encode() in ask_on(client, "GET", f"/?x={mark}").body
        elif kind == 2:
            data = mark.encode() * 500
            answer = ask_on(client, "POST", "/digest", body=data)
            assert json.loads(answer.body) == _digest(data)
        elif kind == 3:
            body = ask_on(client, "GET", f"/stream?name={mark}").body
            assert body == b"".join(b"%d %b %b\n" % (n, *[mark.encode()] * 2) for n in range(20))
        elif kind == 4:
            assert ask_on(client, "HEAD", "/file").status == 200
            assert ask_on(client, "GET", "/missing").status == 404
        else:
            assert ask_on(client, "GET", "/file").body == bytes(range(250)) * 1200
    client.close()
    return asked


def _digest(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("prefix", ["", "/unbuffered"])
def test_large_bodies_come_whole_both_ways(site: Start, prefix: str) -> None:
    """Whether nginx buffers them or hands them on as they come."""
    behind = site(threads=2)
    data = os.urandom(1 << 20) * 8
    answer = ask(behind.port, "POST", f"{prefix}/digest", body=data)
    assert json.loads(answer.body) == _digest(data)
    size = 20 * 1024 * 1024
    assert ask(behind.port, "GET", f"{prefix}/bytes/{size}").body == b"0123456789abcdef" * (
        size // 16
    )
    assert behind.nginx.errors() == []


@pytest.mark.parametrize("prefix", ["", "/unbuffered"])
def test_a_chunked_upload_comes_whole(site: Start, prefix: str) -> None:
    """Unbuffered, nginx sends us chunks as well."""
    behind = site(threads=2)
    pieces = [os.urandom(size) for size in (1, 70_000, 300, 1_000_000)]
    answer = ask(behind.port, "POST", f"{prefix}/digest", body=iter(pieces))
    assert json.loads(answer.body) == _digest(b"".join(pieces))


def test_a_slow_client_holds_up_nobody(site: Start) -> None:
    """One thread, a client that does not read what it asked for, and another one."""
    behind = site(threads=1)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", behind.port))
        slow.sendall(b"GET /unbuffered/bytes/64000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.recv(9) == b"HTTP/1.1 "
        for _ in range(20):
            assert ask(behind.port, "GET", "/").status == 200
        assert behind.pool().handed_off == 0


def test_a_slow_upload_holds_up_nobody(site: Start) -> None:
    """Neither the one that nginx waits for nor the one that it hands on as it comes."""
    behind = site(threads=1)
    slow = []
    for prefix in ("", "/unbuffered"):
        sock = socket.create_connection(("127.0.0.1", behind.port), timeout=30)
        head = f"POST {prefix}/digest HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc"
        sock.sendall(head.encode())
        slow.append(sock)
    for _ in range(20):
        assert ask(behind.port, "GET", "/").status == 200
    for sock in slow:
        sock.sendall(b"def")
        response = http.client.HTTPResponse(sock)
        response.begin()
        assert json.loads(response.read()) == _digest(b"abcdef")
        response.close()
        sock.close()


def test_a_client_that_goes_ends_its_stream(site: Start) -> None:
    """Nginx hangs up on us then, and the generator is closed."""
    behind = site(threads=2)
    client = http.client.HTTPConnection("127.0.0.1", behind.port, timeout=30)
    client.request("GET", "/unbuffered/forever")
    response = client.getresponse()
    assert response.read(1000) == b"x" * 1000
    assert not behind.closed.is_set()
    response.close()
    client.close()
    assert behind.closed.wait(20)
    assert ask(behind.port, "GET", "/").status == 200


def test_a_client_that_goes_in_its_upload_leaves_nothing(site: Start) -> None:
    """The app is not called, and the connection ends."""
    behind = site(threads=2)
    with socket.create_connection(("127.0.0.1", behind.port), timeout=30) as client:
        head = b"POST /unbuffered/digest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"
        client.sendall(head)
        assert ask(behind.port, "GET", "/").status == 200  # by now nginx has seen the other one

    def is_gone() -> bool:
        ask(behind.port, "GET", "/")
        return behind.pool().connections == 1

    eventually(is_gone, lambda: f"one connection, but there are {behind.pool().connections}")
    counts = json.loads(ask(behind.port, "GET", "/counts").body)
    assert counts["due"] == counts["ended"]


def test_events_come_when_they_are_sent(site: Start) -> None:
    """Where nginx does not buffer, the first one is there while the app waits for the next."""
    behind = site(threads=2)
    client = http.client.HTTPConnection("127.0.0.1", behind.port, timeout=30)
    client.request("GET", "/unbuffered/events")
    response = client.getresponse()
    assert response.read(9) == b"data: 1\n\n"
    assert not behind.closed.is_set()
    behind.gate.set()
    assert response.read() == b"data: 2\n\n"
    client.close()


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("unix", {"fixes": True}),
        ("tcp", {"fixes": True}),
        ("unix", {"trusted_hosts": "unix"}),
        ("tcp", {"trusted_hosts": "127.0.0.0/8"}),
    ],
)
def test_the_app_knows_the_client_and_its_address(
    site: Start, kind: str, how: dict[str, Any]
) -> None:
    """ProxyFix or the server heeds what nginx says, and nginx lets nothing else through."""
    behind = site(kind, threads=2, **how)
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "ftp", "Host": "shop.example"}
    seen = json.loads(ask(behind.port, "GET", "/client?a=1", headers=forged).body)
    assert seen == {
        "remote": "127.0.0.1",
        "url": "https://shop.example/client?a=1",
        "host": "shop.example",
        "scheme": "https",
    }
    link = json.loads(ask(behind.port, "GET", "/link", headers=forged).body)
    assert link["outside"] == "https://shop.example/path/a/b"


def test_an_nginx_that_speaks_the_old_version_is_answered_whole(site: Start) -> None:
    """HTTP/1.0 is its default: a stream ends with its connection then, and nothing is lost."""
    behind = site(threads=2)
    stream = ask(behind.port, "GET", "/old/stream?name=x").body
    assert stream == b"".join(b"%d x x\n" % number for number in range(20))
    assert len(ask(behind.port, "GET", "/old/bytes/4000000").body) == 4_000_000
    data = os.urandom(1_000_000)
    assert json.loads(ask(behind.port, "POST", "/old/digest", body=data).body) == _digest(data)
    assert behind.nginx.errors() == []


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_stop_under_load_fails_only_what_came_after(site: Start, kind: str) -> None:
    """What was sent before we were told to stop is answered; later nginx finds nobody."""
    behind = site(kind, threads=4)
    load = Load(behind.port)
    load.start()
    assert behind.server.stop(10)
    load.end()
    assert load.trouble == []
    assert set(load.statuses) == {200, 502}
    # Nothing that had reached the app was lost on its way back.
    assert load.statuses.count(200) == behind.app.counts.begun == behind.app.counts.ended
    # nginx says why it answered 502: each time because nobody listened any more. (Before that it
    # may have found a kept connection closed: it tries a new one then.)
    reasons = behind.nginx.errors()
    refused = [reason for reason in reasons if "connect()" in reason]
    assert load.statuses.count(502) == len(refused), set(reasons) - set(refused)


class Load:
    """Clients that ask until they are told to end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._busy = threading.Barrier(CLIENTS + 1)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        self.statuses: list[int] = []
        self.trouble: list[Exception] = []

    def start(self) -> None:
        """Return when all clients have had answers."""
        for thread in self._threads:
            thread.start()
        self._busy.wait(20)

    def end(self) -> None:
        """Have each client ask once more."""
        self._over.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            for _ in range(10):
                self._ask(client)
            self._busy.wait(20)
            while not self._over.is_set():
                self._ask(client)
            self._ask(client)
        except Exception as error:
            self.trouble.append(error)
        finally:
            client.close()

    def _ask(self, client: http.client.HTTPConnection) -> None:
        self.statuses.append(ask_on(client, "GET", "/mine?name=x").status)
