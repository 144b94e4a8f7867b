"""Child processes of a program that runs on Dewar."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from polling import eventually

PARENT = """\
import multiprocessing, subprocess, sys

def name():
    import flask
    return flask.Flask.__module__

def run(code):
    return subprocess.run([sys.executable, "-c", code], text=True, stdout=-1).stdout.strip()

if __name__ == "__main__":
    print(run("import flask; print(flask.Flask.__module__)"))
    print(run("from werkzeug.serving import run_simple; print(run_simple.__module__)"))
    print(run("import sys; print('dewar' in sys.modules)"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(name))
"""


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        text=True,
        capture_output=True,
        timeout=180,
    )


def test_children_run_on_dewar_too(tmp_path: Path) -> None:
    """Those that ask for Flask or Werkzeug, however they are started; others load nothing."""
    (tmp_path / "parent.py").write_text(PARENT)
    result = run(tmp_path, "-m", "dewar.compat", "parent.py")
    assert result.stderr == ""
    assert result.stdout.split() == ["dewar.app", "dewar.running", "False", "dewar.app"]


def test_the_users_own_sitecustomize_still_runs(tmp_path: Path) -> None:
    """And the folder is gone from the path when it does."""
    (tmp_path / "sitecustomize.py").write_text("import sys; print([*sys.path][0][-7:])")
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'])"
    result = run(tmp_path, "-m", "dewar.compat", "-c", code, PYTHONPATH=str(tmp_path))
    assert result.stderr == ""
    assert result.stdout.count(str(tmp_path)[-7:]) == 2
    assert "startup" not in result.stdout


def test_the_flask_command_runs_on_dewar(tmp_path: Path) -> None:
    """Flask's own console script."""
    command = Path(sys.executable).with_name("flask")
    code = f"import subprocess; subprocess.run([{str(command)!r}, '--version'])"
    result = run(tmp_path, "-m", "dewar.compat", "-c", code)
    assert "on Dewar" in result.stdout


CHILD = (
    "import subprocess, sys; sys.exit(subprocess.run([sys.executable, *sys.argv[1:]]).returncode)"
)
NAME = "print(flask.Flask.__module__)"


def child(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with *arguments* as a child of a program on Dewar."""
    return run(folder, "-m", "dewar.compat", "-c", CHILD, *arguments, **variables)


@pytest.mark.parametrize(
    "code",
    [
        f"import flask; {NAME}",
        f"import dewar, flask; {NAME}",
        f"import werkzeug, dewar, flask; {NAME}",
        f"import dewar.compat, flask; {NAME}",
        f"import dewar.testing.environ, flask; {NAME}",
        f"import dewar.server, flask; {NAME}",
        f"import werkzeug.test, flask; {NAME}",
        f"import flask.sansio.app, flask.cli; {NAME}",
        f"from importlib.util import find_spec; find_spec('werkzeug'); import flask; {NAME}",
        f"from importlib.util import find_spec; find_spec('dewar'); import flask; {NAME}",
        f"from importlib.util import find_spec; assert find_spec('flask'); import flask; {NAME}",
        f"import dewar.compat; dewar.compat.install(); import flask; {NAME}",
    ],
)
def test_whatever_a_child_imports_first_it_runs_on_dewar(tmp_path: Path, code: str) -> None:
    """Dewar is never installed while it is half imported."""
    done = child(tmp_path, "-W", "error", "-c", code)
    assert (done.stdout, done.stderr) == ("dewar.app\n", "")


def test_werkzeug_is_as_it_was_for_tools_that_look_at_it(tmp_path: Path) -> None:
    """Its loader, its source and its files."""
    code = (
        "import importlib.resources, inspect, werkzeug;"
        "print(type(werkzeug.__loader__).__name__, type(werkzeug.__spec__.loader).__name__,"
        "len(inspect.getsource(werkzeug)) > 0,"
        "(importlib.resources.files('werkzeug') / 'test.py').is_file())"
    )
    done = child(tmp_path, "-W", "error", "-c", code)
    assert done.stdout.split() == ["SourceFileLoader", "SourceFileLoader", "True", "True"]


@pytest.mark.parametrize("broken", ["dewar/app.py", "dewar/compat/flask/cli.py"])
@pytest.mark.parametrize("first", ["flask", "dewar", "werkzeug"])
def test_a_part_of_dewar_that_cannot_be_imported_is_an_error(
    tmp_path: Path, broken: str, first: str
) -> None:
    """Each time: Flask itself is never imported instead."""
    code = f"""
import sys
class Breaks:
    def find_spec(self, name, *_):
        if name == {broken.removesuffix(".py").replace("/", ".")!r}:
            raise ImportError("broken")
sys.meta_path.insert(1, Breaks())
for name in ({first!r}, "flask", "flask"):
    try:
        __import__(name)
    except ImportError as error:
        print(error)
    else:
        print(sys.modules[name].__file__)
"""
    assert child(tmp_path, "-c", code).stdout == "broken\n" * 3


def test_a_python_without_dewar_says_that_it_runs_on_flask(tmp_path: Path) -> None:
    """Once, and not if it only uses Werkzeug."""
    code = """
import sys
class Hides:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "dewar":
            raise AssertionError(name)
hidden = [finder for finder in sys.meta_path if type(finder).__name__ == "FirstImport"][0]
find = hidden._find
hidden._find = lambda name, *more: None if name == "dewar" else find(name, *more)
import werkzeug
print("werkzeug")
import flask, flask.app
print(flask.Flask.__module__)
"""
    done = child(tmp_path, "-c", code)
    assert done.stdout.split() == ["werkzeug", "flask.app"]
    assert (
        done.stderr.count("RuntimeWarning: Its parent process runs Flask's programs on Dewar") == 1
    )


CONTEXTS = """\
import multiprocessing, sys

def name():
    import dewar, flask
    return flask.Flask.__module__

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        print(pool.apply(name))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_of_multiprocessing_run_on_dewar(tmp_path: Path, method: str) -> None:
    """However they start."""
    (tmp_path / "parent.py").write_text(CONTEXTS)
    done = run(tmp_path, "-m", "dewar.compat", "parent.py", method)
    assert (done.stdout, done.stderr) == ("dewar.app\n", "")


CONFTEST = "import dewar.compat\n\ndewar.compat.install()\n"
TEST = """\
import flask

def test_framework():
    assert type(flask.Flask("x")).__module__ == "dewar.app"

def test_client():
    with flask.Flask("x").test_client() as client:
        assert client.get("/").status_code == 404
"""


@pytest.mark.parametrize(
    ("command", "conftest"),
    [(["-m", "dewar.compat"], ""), ([], CONFTEST), (["-m", "dewar.compat"], CONFTEST)],
    ids=["command", "conftest", "both"],
)
def test_workers_of_a_test_runner_run_on_dewar(
    tmp_path: Path, command: list[str], conftest: str
) -> None:
    """By the command, or by the documented conftest; with both as well."""
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_shop.py").write_text(TEST)
    done = run(tmp_path, *command, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider")
    assert "2 passed" in done.stdout, done.stdout


SHOP = """\
import sys
from flask import Flask

app = Flask(__name__)

@app.get("/")
def index():
    return type(app).__module__

if __name__ == "__main__":
    app.run(debug=True, port=int(sys.argv[1]))
"""
WAYS = {
    "app.run": "-m dewar.compat shop.py PORT",
    "flask": "-m dewar.compat -m flask --app shop run -p PORT --debug",
    "dewar": "-m dewar run --flask shop:app -p PORT --debug",
    "reload": "-m dewar run --flask shop:app -p PORT --reload",
}


@pytest.mark.parametrize("inherits", [False, True], ids=["", "child"])
@pytest.mark.parametrize("way", WAYS)
def test_the_reloader_s_child_runs_on_dewar(tmp_path: Path, way: str, inherits: bool) -> None:
    """It is Python anew; also where the whole is a child of a program on Dewar."""
    pytest.importorskip("watchfiles")
    (tmp_path / "shop.py").write_text(SHOP)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, *WAYS[way].replace("PORT", port).split()]
    if inherits:
        command = [sys.executable, "-m", "dewar.compat", "-c", CHILD, *command[1:]]
    server = subprocess.Popen(
        command, cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL
    )

    def ask() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    try:
        assert eventually(ask) == "dewar.app"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
