"""One configuration file does on Dewar what it does under gunicorn."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deploymenttools import Process, ask, free_port
from faulttools import is_alive
from polling import eventually

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="gunicorn needs a system that forks"
)

SHOP = """
import json, os

def make_app(mark):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        seen = {name: environ.get(name) for name in (
            "wsgi.url_scheme", "wsgi.multithread", "wsgi.multiprocess", "HTTP_X_FORWARDED_FOR",
            "REMOTE_ADDR", "SCRIPT_NAME",
        )}
        return [json.dumps({**seen, "mark": mark, "COLOUR": os.environ.get("COLOUR")}).encode()]
    return app
"""

#: A file as teams have it, whose hooks write down what they are called with.
CONFIG = """
import multiprocessing, os

bind = "127.0.0.1:" + os.environ["SHOP_PORT"]
workers = min(1, multiprocessing.cpu_count())
timeout = "30"
graceful_timeout = 5
wsgi_app = "shop:make_app('config')"
raw_env = ["COLOUR=a,b=c"]
pythonpath = "lib"
control_socket_disable = True
helper = "names that are no settings do no harm"

_MASTER = os.getpid()

def _tell(name, *arguments):
    ages = [f"worker {each.age}" for each in arguments if hasattr(each, "age")]
    where = "master" if os.getpid() == _MASTER or not ages else ages[0]
    shown = []
    for each in arguments:
        if isinstance(each, int) or each is None:
            shown.append(str(each))
        elif hasattr(each, "age"):
            pid = "self" if each.pid == os.getpid() else "other"
            shown.append(f"worker {each.age} {pid if isinstance(each.pid, int) else each.pid}")
        elif hasattr(each, "method"):
            shown.append(f"{each.method} {each.path} {each.query}")
        elif hasattr(each, "status"):
            shown.append(str(each.status))
    with open("told", "a") as file:
        file.write(" | ".join([where, name, *shown]) + "\\n")
    if name == os.environ.get("HOSTILE"):
        raise RuntimeError("hostile " + name)

def on_starting(server):
    server.log.info("starting")
    _tell("on_starting", server)

def when_ready(server): _tell("when_ready", server, server.address[0][1] > 0, server.num_workers)
def nworkers_changed(server, new, old): _tell("nworkers_changed", server, new, old)
def pre_fork(server, worker): _tell("pre_fork", server, worker)
def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)
    _tell("post_fork", server, worker)
def post_worker_init(worker): _tell("post_worker_init", worker, callable(worker.wsgi))
def pre_request(worker, req):
    worker.log.debug("%s %s", req.method, req.path)
    _tell("pre_request", worker, req)
def post_request(worker, req, environ, resp): _tell("post_request", worker, req, resp)
def worker_exit(server, worker): _tell("worker_exit", server, worker)
def child_exit(server, worker): _tell("child_exit", server, worker)
def on_reload(server): _tell("on_reload", server)
def on_exit(server): _tell("on_exit", server)
"""

COMMANDS = {
    "dewar": [sys.executable, "-m", "dewar", "run", "-c", "gunicorn.conf.py"],
    "gunicorn": [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py"],
}
each_server = pytest.mark.parametrize("name", COMMANDS)
Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a server, in a folder of its own, with this file."""
    running: list[Process] = []

    def begin(name: str, **environ: str) -> Process:
        folder = folder_of(tmp_path, name)
        port = free_port()
        running.append(Process(COMMANDS[name], port, folder, {"SHOP_PORT": str(port), **environ}))
        return running[-1]

    yield begin
    for process in running:
        process.stop()


def folder_of(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "shop.py").write_text(SHOP)
    (folder / "gunicorn.conf.py").write_text(CONFIG)
    (folder / "told").write_text("")
    return folder


def told(tmp_path: Path, name: str) -> list[str]:
    return (tmp_path / name / "told").read_text().splitlines()


