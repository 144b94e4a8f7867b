"""The file with the number of the process that takes signals."""

import os
import subprocess
import sys
from pathlib import Path

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


def test_a_process_that_lives_is_not_replaced(tmp_path: Path) -> None:
    """The error names it and says how to stop it."""
    path = tmp_path / "server.pid"
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(PidFileError, match=rf"Process {os.getppid()} runs already.*kill"):
        PidFile(str(path)).take()
    assert path.read_text() == f"{os.getppid()}\n"


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
