"""Restarting on changes to the code."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from dewar.server import Settings, reload
from dewar.server.reload import (
    SOCKETS,
    ReloadUnavailableError,
    inherited_bind,
    is_reloaded,
    roots,
    run_with_reload,
)
from faulttools import Load


def test_the_users_own_folders_are_watched(tmp_path: Path) -> None:
    """The working directory and what is importable, each once, and nothing that is installed."""
    inner, other = tmp_path / "a" / "inner", tmp_path / "b"
    for folder in (inner, other):
        folder.mkdir(parents=True)
    installed = [f"{sys.prefix}/lib/python3/site-packages", os.__file__.rpartition("/")[0]]
    path = ["", str(inner), str(other), str(tmp_path / "missing"), "/", *installed]
    assert roots(tmp_path / "a", path) == [tmp_path / "a", other]
    assert roots(inner, [str(tmp_path)]) == [tmp_path]


def test_a_change_counts_if_it_is_code_or_asked_for(tmp_path: Path) -> None:
    """Unless it is excluded."""
    extra = tmp_path / "settings.toml"
    counts = reload._code_filter(
        lambda change, path: path.endswith(".py"), [extra], ("*/generated/*",)
    )
    assert counts(1, "/x/app.py")
    assert counts(1, str(extra))
    assert not counts(1, "/x/notes.txt")
    assert not counts(1, "/x/generated/app.py")


class Child:
    """A process that ends when it is told to, or by itself."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self.returncode: int | None = None
        self.was_told = False

    def end(self, status: int) -> None:
        if not self._ended.is_set():
            self.returncode = status
            self._ended.set()

    def terminate(self) -> None:
        self.was_told = True
        self.end(0)

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("child", timeout or 0)
        assert self.returncode is not None
        return self.returncode


class Fallback:
    """Answers clients in the place of a child that has failed; notes when."""

    def __init__(self) -> None:
        self.events: queue.Queue[str] = queue.Queue()
        self._is_started = False

    def start(self, text: str) -> None:
        self._is_started = True
        self.events.put(text)

    def stop(self) -> None:
        if self._is_started:
            self._is_started = False
            self.events.put("stop")


class Supervised:
    """`_supervise` on a thread, with children and changes that a test makes up."""

    def __init__(self) -> None:
        self.children: queue.Queue[Child] = queue.Queue()
        self.said: list[str] = []
        self.fallback = Fallback()
        self._changes: queue.Queue[list[tuple[object, str]] | None] = queue.Queue()
        self._stop = threading.Event()
        self._status: list[int] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def change(self, path: str) -> None:
        self._changes.put([(1, path)])

    def status(self) -> int:
        self._thread.join(10)
        return self._status[0]

    def _run(self) -> None:
        start: Any = self._start
        fallback: Any = self.fallback
        status = reload._supervise(start, self._watch(), self._stop, fallback, self.said.append)
        self._status.append(status)

    def _start(self) -> Child:
        child = Child()
        self.children.put(child)
        return child

    def _watch(self) -> Iterator[list[tuple[object, str]]]:
        threading.Thread(target=self._end_when_stopped, daemon=True).start()
        yield []
        while (changed := self._changes.get()) is not None:
            yield changed

    def _end_when_stopped(self) -> None:
        self._stop.wait()
        self._changes.put(None)


def test_each_change_ends_the_child_and_starts_another() -> None:
    """And says which file it was."""
    supervised = Supervised()
    first = supervised.children.get(timeout=10)
    supervised.change("/x/app.py")
    second = supervised.children.get(timeout=10)
    assert first.was_told
    assert not second.was_told
    assert supervised.said == ["/x/app.py has changed, restarting"]
    second.end(0)
    assert supervised.status() == 0


class Finishing(Child):
    """A child whose application finishes something: only a second signal ends it."""

    def __init__(self, interrupt: type[BaseException] | None) -> None:
        super().__init__()
        self.limits: list[float | None] = []
        self._interrupt = interrupt

    def terminate(self) -> None:
        if self.was_told:
            self.end(0)
        self.was_told = True

    def wait(self, timeout: float | None = None) -> int:
        self.limits.append(timeout)
        if self._interrupt is not None:
            interrupt, self._interrupt = self._interrupt, None
            raise interrupt
        return super().wait(timeout)


@pytest.mark.parametrize("interrupt", [SystemExit, KeyboardInterrupt])
def test_a_stop_leaves_the_limit_to_the_child(interrupt: type[BaseException]) -> None:
    """It knows for how long it may finish. A second signal goes to the child too."""
    child: Any = Finishing(interrupt)
    with pytest.raises(interrupt):
        reload._end(child, None)
    assert child.limits == [None, None]
    assert child.poll() == 0


@pytest.mark.parametrize("name", ["SIGQUIT", "SIGHUP"])
def test_a_child_that_a_signal_to_all_has_ended_is_the_end(name: str) -> None:
    """Of a terminal, such as a closed one: it comes once more when there is no handler."""
    supervised = Supervised()
    supervised.children.get(timeout=10).end(-getattr(signal, name))
    assert supervised.status() == 0
    assert supervised.fallback.events.empty()


@pytest.mark.parametrize("status", [1, -signal.SIGKILL, -64])
def test_a_child_that_fails_waits_for_its_code_to_be_mended(status: int) -> None:
    """The supervisor goes on, and starts another after the next change."""
    supervised = Supervised()
    supervised.children.get(timeout=10).end(status)
    supervised.change("/x/app.py")
    supervised.children.get(timeout=10).end(0)
    assert supervised.status() == 0


