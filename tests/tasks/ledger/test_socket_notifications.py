"""Notices by sockets beside a ledger."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import chdir
from pathlib import Path

import pytest
from tests.tasks.ledger.notificationcontract import Make, NotificationsContract
from tests.tasks.ledger.notificationtools import Ear, listen, of, wants_jobs

from dewar.tasks.ledger import socket_listener, sqlite
from dewar.tasks.ledger.notifications import JOBS, NoNotifications, Notice, Topic
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.socket_folder import SocketFolder
from dewar.tasks.ledger.socket_notifications import SocketNotifications
from openfiles import open_files


def bound(folder: Path, name: str) -> socket.socket:
    """Return a socket with a name that nobody reads."""
    unread = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with chdir(folder):  # the path may be too long
        unread.bind(name)
    return unread


class TestSocketNotifications(NotificationsContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> Path:
        self.path = tmp_path / "jobs.sqlite3-sockets"
        return self.path

    @pytest.fixture
    def connect(self, folder: Path) -> Make:
        return lambda: SocketNotifications(folder)

    def send_garbage(self, message: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, chdir(self.path):
            for entry in self.path.iterdir():
                sender.sendto(message, entry.name)  # its path may be too long

    def test_the_folder_is_private(self, make: Make, folder: Path) -> None:
        """Whatever the umask is, and also if somebody has opened it to others."""
        before = os.umask(0o777)
        try:
            listen(make(), "one", Topic.JOBS)
        finally:
            os.umask(before)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        folder.chmod(0o777)
        listen(make(), "two", Topic.JOBS)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_a_link_is_not_followed(self, make: Make, folder: Path, tmp_path: Path) -> None:
        """Nothing is made where it leads, and nobody there is told anything."""
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        folder.symlink_to(elsewhere)
        one = make()
        one.listen("one", [Topic.JOBS], Ear())
        assert not one.is_listening
        with bound(elsewhere, "two-1.j") as unread:
            one.notify(JOBS)
            unread.setblocking(False)
            with pytest.raises(BlockingIOError):
                unread.recv(100)
        assert [entry.name for entry in elsewhere.iterdir()] == ["two-1.j"]

    def test_the_folder_of_another_user_is_left_alone(
        self, make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It polls, and tells nobody."""
        folder.mkdir(0o700)
        with bound(folder, "two-1.j") as unread, monkeypatch.context() as patched:
            patched.setattr(os, "geteuid", lambda: os.getuid() + 1)
            one = make()
            one.listen("one", [Topic.JOBS], Ear())
            assert not one.is_listening
            one.notify(JOBS)
            unread.setblocking(False)
            with pytest.raises(BlockingIOError):
                unread.recv(100)

    @pytest.mark.parametrize("kind", ["file", "no folder above"])
    def test_where_there_can_be_no_folder_it_polls(
        self, make: Make, folder: Path, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It says so once, and goes on: others may be told later."""
        caplog.set_level("INFO", "dewar.tasks")
        if kind == "file":
            folder.write_text("something else")
        else:
            folder.parent.rmdir()
        one = make()
        one.listen("one", [Topic.JOBS], Ear())
        assert not one.is_listening
        one.notify(JOBS)
        one.maintain()
        assert caplog.text.count("polled") == 1
        if kind == "file":
            assert folder.read_text() == "something else"
        else:
            folder.parent.mkdir()

    def test_a_path_may_be_long(self, tmp_path: Path) -> None:
        """The address of a socket is short, whatever the path of the ledger is."""
        folder = tmp_path / ("x" * 200) / "jobs.sqlite3-sockets"
        folder.parent.mkdir()
        one, two = SocketNotifications(folder), SocketNotifications(folder)
        ear = listen(one, "one", Topic.JOBS)
        two.notify(JOBS)
        ear.wait_for(wants_jobs)
        one.close()
        two.close()
        assert list(folder.iterdir()) == []

    def test_what_the_dead_have_left_is_removed(self, make: Make, folder: Path) -> None:
        """A thousand of them, and nothing else that is in the folder."""
        ear = listen(make(), "one", Topic.JOBS)
        for number in range(1000):
            bound(folder, f"dead{number}-1.j").close()
        (folder / "README").write_text("of somebody")
        with bound(folder, "stopped-1.j"):
            other = make()
            other.notify(JOBS)
            ear.wait_for(wants_jobs)
            left = sorted(entry.name.split("-")[0] for entry in folder.iterdir())
        assert left == ["README", "one", "stopped"]

    def test_a_name_that_is_no_socket_is_not_waited_for(self, make: Make, folder: Path) -> None:
        """Whatever it is."""
        ear = listen(make(), "one", Topic.JOBS)
        (folder / "folder-1.j").mkdir()
        os.mkfifo(folder / "fifo-1.j")
        (folder / "link-1.j").symlink_to("/dev/null")
        make().notify(JOBS)
        ear.wait_for(wants_jobs)

    def test_who_does_not_read_holds_up_nobody(self, make: Make, folder: Path) -> None:
        """Its queue is full, and the others hear."""
        folder.mkdir(0o700)
        unread = [bound(folder, f"full{number}-1.e") for number in range(20)]
        ear, other = listen(make(), "one", Topic.ENDED), make()
        for number in range(200):
            other.notify(Notice(ended=tuple(f"{number}n{job}" for job in range(400))))
        ear.heard.clear()
        other.notify(Notice(ended=("last",)))
        ear.wait_for(of("last"))
        for one in unread:
            one.close()

    def test_a_process_that_is_stopped_holds_up_nobody(self, make: Make) -> None:
        """When it goes on, it is told that it has missed something."""
        ear, other = listen(make(), "one", Topic.JOBS), make()
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            own = listen(make(), "stopped", Topic.JOBS)
            os.write(writer, b".")
            own.wait_for(lambda notice: notice.is_partial)
            os._exit(7)
        os.read(reader, 1)
        os.kill(child, signal.SIGSTOP)
        os.waitpid(child, os.WUNTRACED)
        for _ in range(1000):
            other.notify(JOBS)
        ear.wait_for(wants_jobs)
        os.kill(child, signal.SIGCONT)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        os.close(reader)
        os.close(writer)

    def test_what_came_while_the_queue_was_full_is_looked_for(self, make: Make) -> None:
        """A busy listener hears that it has missed something."""
        ear, other = listen(make(), "one", Topic.ENDED), make()
        ear.gate.clear()
        other.notify(Notice(ended=("first",)))
        assert ear.holding.wait(20)
        for number in range(2000):
            other.notify(Notice(ended=(f"{number}",)))
        ear.gate.set()
        ear.wait_for(lambda notice: notice.is_partial)

    @pytest.mark.parametrize("what", ["folder", "name", "everything"])
    def test_what_was_removed_is_made_again(self, make: Make, folder: Path, what: str) -> None:
        """A listener looks at everything then, and hears as before, also from old acquaintances."""
        one, other = make(), make()
        ear = listen(one, "one", Topic.JOBS)
        other.notify(JOBS)
        ear.wait_for(wants_jobs)
        for entry in list(folder.iterdir()):
            entry.unlink()
        if what != "name":
            folder.rmdir()
        if what == "everything":
            folder.mkdir(0o700)
        other.notify(JOBS)
        threads = threading.active_count()
        one.maintain()
        ear.wait_for(lambda notice: notice.is_partial)
        one.maintain()
        assert not any(notice.is_partial for notice in ear.heard)
        assert threading.active_count() == threads
        other.notify(JOBS)
        ear.wait_for(lambda notice: notice == JOBS)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_listener_whose_thread_has_failed_is_replaced(
        self, make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise others would go on to tell nobody."""
        one, other = make(), make()
        ear = listen(one, "one", Topic.JOBS)
        listener = one._listener  # type: ignore[attr-defined]

        def fail(message: bytes) -> Notice:
            raise MemoryError(message)

        with monkeypatch.context() as patched:
            patched.setattr(socket_listener, "decode", fail)
            other.notify(JOBS)
            ear.wait_for(wants_jobs)  # it has waited with the function of before
            other.notify(JOBS)
            listener._thread.join(20)
        assert not listener.is_alive
        one.maintain()
        assert one.is_listening
        assert ear.wait_for(wants_jobs).is_partial
        other.notify(JOBS)
        assert ear.wait_for(wants_jobs) == JOBS
        assert len(list(folder.iterdir())) == 1

    def test_who_could_not_listen_does_so_later(self, make: Make, folder: Path) -> None:
        """When what was in the way is gone."""
        folder.write_text("in the way")
        one, ear = make(), Ear()
        one.listen("one", [Topic.JOBS], ear)
        folder.unlink()
        one.maintain()
        ear.wait_for(lambda notice: notice.is_partial)
        make().notify(JOBS)
        ear.wait_for(wants_jobs)

    def test_who_is_alone_looks_and_no_more(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A commit costs one look at the folder, once it has not changed for some time."""
        one = make()
        listen(one, "one", Topic.JOBS, Topic.ENDED)
        os.utime(self.path, ns=(0, 0))
        one.notify(JOBS)
        opened: list[object] = []
        monkeypatch.setattr(SocketFolder, "open", opened.append)
        for _ in range(10):
            one.notify(JOBS)
        assert opened == []

    def test_a_change_just_before_is_not_overlooked(self, make: Make) -> None:
        """Two within the clock of the file system look like one."""
        one, other = make(), make()
        listen(one, "one", Topic.JOBS)
        other.notify(JOBS)
        found = self.path.stat()
        ear = listen(make(), "two", Topic.JOBS)
        os.utime(self.path, ns=(found.st_atime_ns, found.st_mtime_ns))
        other.notify(JOBS)
        ear.wait_for(wants_jobs)

    def test_nothing_stays_open_or_behind(self, make: Make, folder: Path) -> None:
        """Neither descriptors nor names."""
        before = open_files()
        one, two = make(), make()
        for notifications, name in ((one, "one"), (two, "two")):
            listen(notifications, name, Topic.JOBS)
        one.notify(JOBS)
        one.close()
        two.close()
        assert not open_files() - before
        assert list(folder.iterdir()) == []


_UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()

import sys
import threading
from pathlib import Path

from dewar.tasks.ledger.notifications import JOBS, Topic
from dewar.tasks.ledger.socket_notifications import SocketNotifications

one, other = (SocketNotifications(Path(sys.argv[1])) for _ in range(2))
heard = threading.Event()
one.listen("one", [Topic.JOBS], lambda notice: heard.set())
for _ in range(3):
    heard.clear()
    other.notify(JOBS)
    assert heard.wait(20), "the notice was kept back"
one.close()
other.close()
"""


def test_each_notice_is_heard_at_once_under_gevent(tmp_path: Path) -> None:
    """Its sockets wait whatever the flags say; so the listener must not ask for more by them."""
    pytest.importorskip("gevent")
    command = [sys.executable, "-c", _UNDER_GEVENT, str(tmp_path / "sockets")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_system_without_such_sockets_polls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows does."""
    monkeypatch.setattr(sqlite, "HAS_SOCKETS", False)
    ledger = open_ledger(tmp_path / "jobs.sqlite3")
    assert isinstance(ledger.notifications, NoNotifications)
    ledger.close()
