import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from bench.apps.raw import app
from bench.machine import Machine
from bench.servers import Contestant, Server, ServerFailedError

from bench import load


class Handler(WSGIRequestHandler):
    """Answers HTTP/1.0, hence closes after each answer."""

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def closing_port():
    """A server that closes after each answer."""
    server = make_server("127.0.0.1", 0, app, handler_class=Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_broken_connections_are_counted_not_hidden(closing_port):
    """A server without keep-alive gives answers, and an error for every connection it ends."""
    shot = load.fire(closing_port, "/", connections=2, seconds=0.2)
    assert shot.errors > 0


def test_a_server_that_cannot_start_tells_its_last_line(tmp_path):
    """The reason in the row is the last line of the server's own log."""
    contestant = Contestant(
        name="broken", command=("python3", "-c", "raise SystemExit('no such module')")
    )
    server = Server(contestant=contestant, folder=tmp_path, environment={"PATH": "/usr/bin:/bin"})
    with pytest.raises(ServerFailedError, match="no such module"), server:
        pass


def test_nobody_is_pinned_on_one_core():
    """With one core, or without taskset, commands stay as they are and the table says so."""
    one = Machine(cores=(0,), taskset="/usr/bin/taskset")
    none = Machine(cores=(0, 1), taskset=None)
    both = Machine(cores=(2, 5), taskset="taskset")
    assert one.pin_server() == none.pin_load() == []
    assert "one core" in one.describe_pinning()
    assert "taskset is not installed" in none.describe_pinning()
    assert both.pin_server() == ["taskset", "--cpu-list", "2"]
    assert both.pin_load() == ["taskset", "--cpu-list", "5"]
