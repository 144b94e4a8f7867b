"""The paths that apps are mounted at: what they may be, and where a request's path leads."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import unquote
from wsgiref.types import WSGIApplication

from dewar.mounting.errors import MountError

T = TypeVar("T")


class Part(NamedTuple):
    """The beginning of a request's path, where something is mounted, and the rest of it."""

    app: WSGIApplication
    mount: str
    rest: str


def longest(mounts: Mapping[str, WSGIApplication], path: str) -> Part | None:
    """Return the longest mount that a path leads to, by whole segments; None for none.

    Args:
        mounts: Apps by path, in the form of ``PATH_INFO``.
        path: A request's ``PATH_INFO``.
    """
    mount, rest = path, ""
    while "/" in mount:
        if mount in mounts:
            return Part(mounts[mount], mount, rest)
        mount, _, segment = mount.rpartition("/")
        rest = f"/{segment}{rest}"
    # A mount without a slash before it, and the app for everything at "".
    return Part(mounts[mount], mount, rest) if mount in mounts else None


def to_wsgi(text: str) -> str:
    """Return text as an environ has it: each byte of its UTF-8 as a character (PEP 3333)."""
    return text.encode().decode("latin-1")


def from_wsgi(text: str) -> str:
    """Return the text that an environ's string stands for; what stands for none stays."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def checked_path(path: str, host: str | None) -> str:
    """Return the path that an app is mounted at; that of a whole host is empty.

    Raises:
        MountError: If no request could lead there.
    """
    if host is not None and path in {"", "/"}:
        return ""
    repair = _repair(path)
    if repair is not None:
        raise MountError(f"{path!r} is no path to mount an app at. {repair}")
    return path


def _repair(path: str) -> str | None:
    """Return what to do about a path that no request can lead to, or None."""
    if path in {"", "/"}:
        return (
            "Everything without a mount of its own is the app's that you mount on; another app"
            " can have a path, app.mount('/admin', admin), or a host,"
            " app.mount('/', admin, host='admin.example.com')."
        )
    if not path.startswith("/") or path.endswith("/"):
        return f"It begins with a slash and does not end with one: '/{path.strip('/')}'."
    if "?" in path or "#" in path or "<" in path:
        return "It is a fixed text, without variables, a query or a fragment: '/admin'."
    if {"", ".", ".."} & set(path[1:].split("/")):
        return "Clients send no such segments: leave out '//', '.' and '..'."
    if unquote(path) != path:
        return f"It is written as people read it: {unquote(path)!r}."
    return None
