"""`werkzeug.serving` under Dewar's names: what programs and their tests import from it."""

import subprocess
from collections.abc import Callable

Program = Callable[..., subprocess.CompletedProcess[str]]

LIVE = """
import threading, urllib.request
from flask import Flask, Response, request, session, stream_with_context
from werkzeug.serving import (
    BaseWSGIServer, ForkingWSGIServer, ThreadedWSGIServer, WSGIRequestHandler, make_server,
)

class Quiet(WSGIRequestHandler):
    def log_request(self, *args, **options):
        pass

app = Flask(__name__)
app.secret_key = "x"

@app.get("/")
def index():
    session["seen"] = True
    return type(app).__module__

@app.get("/stream")
def stream():
    @stream_with_context
    def rows():
        yield request.path
        yield "!"
    return Response(rows())

@app.get("/async")
async def coroutine():
    return request.path

for threaded in (False, True):
    server = make_server("127.0.0.1", 0, app, threaded=threaded, request_handler=Quiet)
    assert isinstance(server, BaseWSGIServer)
    assert isinstance(server, ThreadedWSGIServer) is threaded
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for path in ("", "stream", "async"):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{path}") as answer:
            print(answer.read().decode())
    server.shutdown()
    thread.join()
    server.server_close()
"""


def test_make_server_serves_until_it_is_shut_down(program: Program) -> None:
    """As live servers of tests use it, with a request handler of their own."""
    done = program("-m", "dewar.compat", "live.py", live=LIVE)
    assert done.stderr == ""
    assert done.stdout.split() == ["dewar.app", "/stream!", "/async"] * 2


def test_run_simple_serves_beside_a_request_handler(program: Program) -> None:
    """And says once that it is not used."""
    source = """
    import os, threading, time, urllib.request, warnings, socket
    from flask import Flask
    from werkzeug.serving import WSGIRequestHandler, run_simple

    warnings.simplefilter("default")
    app = Flask(__name__)

    @app.get("/")
    def index():
        return "served"

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    handler = type("Quiet", (WSGIRequestHandler,), {})
    options = {"request_handler": handler, "threaded": True}
    args = ("127.0.0.1", port, app)
    threading.Thread(target=run_simple, args=args, kwargs=options, daemon=True).start()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
                print(answer.read().decode(), flush=True)
            break
        except OSError:
            pass
    os._exit(0)
    """
    done = program("-m", "dewar.compat", "quiet.py", quiet=source)
    assert done.stdout == "served\n"
    assert done.stderr.count("run_simple() ignores request_handler") == 1
