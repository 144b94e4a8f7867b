"""gunicorn's ``user``, ``group`` and ``initgroups``: the user that workers run as."""

import os
from collections.abc import Mapping
from pathlib import Path

from dewar.server.errors import SettingsError, StartError
from dewar.server.gunicorn.values import flag, number


class WorkerUser:
    """The user and the group of workers.

    Args:
        given: The settings of the file: names or numbers; what is left out stays.

    Raises:
        SettingsError: The system does not know a name.
    """

    def __init__(self, given: Mapping[str, object]) -> None:
        self._name = ""
        self._uid = self._find_uid(given.get("user"))
        self._gid = _find_gid(given.get("group"))
        self._joins_groups = flag(given, "initgroups")

    def __repr__(self) -> str:
        return f"<WorkerUser {self._uid}, group {self._gid}>"

    def own(self, path: str) -> None:
        """Give a file, such as a UNIX socket, to the user and the group.

        Raises:
            StartError: This process may not do that.
        """
        if self._changes():
            try:
                os.chown(Path(path), _or_same(self._uid), _or_same(self._gid))
            except PermissionError as error:
                raise self._refusal(f"{path!r} cannot be given to") from error

    def become(self) -> None:
        """Make this process one of the user and the group, for good.

        Without ``initgroups`` it has no other group: those of root would come along.

        Raises:
            StartError: This process may not do that.
        """
        if not self._changes():
            return
        try:
            self._set_groups()
            if self._uid is not None:
                os.setuid(self._uid)
        except PermissionError as error:
            raise self._refusal("The worker cannot run as") from error

    def _refusal(self, problem: str) -> StartError:
        return StartError(
            f"{problem} user {self._uid} and group {self._gid}: only root can do that. Start the"
            " server as root, or leave user and group out."
        )

    def _set_groups(self) -> None:
        gid = os.getegid() if self._gid is None else self._gid
        if self._joins_groups and self._name:
            os.initgroups(self._name, gid)
        else:
            os.setgroups([gid])
        os.setgid(gid)

    def _changes(self) -> bool:
        return self._uid not in (None, os.geteuid()) or self._gid not in (None, os.getegid())

    def _find_uid(self, user: object) -> int | None:
        if user is None or user == "":
            return None
        import pwd

        known = number(user)
        try:
            found = pwd.getpwuid(known) if isinstance(known, int) else pwd.getpwnam(str(user))
        except KeyError:
            if isinstance(known, int):
                return known  # a number needs no name
            raise SettingsError(f"user={user!r} is not a user of this system.", "user") from None
        self._name = found.pw_name
        return found.pw_uid


def _find_gid(group: object) -> int | None:
    if group is None or group == "":
        return None
    import grp

    known = number(group)
    try:
        return known if isinstance(known, int) else grp.getgrnam(str(group)).gr_gid
    except KeyError:
        raise SettingsError(f"group={group!r} is not a group of this system.", "group") from None


def _or_same(number: int | None) -> int:
    return -1 if number is None else number
