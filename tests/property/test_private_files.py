"""What the server and the tasks write to disk is for their user alone, and never through a link."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dewar.server.errors import BindError
from dewar.server.settings.settings import Settings
from dewar.server.system.listeners import close_listeners, open_listeners
from dewar.server.system.pid_file import PidFile, PidFileError
from dewar.server.wire.body import BodyBuffer
from dewar.server.wire.limits import Limits
from dewar.server.wire.storage import BodyStorage
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.opening import open_ledger

UMASKS = [0o000, 0o022, 0o027, 0o077, 0o777]


def open_pid_file(path: Path) -> Callable[[], None]:
    file = PidFile(str(path))
    file.take()
    return file.release


def open_socket(path: Path) -> Callable[[], None]:
    listeners = open_listeners(f"unix:{path}", 8, Settings().unix_mode)
    return lambda: close_listeners(listeners)


def open_sqlite(path: Path) -> Callable[[], None]:
    ledger = open_ledger(path)
    connection = ledger.database.reading()
    connection.__enter__()  # so that -wal and -shm are there
    return lambda: (connection.__exit__(None, None, None), ledger.close())[1]


OPENERS = {"pid file": open_pid_file, "socket": open_socket, "ledger": open_sqlite}
REFUSALS = (PidFileError, BindError, TaskSetupError)

every_file = pytest.mark.parametrize("opens", OPENERS.values(), ids=OPENERS)


@pytest.fixture
def set_umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@every_file
@pytest.mark.parametrize("umask", UMASKS, ids=oct)
def test_a_new_file_is_private_whatever_the_umask_is(
    tmp_path: Path, set_umask: Callable[[int], int], opens: Callable[..., Callable[[], None]],
    umask: int,
) -> None:  # fmt: skip
    """Neither less than the owner needs nor anything for others; nothing else is left."""
    path = tmp_path / "f"
    set_umask(umask)
    close = opens(path)
    modes = {file.name: mode_of(file) for file in tmp_path.iterdir()}
    close()
    assert modes.keys() >= {"f"}
    assert modes.keys() <= {"f", "f-wal", "f-shm"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
def test_the_folders_of_a_ledger_are_private(
    tmp_path: Path, set_umask: Callable[[int], int], umask: int
) -> None:
    """Those that were made; one that was there keeps its permissions."""
    before = mode_of(tmp_path)
    set_umask(umask)
    open_sqlite(tmp_path / "a" / "b" / "f")()
    assert [mode_of(tmp_path / "a"), mode_of(tmp_path / "a" / "b")] == [0o700, 0o700]
    assert mode_of(tmp_path) == before


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
def test_a_body_on_disk_is_private(
    tmp_path: Path, set_umask: Callable[[int], int], monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    """It has no name that anybody could open, and no permissions for others."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    set_umask(umask)
    limits = Limits(buffered_body=4)
    buffer = BodyBuffer(limits, BodyStorage(limits))
    buffer.add(b"12345")
    with buffer.take() as file:
        assert file.read() == b"12345"
        assert list(tmp_path.iterdir()) == []
        assert os.fstat(file.fileno()).st_mode & 0o077 == 0


@every_file
@pytest.mark.parametrize("aim", ["nothing", "a file"])
def test_a_link_is_refused(
    tmp_path: Path, opens: Callable[..., Callable[[], None]], aim: str
) -> None:
    """Whoever put it there would choose what is written, and where."""
    path, target = tmp_path / "f", tmp_path / "target"
    if aim == "a file":
        target.write_text("precious")
    path.symlink_to(target)
    with pytest.raises(REFUSALS, match="symbolic link, which is not followed"):
        opens(path)
    assert path.is_symlink()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        ["f", "target"] if aim == "a file" else ["f"]
    )
    assert aim == "nothing" or target.read_text() == "precious"


@every_file
def test_a_folder_may_be_a_link(tmp_path: Path, opens: Callable[..., Callable[[], None]]) -> None:
    """As in a folder of releases, with a link to the current one."""
    (tmp_path / "release").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "release")
    close = opens(tmp_path / "current" / "f")
    assert (tmp_path / "release" / "f").exists()
    close()


@pytest.mark.parametrize("beside", ["f-wal", "f-shm", "f-journal"])
def test_a_link_beside_a_ledger_is_refused(tmp_path: Path, beside: str) -> None:
    """SQLite would make its log where the link leads."""
    (tmp_path / beside).symlink_to(tmp_path / "target")
    with pytest.raises(TaskSetupError, match="symbolic link"):
        open_sqlite(tmp_path / "f")
    assert not (tmp_path / "target").exists()


def test_an_older_ledger_becomes_private(tmp_path: Path) -> None:
    """With its log, which another process may have open."""
    path = tmp_path / "f"
    first = open_sqlite(path)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["f", "f-shm", "f-wal"]
    for file in files:
        file.chmod(0o664)
    second = open_sqlite(path)
    assert {mode_of(file) for file in files} == {0o600}
    second()
    first()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can chown")
def test_the_ledger_of_another_user_keeps_its_permissions(tmp_path: Path) -> None:
    """A command that root runs does not lock its owner out."""
    path = tmp_path / "f"
    open_sqlite(path)()
    path.chmod(0o660)
    os.chown(path, 12345, 12345)
    open_sqlite(path)()
    assert (mode_of(path), path.stat().st_uid) == (0o660, 12345)