def life(start: Start, tmp_path: Path, name: str) -> tuple[list[object], list[str]]:
    """Start, ask, reload and stop a server; return its answers and what its hooks were told."""
    server = start(name)
    answers: list[object] = []
    for fields in ({}, {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.1.2.3"}):
        answer = ask(server.port, "GET", "/cart?x=1", headers=fields)
        answers.append((answer.status, json.loads(answer.body)))
    contradiction = {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"}
    answers.append(ask(server.port, "GET", "/", headers=contradiction).status)
    server.signal(signal.SIGHUP)
    eventually(lambda: any("child_exit" in line for line in told(tmp_path, name)))
    eventually(lambda: sum("post_worker_init" in line for line in told(tmp_path, name)) == 2)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0, server.log()
    assert "Worker spawned (pid: " in server.log()
    return answers, told(tmp_path, name)


def test_the_life_of_a_server_is_that_of_gunicorn(start: Start, tmp_path: Path) -> None:
    """Its answers, and its hooks in each process: their order and arguments."""
    ours, theirs = (life(start, tmp_path, name) for name in COMMANDS)
    assert ours[0] == theirs[0]
    for process in ("master", "worker 1", "worker 2"):
        # Each by itself: two processes write in any order.
        of_ours, of_theirs = (
            [line for line in lines if line.startswith(process)] for _, lines in (ours, theirs)
        )
        assert of_ours == of_theirs
        assert of_ours


@each_server
@pytest.mark.parametrize("hook", ["on_starting", "pre_fork", "post_fork", "post_worker_init"])
def test_a_hook_that_raises_before_anything_is_served_ends_the_server(
    name: str, hook: str, tmp_path: Path
) -> None:
    """With a status that says so."""
    environ = {**os.environ, "SHOP_PORT": str(free_port()), "HOSTILE": hook}
    ended = subprocess.run(
        COMMANDS[name], cwd=folder_of(tmp_path, name), env=environ,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    assert f"hostile {hook}" in ended.stderr + ended.stdout


@each_server
@pytest.mark.parametrize(
    ("hook", "status"), [("pre_request", 500), ("post_request", 200), ("worker_exit", 200)]
)
def test_a_hook_of_a_worker_that_raises_costs_no_more_than_the_request(
    name: str, hook: str, status: int, start: Start
) -> None:
    """It is logged, and the server goes on and ends as it should."""
    server = start(name, HOSTILE=hook)
    for _ in range(2):
        assert ask(server.port, "GET", "/").status == status
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert f"hostile {hook}" in server.log()


@each_server
@pytest.mark.parametrize("hook", ["on_reload", "child_exit", "on_exit"])
def test_a_hook_that_raises_in_the_supervisor_ends_the_server(
    name: str, hook: str, start: Start
) -> None:
    """At that step."""
    server = start(name, HOSTILE=hook)
    assert ask(server.port, "GET", "/").status == 200
    server.signal(signal.SIGTERM if hook == "on_exit" else signal.SIGHUP)
    assert server.wait() != 0
    assert f"hostile {hook}" in server.log()


@each_server
def test_a_server_in_the_background_has_a_pid_file(name: str, tmp_path: Path) -> None:
    """The command ends when the server has begun; its errors are in a file."""
    folder, port = folder_of(tmp_path, name), free_port()
    more = "daemon = True\npidfile = 'shop.pid'\nerrorlog = 'errors.log'\n"
    (folder / "gunicorn.conf.py").write_text(CONFIG + more)
    environ = {**os.environ, "SHOP_PORT": str(port)}
    subprocess.run(COMMANDS[name], cwd=folder, env=environ, timeout=60, check=True)
    pid_file = folder / "shop.pid"
    pid = int(eventually(lambda: pid_file.exists() and pid_file.read_text().strip()))
    try:
        eventually(lambda: "post_worker_init" in (folder / "told").read_text())
        eventually(lambda: is_served(port))
        assert os.getsid(pid) not in (os.getsid(0), pid)
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not is_alive(pid))
    finally:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
    assert not pid_file.exists()
    assert "Worker spawned" in (folder / "errors.log").read_text()
    assert "on_exit" in (folder / "told").read_text()


def is_served(port: int) -> bool:
    try:
        return ask(port, "GET", "/").status == 200
    except ConnectionRefusedError:
        return False


HANGS = """
workers = 1
timeout = 1
def worker_abort(worker):
    with open("told", "a") as file:
        file.write(f"aborted {worker.age}\\n")
def worker_exit(server, worker):
    with open("told", "a") as file:
        file.write(f"exited {worker.age}\\n")
"""
HANGING = """
def make_app(mark):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/hang":
            open("gate").read()  # nobody writes
        start_response("200 OK", [])
        return [b"here"]
    return app
"""


@each_server
def test_a_hung_worker_calls_its_hook_before_it_is_replaced(
    name: str, start: Start, tmp_path: Path
) -> None:
    """In its own process, and then the hook of its end."""
    folder = folder_of(tmp_path, name)
    (folder / "gunicorn.conf.py").write_text(f"{CONFIG}\n{HANGS}")
    (folder / "lib" / "shop.py").write_text(HANGING)
    os.mkfifo(folder / "gate")
    port = free_port()
    server = Process(COMMANDS[name], port, folder, {"SHOP_PORT": str(port)})
    try:
        with suppress(OSError, http.client.HTTPException):
            ask(port, "GET", "/hang")  # gunicorn may answer 500
        eventually(lambda: "exited 1" in told(tmp_path, name))
        assert told(tmp_path, name).index("aborted 1") < told(tmp_path, name).index("exited 1")
        assert ask(port, "GET", "/").status == 200
    finally:
        server.stop()
