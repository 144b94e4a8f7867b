"""``--mount WHERE=MODULE:APP``."""

import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from werkzeug.debug import DebuggedApplication
from werkzeug.test import Client

Write = Callable[[str, str], Path]
Invoke = Callable[..., Result]
Served = list[tuple[Any, dict[str, Any]]]

MODULE = """
from dewar import Dewar, url_for

def create_app(name="{name}"):
    app = Dewar(name, static_folder=None)
    app.add_url_rule("/", "index", lambda: name)
    app.add_url_rule("/link/<to>", "link", lambda to: url_for(to))
    return app

app = create_app()

def plain(environ, start_response):
    start_response("200 OK", [])
    return [b"plain"]
"""


@pytest.fixture
def served(write: Write, monkeypatch: pytest.MonkeyPatch) -> Served:
    """Two modules, and a list of what a server was started with."""
    for name in ("shop", "admin"):
        write(f"{name}.py", MODULE.format(name=name))
    calls: Served = []
    monkeypatch.setattr(
        "dewar.cli.run.serve", lambda app=None, **kwargs: calls.append((app, kwargs))
    )
    monkeypatch.setenv("DEWAR_RELOADED", "true")
    return calls


def test_apps_are_mounted_by_path_and_by_host(served: Served, invoke: Invoke) -> None:
    """Any callable and any factory; the name in the banner stays the first one's."""
    result = invoke(
        *("run", "shop:app", "--mount", "/admin=admin:app", "--mount", "/p=admin:plain"),
        *("--mount", "api.example.com=admin:create_app('api')", "--mount", "intranet/=admin:plain"),
        *("--mount", "*.example.com/v1=admin:create_app(name='v1')"),
    )
    assert (result.output, result.exit_code) == ("", 0)
    [(app, settings)] = served
    assert settings["name"] == "shop"
    client = Client(app)
    assert client.get("/").text == "shop"
    assert client.get("/admin/").text == "admin"
    assert client.get("/p/x").text == "plain"
    assert client.get("/", base_url="http://api.example.com").text == "api"
    assert client.get("/v1/", base_url="http://x.example.com").text == "v1"
    assert client.get("/x", base_url="http://intranet").text == "plain"
    assert client.get("/link/admin:index").text == "/admin/"
    assert client.get("/admin/link/:index").text == "/"


def test_what_is_served_without_mounts_is_the_app_itself(served: Served, invoke: Invoke) -> None:
    """Nothing is put around it."""
    invoke("run", "shop:app")
    assert served[0][0].name == "shop"


def test_a_variable_names_several(
    served: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With blanks between them."""
    monkeypatch.setenv("DEWAR_RUN_MOUNT", "/a=admin:app /b=admin:plain")
    assert invoke("run", "shop:app").exit_code == 0
    assert Client(served[0][0]).get("/b/").text == "plain"


def test_debug_mode_is_for_all(served: Served, invoke: Invoke) -> None:
    """The debugger stands around the whole."""
    invoke("run", "shop:app", "--mount", "/admin=admin:app", "--debug", "--no-reload")
    [(debugged, _)] = served
    assert isinstance(debugged, DebuggedApplication)
    dispatcher: Any = debugged.app
    assert dispatcher.app.debug
    assert dispatcher.mounts["/admin"].debug


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ("/admin", "'/admin' should have a place and an app"),
        ("=admin:app", "should have a place and an app"),
        ("/admin=", "'--mount /admin=module:app'"),
        ("admin=admin", "Write '/admin=admin' for the path, or 'admin/=admin' for the host."),
        ("/admin=nowhere:app", "'--mount /admin=nowhere:app': Could not import 'nowhere'"),
        ("/admin=admin:ap", "'--mount /admin=admin:ap': Failed to find attribute 'ap'"),
        ("/admin/=admin:app", "'--mount /admin/=admin:app': '/admin/' is not a path"),
        ("a:80/x=admin:app", "'--mount a:80/x=admin:app': 'a:80' is not a host"),
    ],
)
def test_an_error_names_the_option(
    served: Served, invoke: Invoke, mount: str, message: str
) -> None:
    """And says what to write instead."""
    result = invoke("run", "shop:app", "--mount", mount)
    assert result.exit_code == 2
    assert message in result.output
    assert served == []


def test_workers_load_the_mounts_where_they_load_the_app(served: Served, invoke: Invoke) -> None:
    """So that a roll-over brings new code of both."""
    invoke("run", "shop:app", "--mount", "/admin=admin:app", "--processes", "2")
    [(app, settings)] = served
    assert app is None
    assert Client(settings["load"]()).get("/admin/").text == "admin"


def test_routes_shows_the_whole_tree(served: Served, invoke: Invoke, write: Write) -> None:
    """Each app with its place; what has no routes that are known in one line."""
    write(
        "tree.py",
        "from shop import create_app, plain\n"
        "app, admin = create_app(), create_app('admin')\n"
        "app.mount('/admin', admin)\n"
        "admin.mount('/v1', create_app('api'), host='api.example.com')\n"
        "app.mount('/plain', plain)\n",
    )
    result = invoke("--app", "tree:app", "routes", "--mount", "/more=admin:app")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    table = [
        "Endpoint  Methods  Rule",
        "--------  -------  ----------",
        "index     GET      /",
        "link      GET      /link/<to>",
    ]
    apps = ["/: shop", "/admin: admin", "//api.example.com/admin/v1: api"]
    expected = [line for app in apps for line in (app, *table, "")]
    assert lines[: len(expected)] == expected
    rest = lines[len(expected) :]
    assert rest[0].startswith("/plain: <function plain")
    assert rest[0].endswith(", whose routes are not known")
    assert rest[1:] == ["", "/more: admin", *table]


def test_routes_of_a_plain_dispatcher(served: Served, invoke: Invoke, write: Write) -> None:
    """The command needs one app with routes, and not that it is the outermost."""
    write(
        "together.py",
        "from dewar.mounting.dispatcher import DispatcherMiddleware\n"
        "from shop import app as shop, plain\n"
        "site = DispatcherMiddleware(plain, {'/shop': shop})\n",
    )
    result = invoke("--app", "together:site", "routes")
    assert "/shop: shop" in result.output
    refused = invoke("--app", "shop:plain", "routes")
    assert refused.exit_code == 2
    assert "needs a Dewar app" in refused.output


def test_a_process_serves_both(write: Write, tmp_path: Path) -> None:
    """From the command line to two answers, and no more than the banner."""
    for name in ("shop", "admin"):
        write(f"{name}.py", MODULE.format(name=name))
    command = [sys.executable, "-m", "dewar", "run", "shop:app", "--mount", "/admin=admin:app"]
    with subprocess.Popen(
        [*command, "--port", "0"], stderr=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as process:
        assert process.stderr is not None
        banner = process.stderr.readline()
        assert banner.startswith("Dewar serving shop on http://127.0.0.1:")
        address = banner.split(" on ")[1].split()[0]
        try:
            for path in ("", "admin/"):
                with urllib.request.urlopen(f"{address}/{path}", timeout=20) as answer:
                    assert answer.read().decode() == (path.strip("/") or "shop")
        finally:
            process.terminate()
            process.communicate(timeout=20)
        assert process.returncode == 0
