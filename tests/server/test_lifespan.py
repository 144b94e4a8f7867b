"""The application learns that a process begins to serve it and that it has ended."""

import logging
from pathlib import Path
from typing import Any

import pytest

from dewar import Dewar
from dewar.server import Server, Settings
from dewar.server.lifespan import begin_serving, end_serving
from faulttools import running
from polling import eventually


class Told:
    """An application that keeps what it is told, inside as much middleware as wished."""

    def __init__(self, layers: int = 0) -> None:
        self.calls: list[Any] = []
        self.wrapped: Any = self
        for _ in range(layers):
            self.wrapped = Middleware(self.wrapped)

    def begin_serving(self) -> None:
        self.calls.append("begin")

    def end_serving(self, timeout: float) -> None:
        self.calls.append(timeout)

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "0")])
        return []


class Middleware:
    """Keeps what it wraps as ``app``."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_an_app_is_told_through_its_middleware(layers: int) -> None:
    """The outermost layer that has the methods is told; negative times are none."""
    told = Told(layers)
    begin_serving(told.wrapped)
    end_serving(told.wrapped, -1.0)
    assert told.calls == ["begin", 0.0]


def test_any_other_callable_is_served_as_ever() -> None:
    """An application without the methods, or middleware that wraps itself, is no problem."""
    begin_serving(lambda environ, start_response: [])
    circle = Middleware(None)
    circle.app = circle
    begin_serving(circle)
    end_serving(circle, 1.0)


def test_an_error_at_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The process ends in any case, so the error goes to the log."""
    app = Dewar(__name__)
    app.on_stop(lambda left: 1 / 0)
    begin_serving(app)
    with caplog.at_level(logging.ERROR, logger="dewar.server"):
        end_serving(app, 1.0)
    assert "failed to end its work" in caplog.text


def test_a_server_of_threads_tells_before_and_after() -> None:
    """The begin comes before the first connection, the end after the last, once each."""
    told = Told(1)
    server = Server(told.wrapped, Settings(bind="127.0.0.1:0", threads=2))
    server.start()
    assert told.calls == ["begin"]
    server.stop(5.0)
    assert len(told.calls) == 2
    assert 0 < told.calls[1] <= 5.0


def test_an_app_that_can_not_begin_keeps_the_server_from_starting() -> None:
    """The error is the caller's, and nothing listens."""
    app = Dewar(__name__)
    app.on_start(lambda: 1 / 0)
    server = Server(app, Settings(bind="127.0.0.1:0"))
    with pytest.raises(ZeroDivisionError):
        server.start()
    assert server.addresses == ()


def test_each_worker_process_begins_and_ends(tmp_path: Path) -> None:
    """With two processes the app begins twice and, when they are told to stop, ends twice."""
    log = tmp_path / "log"
    log.touch()
    before = f"""
class Told:
    def __call__(self, environ, start_response):
        return app_(environ, start_response)
    def begin_serving(self):
        with open({str(log)!r}, "a") as file: file.write(f"begin {{os.getpid()}}\\n")
    def end_serving(self, timeout):
        with open({str(log)!r}, "a") as file: file.write(f"end {{os.getpid()}}\\n")
app_, app = app, Told()
"""
    with running("processes=2, threads=2", before) as server:
        workers = set(server.workers())
        server.send(15)
        server.wait_end()
    eventually(lambda: log.read_text().count("\n") == 4)
    lines = log.read_text().split("\n")[:-1]
    assert {line for line in lines if line.startswith("begin")} == {f"begin {w}" for w in workers}
    assert {line for line in lines if line.startswith("end")} == {f"end {w}" for w in workers}
