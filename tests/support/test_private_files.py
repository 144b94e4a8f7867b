"""Files for one user."""

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from dewar.support.private_files import (
    LinkError,
    make_private,
    make_private_file,
    make_private_folder,
    write_private_file,
)


def test_a_file_that_exists_keeps_what_is_in_it(tmp_path: Path) -> None:
    """Only its permissions change."""
    path = tmp_path / "f"
    path.write_text("data")
    path.chmod(0o644)
    make_private_file(path)
    assert path.read_text() == "data"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_locks_on_a_file_survive(tmp_path: Path) -> None:
    """A POSIX lock goes when any descriptor of its process for the file is closed."""
    path = tmp_path / "f"
    path.write_text("data")
    with path.open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        make_private_file(path)
        make_private(path)
        child = os.fork()
        if child == 0:
            with path.open("r+") as other:
                try:
                    fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_one_of_many_makes_the_file(tmp_path: Path) -> None:
    """And the others find it; nothing else is left."""
    barrier = Barrier(8)

    def make(_number: int) -> None:
        barrier.wait(10)
        make_private_folder(tmp_path / "a" / "b")
        make_private_file(tmp_path / "a" / "b" / "f")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))
    assert [file.name for file in (tmp_path / "a" / "b").iterdir()] == ["f"]


def test_writing_replaces_and_leaves_nothing(tmp_path: Path) -> None:
    """Also where it fails: here a folder is in the way."""
    path = tmp_path / "f"
    write_private_file(path, "1\n")
    write_private_file(path, "2\n")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("2\n", [path])
    folder = tmp_path / "g"
    folder.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_private_file(folder, "1\n")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["f", "g"]


def test_a_link_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    path = tmp_path / "f"
    path.symlink_to("target")
    for call in (make_private, make_private_file, lambda file: write_private_file(file, "")):
        with pytest.raises(LinkError, match=r"Remove it.*/f'"):
            call(path)