def test_clients_are_told_while_no_child_can_serve() -> None:
    """From its failure until the next one starts; not while it is replaced."""
    supervised = Supervised()
    events = supervised.fallback.events
    supervised.children.get(timeout=10).end(3)
    assert "has ended with status 3" in events.get(timeout=10)
    supervised.change("/x/app.py")
    good = supervised.children.get(timeout=10)
    assert events.get(timeout=10) == "stop"
    supervised.change("/x/app.py")
    supervised.children.get(timeout=10).end(0)
    assert good.was_told
    assert supervised.status() == 0
    assert events.empty()


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra."""
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ReloadUnavailableError, match=r"dewar-web\[reload\]"):
        run_with_reload(Settings())


def test_the_child_knows_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a variable, which is set for it alone."""
    assert not is_reloaded()
    monkeypatch.setenv("DEWAR_RELOADED", "true")
    assert is_reloaded()


def test_the_sockets_are_for_the_first_server_with_that_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second one, or a child of this process, opens its own."""
    monkeypatch.setenv(SOCKETS, "127.0.0.1:0=3,4")
    assert inherited_bind("127.0.0.1:5000") == "127.0.0.1:5000"
    assert inherited_bind("127.0.0.1:0") == "fd://3,fd://4"
    assert SOCKETS not in os.environ
    assert inherited_bind("127.0.0.1:0") == "127.0.0.1:0"


SCRIPT = """\
import text
from dewar import Dewar

app = Dewar(__name__, static_folder=None)
app.add_url_rule("/", "index", lambda: text.TEXT)
app.run(port=0, use_reloader=True)
"""


HANDLING = """\
import os, signal
import text
from dewar import Dewar

app = Dewar(__name__, static_folder=None)
app.add_url_rule("/", "index", lambda: text.TEXT)

def told(number, frame):
    role = "child" if os.environ.get("DEWAR_RELOADED") else "parent"
    os.write(2, f"told {signal.Signals(number).name} {role}\\n".encode())

for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGQUIT"):
    signal.signal(getattr(signal, name), told)
app.run(port=0, use_reloader=True)
"""


@pytest.mark.parametrize("end", ["SIGTERM", "SIGQUIT"])
def test_the_program_s_handlers_run_in_the_process_that_serves(tmp_path: Path, end: str) -> None:
    """Whoever gets the signal is the process that the user has started."""
    (tmp_path / "text.py").write_text("TEXT = 'one'\n")
    (tmp_path / "program.py").write_text(HANDLING)
    with program("program.py", tmp_path) as process:
        port = port_of(await_line(process, "Dewar serving"))
        for name in ("SIGUSR1", "SIGUSR2", "SIGHUP"):
            process.send_signal(getattr(signal, name))
            assert await_line(process, "told") == f"told {name} child\n"
        assert ask(port) == (200, "one")
        process.send_signal(getattr(signal, end))
        assert await_line(process, "told") == f"told {end} child\n"
        assert process.wait(30) == 0


@contextmanager
def program(name: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program; end it, and its child, which has the same pipe, if they take too long.

    Then the pipe has the stack of each of their threads.
    """
    process = subprocess.Popen(
        [sys.executable, "-B", "-X", "faulthandler", name],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = threading.Timer(60, os.killpg, (process.pid, signal.SIGABRT))
    limit.start()
    try:
        with process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
    finally:
        limit.cancel()


def port_of(line: str) -> int:
    """Return the port in the line that a server prints when it starts."""
    port = re.search(r"http://127\.0\.0\.1:(\d+)", line)
    assert port is not None
    return int(port[1])


def ask(port: int) -> tuple[int, str]:
    """Return status and body of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def await_line(process: subprocess.Popen[str], text: str) -> str:
    """Return the next line of the program with that text."""
    assert process.stderr is not None
    others = []
    for line in process.stderr:
        if text in line:
            return line
        others.append(line)
    pytest.fail(f"The program ended without saying {text!r}, and said:\n{''.join(others)}")


def test_a_running_program_takes_up_its_changes_and_refuses_no_client(tmp_path: Path) -> None:
    """The whole of it: a script, edits, a mistake, and an end that leaves no process behind."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "text.py").write_text("TEXT = 'one'")
    with program("script.py", tmp_path) as process:
        port = port_of(await_line(process, "serving"))
        with Load(("127.0.0.1", port), 2, False, "/", ("200", "503")) as load:
            load.wait_until(lambda: load.answers["one"] > 0)
            (tmp_path / "text.py").write_text("TEXT = 'two'")
            await_line(process, "has changed")
            assert port_of(await_line(process, "serving")) == port
            load.wait_until(lambda: load.answers["two"] > 0)
            (tmp_path / "text.py").write_text("TEXT = (")
            await_line(process, "SyntaxError")
            load.wait_until(lambda: load.answers["503"] > 0)
            (tmp_path / "text.py").write_text("TEXT = 'three'")
            await_line(process, "serving")
            load.wait_until(lambda: load.answers["three"] > 0)
        assert not load.failures
        assert load.answers.keys() == {"one", "two", "503", "three"}
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        process.stderr.read()  # the child has the same pipe: it ends when both are gone
        assert process.wait(10) == 0
    with pytest.raises(ConnectionRefusedError):
        ask(port)
