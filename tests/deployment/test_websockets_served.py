"""WebSockets on each server that gives the app a socket, seen by another project's client."""

import importlib.util
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from deploymenttools import Process, free_port
from nginxtools import NGINX, NginxWith
from polling import eventually

_APP = """
import sys

from dewar import Dewar, abort, g, request, session

app = Dewar("served", static_folder=None)
app.secret_key = "a key for tests"


@app.before_request
def before():
    g.count = 0


@app.websocket("/echo/<name>")
async def echo(ws, name):
    session["name"] = name
    async for message in ws:
        g.count += 1
        await ws.send_json([message, name, request.path, g.count])


@app.websocket("/refuse")
async def refuse(ws):
    abort(403)


@app.websocket("/fail")
async def fail(ws):
    await ws.receive()
    raise LookupError("as asked")


inner = Dewar("inner", static_folder=None)
inner.secret_key = "another key"
inner.websocket("/echo/<name>")(echo)
inner.before_request(before)
app.mount("/mounted", inner)

if __name__ == "__main__":
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True)
"""

# As `deploy.md` has it.
_SITE = """
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    upstream app {{ server 127.0.0.1:{upstream}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header Host $host:$server_port;
        location / {{ proxy_pass http://app; }}
    }}
"""

Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the app on a server; it is stopped afterwards."""
    (tmp_path / "served.py").write_text(_APP, encoding="utf-8")
    started: list[Process] = []

    def start(*command: str) -> Process:
        port = free_port()
        words = [word.replace("PORT", str(port)) for word in command]
        started.append(Process([sys.executable, *words], port, tmp_path))
        return started[-1]

    yield start
    for process in reversed(started):
        process.stop()


DEWAR = ("-m", "dewar", "run", "served:app", "--bind", "127.0.0.1:PORT")
GUNICORN = ("-m", "gunicorn", "served:app", "--bind", "127.0.0.1:PORT", "--threads", "4")
SERVERS = {
    "dewar": DEWAR,
    "dewar-processes": (*DEWAR, "--processes", "2"),
    "gunicorn-threads": GUNICORN,
    "gunicorn-gevent": (*GUNICORN, "--worker-class", "gevent"),
    "werkzeug": ("served.py", "PORT"),
}


def opened(process: Process, path: str) -> ClientConnection:
    """Return a WebSocket to a server, opened as by a page that it has served."""
    origin = f"http://127.0.0.1:{process.port}"
    return connect(f"ws://127.0.0.1:{process.port}{path}", origin=origin, open_timeout=20)


def check(process: Process) -> None:
    """Check what a client sees of the app."""
    for mount in ("", "/mounted"):
        with (
            opened(process, f"{mount}/echo/ada") as one,
            opened(process, f"{mount}/echo/bob") as two,
        ):
            assert "session=" in one.response.headers["Set-Cookie"] or mount
            for count in (1, 2):
                for ws, name in [(one, "ada"), (two, "bob")]:
                    ws.send("x" * 70_000)
                    text = f'["{"x" * 70_000}","{name}","/echo/{name}",{count}]'
                    assert ws.recv(20).replace(" ", "").strip() == text
        assert one.close_code == 1000
    with pytest.raises(InvalidStatus, match="403"):
        opened(process, "/refuse")
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{process.port}/echo/x", origin="https://evil.example")
    with opened(process, "/fail") as ws:
        ws.send("now")
        with pytest.raises(ConnectionClosed):
            ws.recv(20)
        assert ws.close_code == 1011


@pytest.mark.parametrize("server", SERVERS)
def test_the_app_is_the_same_on_each_server(server: str, start: Start) -> None:
    """Messages, cookies, mounts, refusals, errors."""
    module = SERVERS[server][1]
    if module == "gunicorn" and importlib.util.find_spec(module) is None:
        pytest.skip("gunicorn is not installed")
    process = start(*SERVERS[server])
    check(process)
    eventually(lambda: "LookupError: as asked" in process.log(), process.log)
    process.stop()
    assert process.log().count("LookupError: as asked") == 1
    assert "CRITICAL" not in process.log()
    assert "Socket error" not in process.log()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt install nginx")
def test_nginx_passes_them_on(start: Start, tmp_path: Path) -> None:
    """With the site of the documentation; the origin is that of the page."""
    behind = start(*DEWAR)
    port = free_port()
    nginx = NginxWith(_SITE.format(upstream=behind.port, port=port), port, tmp_path)
    try:
        check(nginx)
    finally:
        nginx.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stop_and_a_reload_close_with_1001(number: int, start: Start) -> None:
    """The view ends at once, so that nobody waits for it."""
    process = start(*DEWAR, "--processes", "2")
    with opened(process, "/echo/ada") as one, opened(process, "/mounted/echo/bob") as two:
        process.signal(number)
        for ws in (one, two):
            with pytest.raises(ConnectionClosed):
                ws.recv(20)
            assert ws.close_code == 1001
    if number == signal.SIGHUP:
        check(process)
    else:
        assert process.wait() == 0


def test_a_server_without_sockets_answers_501(start: Start) -> None:
    """And the log says what to serve the app with."""
    pytest.importorskip("waitress")
    process = start("-m", "waitress", "--listen=127.0.0.1:PORT", "served:app")
    with pytest.raises(InvalidStatus, match="501"):
        opened(process, "/echo/ada")
    assert "Serve the app with: dewar run" in process.log()
