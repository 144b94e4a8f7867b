"""`app.run()`: what it hands to the server."""

import logging
import ssl
import sys
from pathlib import Path
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
    monkeypatch.setattr(
        dewar.running,
        "run_with_reload",
        lambda settings, **files: calls.append((settings.bind, *files.values())),
    )
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
    assert watched == [
        ("127.0.0.1:5000", ["a.txt"], None),
        ("127.0.0.1:5000", None, ["*.tmp"]),
    ]
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


def test_run_simple_warns_of_what_has_no_effect(served: list[Any]) -> None:
    """One warning names all, at the line of the call; the app is served."""
    app, positional = Dewar("x"), (False, False, True, None, None, 1, "auto", True, 1)
    with pytest.warns(RuntimeWarning, match="ignores request_handler: .*access_log") as told:
        run_simple("127.0.0.1", 1, app, *positional, int)
    assert [one.filename for one in told] == [__file__]
    with pytest.warns(RuntimeWarning) as told:
        run_simple(
            "127.0.0.1", 1, app, request_handler=int, passthrough_errors=True,
            reloader_type="stat", reloader_interval=2, thread=3, keep_alive=7,
        )  # fmt: skip
    assert len(told) == 1
    text = str(told[0].message)
    for name in ("request_handler", "passthrough_errors", "reloader_type", "reloader_interval"):
        assert f"{name}: " in text
    assert "thread: there is no such setting. Did you mean 'threads'?" in text
    assert [options for _, options in served] == [
        {"bind": "127.0.0.1:1", "name": "x"},
        {"bind": "127.0.0.1:1", "name": "x", "threads": 1, "keep_alive": 7},
    ]


def test_app_run_warns_of_what_has_no_effect(
    app: Dewar, served: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not again in the child of the reloader; what is as by default is no reason to warn."""
    with pytest.warns(RuntimeWarning, match=r"app.run\(\) ignores request_handler") as told:
        app.run(request_handler=int, surprise=1)
    assert [one.filename for one in told] == [__file__]
    assert "surprise: there is no such setting." in str(told[0].message)
    app.run(request_handler=None, passthrough_errors=False, reloader_type="auto")
    monkeypatch.setenv("DEWAR_RELOADED", "true")
    app.run(request_handler=int)
    assert [options for _, options in served] == [{"bind": "127.0.0.1:5000", "name": "run_me"}] * 3


def test_run_simple_passes_processes_on(served: list[Any]) -> None:
    """The server decides what it can do with them."""
    run_simple("127.0.0.1", 1, Dewar("x"), processes=2, threaded=True)
    assert served[0][1] == {"bind": "127.0.0.1:1", "name": "x", "processes": 2}


def test_ssl_context_means_what_it_means_in_flask(served: list[Any], app: Dewar) -> None:
    """A context, or a pair of files; `run_simple` and `app.run` alike."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    run_simple("127.0.0.1", 1, app, ssl_context=context)
    app.run(ssl_context=("cert.pem", Path("key.pem")))
    app.run(ssl_context=("both.pem",))
    settings = [options for _, options in served]
    assert settings[0]["ssl_context"] is context
    assert (settings[1]["certfile"], settings[1]["keyfile"]) == ("cert.pem", "key.pem")
    assert settings[2]["certfile"] == "both.pem"
    assert "keyfile" not in settings[2]


@pytest.mark.parametrize("wrong", ["cert.pem", 1, True, (), ("a", "b", "c"), (1, 2)])
def test_an_ssl_context_that_is_none_is_explained(served: list[Any], wrong: Any) -> None:
    """With what would be one."""
    with pytest.raises(ValueError, match=r"ssl_context=\('cert.pem', 'key.pem'\)"):
        run_simple("127.0.0.1", 1, Dewar("x"), ssl_context=wrong)
    assert served == []


def test_adhoc_names_what_it_needs(served: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cryptography is not installed."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(RuntimeError, match=r"dewar-web\[adhoc\]"):
        run_simple("127.0.0.1", 1, Dewar("x"), ssl_context="adhoc")
    assert served == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "shop.test", "unix:///tmp/x"])
def test_adhoc_makes_a_context(served: list[Any], host: str) -> None:
    """For the host that is listened on."""
    pytest.importorskip("cryptography")
    run_simple(host, 1, Dewar("x"), ssl_context="adhoc")
    assert isinstance(served[0][1]["ssl_context"], ssl.SSLContext)


def test_an_app_that_has_run_can_be_set_up_again(app: Dewar, served: list[Any]) -> None:
    """At a prompt, where a route is added between two runs."""
    app.test_client().get("/")
    with pytest.raises(AssertionError):
        app.get("/late")
    app.run()
    app.get("/late")(lambda: "late")
    assert app.test_client().get("/late").text == "late"


def test_it_does_nothing_while_a_command_imports_the_script(
    app: Dewar, served: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``dewar run script:app`` only wants the app."""
    monkeypatch.setenv("DEWAR_RUN_FROM_CLI", "true")
    app.run()
    assert served == []
    # The way in which a command of a Flask program serves its app.
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "false")
    app.run()
    assert len(served) == 1
