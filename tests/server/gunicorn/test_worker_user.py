"""Workers become another user; nothing is left of the first one's rights."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dewar.server.errors import StartError
from dewar.server.gunicorn.worker_user import WorkerUser

as_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can become another user"
)

BECOME = """
import os, sys
from dewar.server.gunicorn.worker_user import WorkerUser
WorkerUser(eval(sys.argv[1])).become()
print(os.getresuid(), os.getresgid(), sorted(os.getgroups()))
try:
    os.setuid(0)
except PermissionError:
    print("for good")
"""


def become(given: dict[str, object]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", BECOME, repr(given)], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@as_root
@pytest.mark.parametrize("user", [65534, "65534", "nobody"])
def test_a_worker_becomes_the_user_for_good(user: object) -> None:
    """By number or name; it has the group that is given, and no other."""
    ids, rest = become({"user": user, "group": 65534})
    assert ids == "(65534, 65534, 65534) (65534, 65534, 65534) [65534]"
    assert rest == "for good"


@as_root
def test_the_groups_of_the_user_come_with_initgroups() -> None:
    """And those of root never."""
    ids, _ = become({"user": "nobody", "group": 7, "initgroups": True})
    assert ids.startswith("(65534, 65534, 65534) (7, 7, 7)")
    assert " 0" not in ids.replace("[0", " 0").partition("[")[0]


@as_root
def test_a_socket_belongs_to_the_user(tmp_path: Path) -> None:
    """Else a proxy of its group could not connect."""
    path = tmp_path / "shop.sock"
    path.touch()
    WorkerUser({"user": 65534, "group": 7}).own(str(path))
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 7)


def test_nobody_else_can_change_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to do."""

    def refuse(*_: object) -> None:
        raise PermissionError

    for name in ("setgroups", "setgid", "setuid", "chown"):
        monkeypatch.setattr(os, name, refuse)
    user = WorkerUser({"user": os.geteuid() + 1})
    with pytest.raises(StartError, match="only root"):
        user.become()
    with pytest.raises(StartError, match=r"'/run/shop\.sock' cannot be given to"):
        user.own("/run/shop.sock")


def test_the_same_user_and_group_need_no_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is changed, and nothing asked of the system."""
    for name in ("setgroups", "setgid", "setuid", "chown"):
        monkeypatch.delattr(os, name)
    for given in ({}, {"user": "", "group": None}, {"user": os.geteuid(), "group": os.getegid()}):
        user = WorkerUser(given)
        user.become()
        user.own("/no/such/file")
