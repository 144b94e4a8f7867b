"""``dewar run``: from a command line to a server."""

import logging
import re
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from werkzeug.debug import DebuggedApplication

from dewar.cli.configuring import address_of
from dewar.server.errors import BindError, SettingsError
from dewar.server.system.inet_address import is_loopback

Write = Callable[[str, str], Path]
Invoke = Callable[..., Result]

SHOP = """
from dewar import Dewar

app = Dewar("shop")

def plain(environ, start_response):
    start_response("200 OK", [])
    return [b"plain"]
"""


@pytest.fixture
def served(write: Write, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """An app to serve, and a list of what a server was started with."""
    write("shop.py", SHOP)
    calls: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr("dewar.cli.run.serve", lambda app, **kw: calls.append((app, kw)))
    # As in the process that serves: the one that watches is another.
    monkeypatch.setenv("DEWAR_RELOADED", "true")
    return calls


Served = list[tuple[Any, dict[str, Any]]]


def test_an_app_is_served(served: Served, invoke: Invoke) -> None:
    """``dewar run module:app`` serves it on the loopback address with 16 threads."""
    result = invoke("run", "shop:app")
    assert (result.output, result.exit_code) == ("", 0)
    [(app, settings)] = served
    assert app.name == "shop"
    assert (settings["bind"], settings["threads"]) == ("127.0.0.1:8000", 16)


@pytest.mark.parametrize(
    "args",
    [["run", "shop.py"], ["--app", "shop", "run"], ["--app", "other:app", "run", "shop:app"]],
)
def test_the_app_is_named_before_or_after(args: list[str], served: Served, invoke: Invoke) -> None:
    """``--app`` names it as well; what follows ``run`` goes before that."""
    assert invoke(*args).exit_code == 0
    assert served[0][0].name == "shop"


def test_any_wsgi_callable_is_served(served: Served, invoke: Invoke) -> None:
    """It need not be a Dewar app."""
    assert invoke("run", "shop:plain").exit_code == 0
    assert served[0][0].__name__ == "plain"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--bind", "0.0.0.0:80"], ("0.0.0.0:80", 16)),
        (["-b", "127.0.0.1:80", "-b", "unix:/run/x"], ("127.0.0.1:80,unix:/run/x", 16)),
        (["--host", "0.0.0.0"], ("0.0.0.0:8000", 16)),
        (["-h", "::1", "-p", "5000"], ("[::1]:5000", 16)),
        (["--port", "0", "--threads", "4"], ("127.0.0.1:0", 4)),
        (["-t", "4", "--without-threads"], ("127.0.0.1:8000", 1)),
    ],
)
def test_options_reach_the_server(
    args: list[str], expected: tuple[str, int], served: Served, invoke: Invoke
) -> None:
    """Dewar's way of naming an address, and Flask's."""
    assert invoke("run", "shop:app", *args).exit_code == 0
    settings = served[0][1]
    assert (settings["bind"], settings["threads"]) == expected


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--bind", "x:1", "--port", "2"], "'--bind x:1' is the whole address"),
        (["--threads", "0"], "Invalid value for '--threads': threads=0 must be a whole number, 1"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--no-such"], "No such option"),
    ],
)
def test_wrong_options_are_explained(
    args: list[str], message: str, served: Served, invoke: Invoke
) -> None:
    """Nothing is served, and the error names the option."""
    result = invoke("run", "shop:app", *args)
    assert result.exit_code == 2
    assert message in result.output
    assert not served


