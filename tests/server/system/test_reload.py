"""Restarting on changes to the code."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from dewar.server.system import reload
from dewar.server.system.reload import ReloadUnavailableError, is_reloaded, roots, run_with_reload


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


class Supervised:
    """`_supervise` on a thread, with children and changes that a test makes up."""

    def __init__(self) -> None:
        self.children: queue.Queue[Child] = queue.Queue()
        self.said: list[str] = []
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
        status = reload._supervise(start, self._watch(), self._stop, self.said.append)
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


def test_a_child_that_fails_waits_for_its_code_to_be_mended() -> None:
    """The supervisor goes on, and starts another after the next change."""
    supervised = Supervised()
    supervised.children.get(timeout=10).end(1)
    supervised.change("/x/app.py")
    supervised.children.get(timeout=10).end(0)
    assert supervised.status() == 0


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra."""
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ReloadUnavailableError, match=r"dewar-web\[reload\]"):
        run_with_reload()


def test_the_child_knows_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a variable, which is set for it alone."""
    assert not is_reloaded()
    monkeypatch.setenv("DEWAR_RELOADED", "true")
    assert is_reloaded()


SCRIPT = """\
import text
from dewar import Dewar

app = Dewar(__name__, static_folder=None)
app.add_url_rule("/", "index", lambda: text.TEXT)
app.run(port=0, use_reloader=True)
"""


def ask(line: str) -> str:
    """Return what the server answers that said this line when it started."""
    port = re.search(r"http://127\.0\.0\.1:(\d+)", line)
    assert port is not None
    connection = HTTPConnection("127.0.0.1", int(port[1]), timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def await_line(process: subprocess.Popen[str], text: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return line
    pytest.fail(f"The program ended without saying {text!r}.")


def test_a_running_program_takes_up_its_changes(tmp_path: Path) -> None:
    """The whole of it: a script, an edit, and an end that leaves no process behind."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "text.py").write_text("TEXT = 'one'")
    process = subprocess.Popen(
        [sys.executable, "-B", "script.py"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    # Should it not come to an end, then neither it nor its child holds up the tests.
    limit = threading.Timer(60, os.killpg, (process.pid, signal.SIGKILL))
    limit.start()
    try:
        assert ask(await_line(process, "serving")) == "one"
        (tmp_path / "text.py").write_text("TEXT = 'other'")
        await_line(process, "has changed")
        last = await_line(process, "serving")
        assert ask(last) == "other"
    finally:
        process.send_signal(signal.SIGTERM)
        # The child has the same pipe: it ends when both are gone.
        process.stderr.read()
        process.stderr.close()
        limit.cancel()
    assert process.wait(10) == 0
    with pytest.raises(ConnectionRefusedError):
        ask(last)
