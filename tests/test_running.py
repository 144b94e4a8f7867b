"""`app.run()`: what it hands to the server."""

import logging
import sys
from typing import Any

import pytest
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.shared_data import SharedDataMiddleware

import dewar.running
from dewar import Dewar
from dewar.running import run_simple


@pytest.fixture
def app() -> Dewar:
    return Dewar("run_me", static_folder=None)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    calls: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(dewar.running, "run", lambda app, **options: calls.append((app, options)))
    monkeypatch.setenv("DEWAR_SKIP_DOTENV", "1")
    return calls


def test_by_default_it_listens_as_flask_does(app: Dewar, served: list[Any]) -> None:
    """On port 5000 of the loopback address."""
    app.run()
    assert served == [(app, {"bind": "127.0.0.1:5000", "name": "run_me"})]


def test_host_port_and_the_servers_settings_are_passed_on(app: Dewar, served: list[Any]) -> None:
    """Threads among them; ``threaded=False`` means one."""
    app.run("0.0.0.0", 8080, threads=4, access_log=True)
    app.run("::1", threaded=False)
    assert [options for _, options in served] == [
        {"bind": "0.0.0.0:8080", "name": "run_me", "threads": 4, "access_log": True},
        {"bind": "[::1]:5000", "name": "run_me", "threads": 1},
    ]


def test_server_name_says_where_to_listen(app: Dewar, served: list[Any]) -> None:
    """Unless the call says otherwise."""
    app.config["SERVER_NAME"] = "example.test:9000"
    app.run()
    app.run(port=1)
    assert [options["bind"] for _, options in served] == ["example.test:9000", "example.test:1"]


def test_debug_mode_brings_the_debugger_on_loopback_only(
    app: Dewar,
    served: list[Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It runs any code that is sent to it."""
    monkeypatch.setenv("DEWAR_RELOADED", "true")
    app.run(debug=True)
    assert isinstance(served[0][0], DebuggedApplication)
    with caplog.at_level(logging.WARNING):
        app.run("0.0.0.0", debug=True)
    assert served[1][0] is app
    assert "The debugger is off" in caplog.text
    with pytest.raises(ValueError, match="let other machines run code here"):
        app.run("0.0.0.0", use_debugger=True)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What is watched; the process is not ended as it would be."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(dewar.running, "run_with_reload", lambda *args: calls.append(args))
    return calls


def test_debug_mode_restarts_on_changes(
    app: Dewar, served: list[Any], watched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Flask does, unless told not to; the child only serves."""
    app.run()
    app.run(debug=True, use_reloader=False)
    assert watched == []
    app.run(debug=True, extra_files=["a.txt"])
    app.run(debug=False, use_reloader=True, exclude_patterns=["*.tmp"])
    assert watched == [(["a.txt"], None), (None, ["*.tmp"])]
    monkeypatch.setenv("DEWAR_RELOADED", "true")
    app.run(debug=True)
    assert len(watched) == 2


def test_without_watchfiles_it_serves_all_the_same(
    app: Dewar,
    served: list[Any],
    watched: list[Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A warning says what to install."""
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with caplog.at_level(logging.WARNING):
        app.run(use_reloader=True)
    assert "pip install 'dewar-web[reload]'" in caplog.text
    assert (len(served), watched) == (1, [])


def test_who_replaces_werkzeugs_run_simple_hears_of_run(
    app: Dewar, served: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests of Flask programs do so, and tracing tools."""
    calls: list[Any] = []
    monkeypatch.setattr("werkzeug.serving.run_simple", lambda *a, **kw: calls.append((a, kw)))
    app.run(port=1)
    options = {"use_reloader": False, "use_debugger": False, "threaded": True}
    assert calls == [(("127.0.0.1", 1, app), options)]
    assert served == []


def test_run_simple_serves_one_request_at_a_time_unless_threaded(served: list[Any]) -> None:
    """As Werkzeug's does; a program may count on it."""

    def hello(environ: Any, start_response: Any) -> list[bytes]:
        return []

    run_simple("localhost", 1, hello)
    run_simple("unix:///tmp/x", 0, hello, threaded=True)
    assert [options for _, options in served] == [
        {"bind": "localhost:1", "name": None, "threads": 1},
        {"bind": "unix:/tmp/x", "name": None},
    ]


def test_run_simple_wraps_the_app_as_asked(served: list[Any]) -> None:
    """In the debugger, and in what serves static files."""
    app = Dewar("wrapped", static_folder=None)
    run_simple("127.0.0.1", 1, app, use_debugger=True, static_files={"/x": "folder"})
    assert isinstance(served[0][0], DebuggedApplication)
    assert isinstance(served[0][0].app, SharedDataMiddleware)


@pytest.mark.parametrize("option", ["processes", "ssl_context", "request_handler"])
def test_run_simple_refuses_what_it_has_not_got(served: list[Any], option: str) -> None:
    """Rather than serving another way than asked."""
    with pytest.raises(NotImplementedError, match=option):
        run_simple("127.0.0.1", 1, Dewar("x"), **{option: 2})


def test_it_does_nothing_while_a_command_imports_the_script(
    app: Dewar, served: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``dewar run script:app`` only wants the app."""
    monkeypatch.setenv("DEWAR_RUN_FROM_CLI", "true")
    app.run()
    assert served == []
