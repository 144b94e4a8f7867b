"""The file with the number of the process that takes signals."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dewar.server.system.pid_file import PidFile, PidFileError


def test_it_holds_the_number_until_it_is_released(tmp_path: Path) -> None:
    """And nothing is left of how it was written."""
    path = tmp_path / "server.pid"
    file = PidFile(str(path))
    file.take()
    assert path.read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == [path]
    file.release()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds ``server.pid``."""
    script = (
        "import sys; from dewar.server.system.pid_file import PidFile\n"
        "PidFile(sys.argv[1]).take(); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "server.pid")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_server_that_lives_is_not_replaced(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    """The error names it and says how to stop it. When it is killed, nothing is left to remove."""
    path = tmp_path / "server.pid"
    with pytest.raises(
        PidFileError, match=rf"Process {holder.pid} runs already.*'kill {holder.pid}'"
    ):
        PidFile(str(path)).take()
    assert path.read_text() == f"{holder.pid}\n"
    holder.kill()
    holder.wait()
    PidFile(str(path)).take()
    assert path.read_text() == f"{os.getpid()}\n"


def test_nobody_is_told_to_kill_the_first_process(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    """A server in another container has that number there."""
    path = tmp_path / "server.pid"
    path.write_text("1\n")  # the file that is locked
    with pytest.raises(PidFileError, match=r"Process 1 runs already") as caught:
        PidFile(str(path)).take()
    assert "'kill" not in str(caught.value)
    assert holder.poll() is None


@pytest.mark.parametrize(
    "number", [1, os.getppid(), os.getpid()], ids=["1", "the parent", "this process"]
)
def test_a_number_that_another_program_has_by_now_is_replaced(tmp_path: Path, number: int) -> None:
    """It lives, but it does not hold the file."""
    path = tmp_path / "server.pid"
    path.write_text(f"{number}\n")
    PidFile(str(path)).take()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_child_that_outlives_its_server_does_not_hold_the_file(tmp_path: Path) -> None:
    """It has the lock, but not the number."""
    path = tmp_path / "server.pid"
    ours, theirs = os.pipe()
    server = os.fork()
    if not server:
        PidFile(str(path)).take()
        if not os.fork():
            os.close(theirs)
            os.read(ours, 1)
        os._exit(0)
    os.close(ours)
    os.waitpid(server, 0)
    PidFile(str(path)).take()
    assert path.read_text() == f"{os.getpid()}\n"
    os.close(theirs)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/nowhere")])
def test_what_is_no_file_does_not_block_the_start(tmp_path: Path, make: Any) -> None:
    """It is replaced, or refused with an error."""
    path = tmp_path / "server.pid"
    make(path)
    with suppress(PidFileError):
        PidFile(str(path)).take()
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """It stays as it is."""
    with pytest.raises(PidFileError, match="cannot be written"):
        PidFile(str(tmp_path)).take()
    assert tmp_path.is_dir()


@pytest.mark.parametrize("content", ["", "no number", "0", "-5", "99999999999999999999"])
def test_what_names_no_process_is_replaced(tmp_path: Path, content: str) -> None:
    """An empty file, nonsense, and numbers that can be nobody's."""
    path = tmp_path / "server.pid"
    path.write_text(content)
    PidFile(str(path)).take()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_number_whose_process_has_gone_is_replaced(tmp_path: Path) -> None:
    """As after a kill or a crash of the machine."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    path = tmp_path / "server.pid"
    path.write_text(f"{child.pid}\n")
    PidFile(str(path)).take()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_file_that_has_become_anothers_stays(tmp_path: Path) -> None:
    """Only its own number is removed."""
    path = tmp_path / "server.pid"
    file = PidFile(str(path))
    file.take()
    path.write_text("1\n")
    file.release()
    assert path.read_text() == "1\n"


def test_a_child_does_not_release_its_parents_file(tmp_path: Path) -> None:
    """It has a copy of the object, and not of the duty."""
    path = tmp_path / "server.pid"
    file = PidFile(str(path))
    file.take()
    pid = os.fork()
    if not pid:
        file.release()
        os._exit(0)
    os.waitpid(pid, 0)
    assert path.exists()
    file.release()
    assert not path.exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(PidFileError, match=r"cannot be written.*Choose a folder"):
        PidFile(str(tmp_path / "no" / "server.pid")).take()


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default."""
    monkeypatch.chdir(tmp_path)
    file = PidFile(None)
    file.take()
    file.release()
    assert list(tmp_path.iterdir()) == []