@pytest.mark.parametrize("prefix", ["DEWAR", "FLASK"])
def test_the_environment_names_the_address(
    prefix: str, served: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Host and port may come from variables; an address that is typed goes before them."""
    monkeypatch.setenv(f"{prefix}_RUN_HOST", "10.0.0.1")
    monkeypatch.setenv(f"{prefix}_RUN_PORT", "99")
    invoke("run", "shop:app")
    invoke("run", "shop:app", "--port", "98")
    invoke("run", "shop:app", "--bind", "127.0.0.1:1")
    binds = [settings["bind"] for _, settings in served]
    assert binds == ["10.0.0.1:99", "10.0.0.1:98", "127.0.0.1:1"]


@pytest.mark.parametrize("args", [["--debug", "run", "shop"], ["run", "shop", "--debug"]])
def test_debug_mode_brings_the_debugger(args: list[str], served: Served, invoke: Invoke) -> None:
    """`--debug` works before and after the command."""
    assert invoke(*args).exit_code == 0
    [(app, _)] = served
    assert isinstance(app, DebuggedApplication)
    assert app.app.debug is True


def test_debug_mode_can_do_without_the_debugger(served: Served, invoke: Invoke) -> None:
    """``--no-debugger`` leaves it out, and ``--debugger`` needs no debug mode."""
    invoke("run", "shop", "--debugger")
    assert isinstance(served[0][0], DebuggedApplication)
    assert served[0][0].app.debug is False
    invoke("run", "shop", "--debug", "--no-debugger")
    assert served[1][0].debug is True


def test_the_debugger_stays_on_this_machine(served: Served, invoke: Invoke) -> None:
    """On an address that others reach it is left out, or refused where it was asked for."""
    result = invoke("run", "shop", "--debug", "--host", "0.0.0.0")
    assert "The debugger is off, because 0.0.0.0:8000" in result.output
    [(app, _)] = served
    assert app.debug is True
    result = invoke("run", "shop", "--debugger", "-b", "127.0.0.1:1", "-b", "192.168.1.2:1")
    assert result.exit_code == 2
    assert "can be reached from other machines" in result.output
    assert len(served) == 1


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/tmp/x", True),
        ("127.0.0.1:1, [::1]:2", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        (":1", False),
        ("localhost.example:1", False),
        ("127.0.0.1:1,0.0.0.0:2", False),
    ],
)
def test_loopback_addresses_are_known(bind: str, expected: bool) -> None:
    """Whatever cannot be shown to be local is not."""
    assert is_loopback(bind) is expected


def test_an_address_is_put_together() -> None:
    """A part that is not given has its default; IPv6 is bracketed once."""
    assert address_of([], None, None) == "127.0.0.1:8000"
    assert address_of([], "[::1]", None) == "[::1]:8000"
    assert address_of(["a:1", "b:2"], None, None) == "a:1,b:2"


@pytest.mark.parametrize("given", ["--cert=adhoc", "--certfile=ADHOC", "variable", "file"])
def test_adhoc_makes_a_certificate(
    given: str, served: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    """As ``flask run --cert adhoc`` does, wherever the setting comes from."""
    pytest.importorskip("cryptography")
    args = []
    if given == "variable":
        monkeypatch.setenv("DEWAR_RUN_CERTFILE", "adhoc")
    elif given == "file":
        args = ["--config", str(write("server.toml", '[server]\ncertfile = "adhoc"\n'))]
    else:
        args = [given]
    result = invoke("run", "shop:app", "--bind", "127.0.0.1:0", *args)
    assert (result.output, result.exit_code) == ("", 0)
    [(_, settings)] = served
    assert isinstance(settings["ssl_context"], ssl.SSLContext)
    assert settings["certfile"] is None


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--key", "key.pem"], "makes a certificate with a key, and takes no keyfile"),
        (["--client-ca", "ca.pem"], "takes no client_ca"),
    ],
)
def test_adhoc_stands_alone(args: list[str], message: str, served: Served, invoke: Invoke) -> None:
    """It has a key, and is for no clients with certificates."""
    pytest.importorskip("cryptography")
    result = invoke("run", "shop:app", "--cert", "adhoc", *args)
    assert result.exit_code == 1
    assert message in result.output
    assert served == []


def test_adhoc_says_what_it_needs(
    served: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where cryptography is not installed; it used to be a file that cannot be read."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    result = invoke("run", "shop:app", "--cert", "adhoc")
    assert result.exit_code == 1
    assert "dewar-web[adhoc]" in result.output
    assert served == []


def test_a_file_named_adhoc_is_a_file(served: Served, invoke: Invoke, write: Write) -> None:
    """As for Flask's command."""
    write("adhoc", "a certificate")
    assert invoke("run", "shop:app", "--cert", "adhoc").exit_code == 0
    assert served[0][1]["certfile"] == "adhoc"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BindError("127.0.0.1:80", "permission denied"), "Cannot listen on '127.0.0.1:80'"),
        (SettingsError("threads is wrong"), "threads is wrong"),
    ],
)
@pytest.mark.usefixtures("served")
def test_what_the_server_refuses_is_told(
    error: Exception, message: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that cannot start is an error message, not a traceback."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr("dewar.cli.run.serve", refuse)
    result = invoke("run", "shop")
    assert result.exit_code == 1
    assert f"Error: {message}" in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.usefixtures("served")
def test_a_slip_in_the_name_is_answered(invoke: Invoke) -> None:
    """A user's typo gets the nearest match and no traceback."""
    result = invoke("run", "shop:ap")
    assert result.exit_code == 2
    assert "Did you mean 'app'?" in result.output
    assert "Traceback" not in result.output
    assert "Did you mean 'shop'?" in invoke("run", "shpo:app").output


@pytest.mark.parametrize(
    ("args", "logs"),
    [
        ([], False),
        (["--access-log"], True),
        (["--debug"], True),
        (["--debug", "--no-access-log"], False),
    ],
)
def test_requests_are_shown_on_request(
    args: list[str],
    logs: bool,
    served: Served,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The access log is on where it was asked for and in debug mode, and then it is seen."""
    logger = logging.getLogger("dewar.server.access")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    assert invoke("run", "shop", *args).exit_code == 0
    assert served[0][1]["access_log"] is logs
    assert (len(logger.handlers), logger.level == logging.INFO) == (int(logs), logs)


@pytest.mark.parametrize(("name", "body"), [("shop:plain", b"plain"), ("shop:app", b"hello")])
def test_the_installed_command_serves(name: str, body: bytes, write: Write) -> None:
    """``dewar run`` answers requests until it is told to stop, and then ends well."""
    write("shop.py", SHOP + '\napp.add_url_rule("/", view_func=lambda: "hello")\n')
    command = [Path(sys.executable).with_name("dewar"), "run", name, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with process:
        banner = process.stderr.readline() if process.stderr else ""
        address = re.search(r"http://127\.0\.0\.1:\d+", banner)
        assert address, banner
        with urllib.request.urlopen(address[0] + "/", timeout=10) as response:
            assert response.read() == body
        process.terminate()
        assert process.wait(10) == 0


def test_it_restarts_on_changes_where_asked_and_in_debug_mode(
    served: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that watches doesn't even load the app."""
    watched: list[str] = []
    monkeypatch.setattr(
        "dewar.cli.run.run_with_reload", lambda settings, **_: watched.append(settings.bind)
    )
    monkeypatch.delenv("DEWAR_RELOADED")
    invoke("run", "shop")
    invoke("run", "shop", "--debug", "--no-reload")
    assert watched == []
    invoke("run", "shop", "--reload")
    invoke("run", "shop", "--debug", "--port", "1")
    assert watched == ["127.0.0.1:8000", "127.0.0.1:1"]


def test_a_restart_that_can_not_be_had_is_refused(
    served: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it was asked for; debug mode does without."""
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    monkeypatch.delenv("DEWAR_RELOADED")
    result = invoke("run", "shop", "--reload")
    assert (result.exit_code, served) == (1, [])
    assert "pip install 'dewar-web[reload]'" in result.output
    assert invoke("run", "shop", "--debug").exit_code == 0
    assert len(served) == 1
