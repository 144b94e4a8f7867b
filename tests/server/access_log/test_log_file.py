"""A log file under threads, processes and rotation."""

import errno
import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dewar.server.access_log.file import LogFile
from dewar.server.errors import LogFileError
from openfiles import open_files

WRITER = """
import sys
from dewar.server.access_log.file import LogFile
file = LogFile(sys.argv[1])
for n in range(int(sys.argv[3])):
    file.write(f"{sys.argv[2]} {n} " + "x" * (n % 200))
"""


def test_lines_are_appended(tmp_path: Path) -> None:
    """To what is there, and others may not read them."""
    path = tmp_path / "access.log"
    path.write_text("before\n")
    file = LogFile(str(path))
    file.write("one")
    file.write("tw\xf6")
    file.close()
    assert path.read_text() == "before\none\ntw\\xf6\n"
    fresh = LogFile(str(tmp_path / "fresh.log"))
    fresh.close()
    assert stat.S_IMODE((tmp_path / "fresh.log").stat().st_mode) & 0o007 == 0


@pytest.mark.parametrize("name", ["no/access.log", "."])
def test_a_file_that_can_not_be_opened_is_an_error(name: str, tmp_path: Path) -> None:
    """It names the path, and what must be there."""
    with pytest.raises(LogFileError, match="Cannot write the access log to ") as raised:
        LogFile(str(tmp_path / name))
    assert Path(raised.value.path) == tmp_path / name


def test_a_rotation_loses_no_line(tmp_path: Path) -> None:
    """Threads write while the file is renamed and reopened: each line is whole, once, in order."""
    path = tmp_path / "access.log"
    file = LogFile(str(path))
    rotations, lines = 20, 400
    barrier = threading.Barrier(4)

    def write(who: int) -> None:
        barrier.wait()
        for n in range(lines):
            file.write(f"{who} {n} {'x' * 50}")

    threads = [threading.Thread(target=write, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    barrier.wait()
    for n in range(rotations):
        path.rename(tmp_path / f"access.log.{n}")
        file.reopen()
    for thread in threads:
        thread.join()
    file.write("last")
    file.close()
    assert path.read_text().endswith("last\n")
    files = [tmp_path / f"access.log.{n}" for n in range(rotations)] + [path]
    seen: dict[str, list[int]] = {"0": [], "1": [], "2": []}
    for each in files:
        for line in each.read_text().splitlines():
            if line != "last":
                who, n, filler = line.split(" ")
                assert filler == "x" * 50
                seen[who].append(int(n))
    assert seen == {who: list(range(lines)) for who in seen}


def test_a_descriptor_is_never_another_file(tmp_path: Path) -> None:
    """The number stays the log's through a rotation, and no descriptor is left over."""
    file = LogFile(str(tmp_path / "a.log"))
    before = open_files()
    number = file._fd
    for _ in range(10):
        file.reopen()
    assert file._fd == number
    assert not os.get_inheritable(number)
    assert not open_files() - before
    file.close()


def test_where_there_can_be_no_new_file_the_old_one_goes_on(tmp_path: Path) -> None:
    """A rotation gone wrong costs no line."""
    folder = tmp_path / "logs"
    folder.mkdir()
    file = LogFile(str(folder / "a.log"))
    folder.rename(tmp_path / "moved")
    with pytest.raises(LogFileError):
        file.reopen()
    file.write("still here")
    file.close()
    assert (tmp_path / "moved" / "a.log").read_text() == "still here\n"


def test_several_processes_write_to_one_file(tmp_path: Path) -> None:
    """Their lines stand beside each other, never inside each other."""
    path = tmp_path / "a.log"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, str(who), "2000"]) for who in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    expected = {f"{who} {n} {'x' * (n % 200)}" for who in range(3) for n in range(2000)}
    lines = path.read_text().splitlines()
    assert len(lines) == len(expected)
    assert set(lines) == expected


def test_a_full_disk_costs_lines_and_one_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A request does not fail because it cannot be logged."""
    file = LogFile(str(tmp_path / "a.log"))

    def refuse(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING, "dewar.server"):
        patched.setattr(os, "write", refuse)
        file.write("one")
        file.write("two")
    assert [record.message.rpartition(": ")[2] for record in caplog.records] == [
        "[Errno 28] No space left on device"
    ]
    file.write("three")
    file.close()
    assert (tmp_path / "a.log").read_text() == "three\n"
