"""What importing loads, each time in a fresh interpreter: nothing that was not asked for."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src" / "dewar"

#: How many modules of Dewar ``import dewar`` may load. It loaded 95 when this was written.
MOST_MODULES = 130

#: An app that answers one request, as any WSGI server calls it.
ONE_REQUEST = """
import dewar
from wsgiref.util import setup_testing_defaults

app = dewar.Dewar("app")

@app.get("/")
def index():
    dewar.session["word"] = dewar.request.path
    return dewar.render_template_string("{{ request.method }}")

app.secret_key = "secret"
environ, answer = {}, []
setup_testing_defaults(environ)
body = app(environ, lambda *args: answer.append(args[0]))
assert (answer, b"".join(body)) == (["200 OK"], b"GET")
getattr(body, "close", list)()
"""

#: An app without templates, served by ``dewar run`` as far as the first answer.
FIRST_ANSWER = """
import http.client, sys
import dewar.__main__

app = dewar.Dewar("app")

@app.get("/")
def index():
    return {"debug": app.debug}

app.debug = False
dewar.__main__.cli().main(["run", "--print-settings"], standalone_mode=False)

import dewar.server.serve
from dewar.server import Server, Settings

server = Server(app, Settings(bind="127.0.0.1:0", threads=2))
server.start()
client = http.client.HTTPConnection(server.addresses[0].rpartition("/")[2])
client.request("GET", "/")
assert client.getresponse().status == 200
client.close()
server.stop()
"""

#: Importing a folder imports the root as well, and that has the framework's names. This is a root
#: without names: what is loaded then is what the folder asks for itself.
WITHOUT_THE_ROOT = f"""
import sys, types

sys.modules["dewar"] = types.ModuleType("dewar")
sys.modules["dewar"].__path__ = [{str(ROOT)!r}]
"""


def loaded_by(source: str) -> set[str]:
    """Return the names of the modules that a program has loaded in the end."""
    source += "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def below(package: str, modules: set[str]) -> set[str]:
    return {name for name in modules if name == package or name.startswith(f"{package}.")}


@pytest.mark.parametrize("source", ["import dewar", ONE_REQUEST], ids=["import", "request"])
def test_an_app_loads_neither_the_server_nor_the_tasks(source: str) -> None:
    """Nor what else many apps do without: an event loop, commands, the client for tests."""
    modules = loaded_by(source)
    for folder in ("server", "tasks", "running", "cli", "testing", "events"):
        assert below(f"dewar.{folder}", modules) == set()
    assert modules.isdisjoint({"asyncio", "click", "sqlalchemy", "websockets"})


def test_a_server_loads_only_what_it_needs_for_the_first_answer() -> None:
    """No templates, jobs, other processes or debugger."""
    modules = loaded_by(FIRST_ANSWER)
    assert "dewar.server.threads.pool" in modules
    unused = {"jinja2", "werkzeug.debug", "importlib.metadata"}
    unused |= {"dewar.tasks", "dewar.templating", "dewar.cli.tasks_command", "dewar.compat.flask"}
    unused |= {"dewar.contexts.snapshot", "dewar.run_options", "dewar.support.metric_family"}
    server = ("gunicorn", "connection.handshake", "metrics.statistics", "processes.supervisor")
    unused |= {f"dewar.server.{name}" for name in (*server, "proxies.forwarded_middleware")}
    assert modules & unused == set()


@pytest.mark.parametrize("name", ["render_template", "stream_template_string"])
def test_importing_a_template_function_loads_jinja(name: str) -> None:
    """When the app is loaded, and not during its first request."""
    assert "jinja2.environment" in loaded_by(f"from dewar import {name}")


def test_importing_the_root_loads_few_modules() -> None:
    """What every app pays for stays small."""
    assert len(below("dewar", loaded_by("import dewar"))) <= MOST_MODULES


def test_events_and_coroutines_load_no_server() -> None:
    """The app asks the server through the environ, and waits on a loop that is not the server's."""
    source = (
        f"{ONE_REQUEST}\ndewar.event_stream, dewar.ServerSentEvent"
        "\nasync def answer(): return 42"
        "\nassert app.ensure_sync(answer)() == 42"
    )
    modules = loaded_by(source)
    assert "dewar.loop.event_loop" in modules
    assert below("dewar.server", modules) == set()


def test_the_server_loads_no_framework() -> None:
    """It serves any WSGI application; of Dewar it needs only what stands below it."""
    source = f"{WITHOUT_THE_ROOT}\nfrom dewar.server import Server, Settings, run"
    modules = loaded_by(source)
    assert below("dewar.server.threads", modules)
    for package in ("werkzeug", "jinja2", "click", "dewar.app", "dewar.contexts", "dewar.pipeline"):
        assert below(package, modules) == set()


def test_the_servers_face_loads_what_is_asked_for() -> None:
    """A program that wants to catch the server's errors does not load all of it."""
    modules = loaded_by(f"{WITHOUT_THE_ROOT}\nimport dewar.server.errors")
    assert len(below("dewar.server", modules)) <= 4
    modules = loaded_by(f"{WITHOUT_THE_ROOT}\nfrom dewar.server import Settings")
    assert below("dewar.server.threads", modules) == set()


@pytest.mark.parametrize("face", ["__init__.py", "server/__init__.py"])
def test_a_lazy_name_is_the_one_that_type_checkers_see(face: str) -> None:
    """The table of a face and its imports for type checkers say the same."""
    tree = ast.parse((ROOT / face).read_text())
    (choice,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module
        for node in choice.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (table,) = [node for node in ast.walk(choice) if isinstance(node, ast.Dict)]
    assert ast.literal_eval(table).items() >= seen.items()
