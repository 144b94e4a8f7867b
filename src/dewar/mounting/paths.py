"""The paths that apps are mounted at, and how the path of a request is matched."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import unquote
from wsgiref.types import WSGIApplication

from dewar.mounting.errors import MountError

T = TypeVar("T")


class Part(NamedTuple):
    """The app at the beginning of a request's path, that beginning, and the rest of the path."""

    app: WSGIApplication
    mount: str
    rest: str


def longest(mounts: Mapping[str, WSGIApplication], path: str) -> Part | None:
    """Return the longest mount that a path begins with, by whole segments, or None.

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
    """Return the text that an environ's string stands for, or the string if it is not UTF-8."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def checked_path(path: str, host: str | None) -> str:
    """Return the path that an app is mounted at; that of a whole host is empty.

    Raises:
        MountError: If no request could have it.
    """
    if host is not None and path in {"", "/"}:
        return ""
    repair = _repair(path)
    if repair is not None:
        raise MountError(f"{path!r} is not a path to mount an app at. {repair}")
    return path


def _repair(path: str) -> str | None:
    """Return how to correct a path that no request can have, or None."""
    if path in {"", "/"}:
        return (
            "Paths without a mount belong to the app that you mount on. Another app can have a"
            " path, app.mount('/admin', admin), or a host,"
            " app.mount('/', admin, host='admin.example.com')."
        )
    if not path.startswith("/") or path.endswith("/"):
        return f"A path begins with a slash and does not end with one: '/{path.strip('/')}'."
    if "?" in path or "#" in path or "<" in path:
        return "A path is a fixed text, without variables, a query or a fragment: '/admin'."
    if {"", ".", ".."} & set(path[1:].split("/")):
        return "Clients do not send such segments: leave out '//', '.' and '..'."
    if unquote(path) != path:
        return f"Write it without escapes: {unquote(path)!r}."
    return None
