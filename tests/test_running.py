"""`app.run()`: what it hands to the server."""

import logging
from typing import Any

import pytest
from werkzeug.debug import DebuggedApplication

import dewar.running
from dewar import Dewar


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
    app: Dewar, served: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It runs any code that is sent to it."""
    app.run(debug=True)
    assert isinstance(served[0][0], DebuggedApplication)
    with caplog.at_level(logging.WARNING):
        app.run("0.0.0.0", debug=True)
    assert served[1][0] is app
    assert "The debugger is off" in caplog.text
    with pytest.raises(ValueError, match="let other machines run code here"):
        app.run("0.0.0.0", use_debugger=True)


def test_a_reloader_is_refused_with_the_way_out(app: Dewar, served: list[Any]) -> None:
    """It is not there yet."""
    with pytest.raises(RuntimeError, match=r"watchfiles 'python app\.py'"):
        app.run(use_reloader=True)


def test_it_does_nothing_while_a_command_imports_the_script(
    app: Dewar, served: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``dewar run script:app`` only wants the app."""
    monkeypatch.setenv("DEWAR_RUN_FROM_CLI", "true")
    app.run()
    assert served == []
