"""Bind strings to listening sockets."""

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from dewar.server.errors import BindError

# What getaddrinfo gives for TCP, and a path for a UNIX socket.
Address = str | tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]

_UNIX = "unix:"
_HELP = 'Give "host:port", "[::1]:port" or "unix:/path".'
_CAUSES = {
    errno.EADDRINUSE: "it is in use by another program. Stop that one, or choose another port.",
    errno.EACCES: "this user may not. Ports below 1024 need privileges; choose one above.",
    errno.EADDRNOTAVAIL: "this machine has no such address. Use 127.0.0.1 or 0.0.0.0.",
}


def open_listeners(bind: str, backlog: int) -> list[socket.socket]:
    """Return one non-blocking listening socket for each address in *bind*; close them.

    Raises:
        BindError: An address is malformed, taken or forbidden. None stays open then.
    """
    opened: list[socket.socket] = []
    try:
        for part in bind.split(","):
            opened.append(_open(part.strip(), backlog))  # noqa: PERF401 - opened is closed below
    except BaseException:
        close_listeners(opened)
        raise
    return opened


def close_listeners(listeners: list[socket.socket]) -> None:
    """Close *listeners* and remove the files of UNIX sockets among them."""
    for listener in listeners:
        path = listener.getsockname() if listener.family == socket.AF_UNIX else None
        listener.close()
        if path:
            with suppress(FileNotFoundError):  # somebody has tidied up already
                Path(path).unlink()
    listeners.clear()


def display(listener: socket.socket, scheme: str = "http") -> str:
    """Return the address of *listener* as a URL, with the port that it really has."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"{_UNIX}{name}"
    host, port = name[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _open(bind: str, backlog: int) -> socket.socket:
    family: socket.AddressFamily
    address: Address
    if bind.startswith(_UNIX):
        family, address = socket.AF_UNIX, _unix_path(bind)
    else:
        family, address = _resolve(bind)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_UNIX:
            _remove_stale(str(address))
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        reason = _CAUSES.get(error.errno or 0, f"{error.strerror or error}.")
        raise BindError(bind, reason) from error
    return listener


def _unix_path(bind: str) -> str:
    path = bind.removeprefix(_UNIX)
    if not path:
        raise BindError(bind, f"the path is missing. {_HELP}")
    return path


def _resolve(bind: str) -> tuple[socket.AddressFamily, Address]:
    host, colon, port = bind.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not bracketed):
        raise BindError(bind, f"it is not an address. {_HELP}")
    try:
        found = socket.getaddrinfo(
            host[1:-1] if bracketed else host or "0.0.0.0",  # noqa: S104 - asked for by ":8000"
            int(port),
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except (OSError, UnicodeError) as error:  # the latter for what no host can be called
        raise BindError(bind, f"the host is not known. {_HELP}") from error
    family, _, _, _, address = found[0]
    return family, address


def _remove_stale(path: str) -> None:
    """Remove a socket file that nobody listens on any more; leave every other file alone."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - the mode alone
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise OSError(errno.EADDRINUSE, "in use", path)
