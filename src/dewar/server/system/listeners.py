"""Listening sockets, made from the addresses in ``bind``."""

import ctypes
import errno
import os
import socket
import stat
import struct
import sys
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from dewar.server.errors import BindError
from dewar.server.system.systemd import inherited, is_inherited
from dewar.support.private_files import refuse_link

# What getaddrinfo gives for TCP, and a path for a UNIX socket.
Address = str | tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]

_UNIX = "unix:"
# socket(7): a filter for incoming packets, here a program of one instruction, BPF_RET | BPF_K.
_SO_ATTACH_FILTER = 26
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
_AF_UNIX: int | None = getattr(socket, "AF_UNIX", None)
_HELP = 'Give "host:port", "[::1]:port", "unix:/path", or "systemd" or "fd://3" for open sockets.'
_CAUSES = {
    errno.EADDRINUSE: "it is in use by another program. Stop that program, or choose another port.",
    errno.EACCES: "permission denied. Ports below 1024 need privileges; choose a higher one.",
    errno.EADDRNOTAVAIL: "this machine has no such address. Use 127.0.0.1 or 0.0.0.0.",
}
_UNIX_CAUSES = {
    errno.EADDRINUSE: "another program listens on it. Stop that program, or choose another path.",
    errno.EACCES: "this user may not write there. Choose a folder that this user owns.",
    errno.EPERM: "this user may not write there. Choose a folder that this user owns.",
    errno.ENOENT: "the folder does not exist. Create it first.",
    errno.EEXIST: "there is a file that is not a socket. Remove it, or choose another path.",
}


class ListeningSocket(socket.socket):
    """A socket that listens, or will listen; the file of a UNIX socket belongs to one process.

    Attributes:
        is_inherited: Whether it was open before this program started, and stays open after it.
        owner: The id of the process that removes the file; 0 if none does.
        file: Device and inode of the file, so that no other file is removed.
    """

    is_inherited: bool = False
    owner: int = 0
    file: tuple[int, int] | None = None

    def take_ownership(self) -> None:
        """Let this process remove the file."""
        self.owner = os.getpid() if self.file is not None else 0


def open_listeners(bind: str, backlog: int, unix_mode: str | None = None) -> "list[socket.socket]":
    """Return a non-blocking listening socket for each address in *bind*; the caller closes them.

    Raises:
        BindError: An address is malformed, in use or forbidden. No socket stays open then.
    """
    opened = bind_listeners(bind, unix_mode)
    try:
        listen(opened, backlog)
    except BaseException:
        close_listeners(opened)
        raise
    return opened


def bind_listeners(bind: str, unix_mode: str | None = None) -> "list[socket.socket]":
    """Return a socket for each address in *bind*; clients cannot connect before `listen`.

    Raises:
        BindError: An address is malformed, in use or forbidden. No socket stays open then.
    """
    opened: list[socket.socket] = []
    try:
        for part in bind.split(","):
            text = part.strip()
            if is_inherited(text):
                opened += (_inherit(fd) for fd in inherited(text))
            else:
                opened.append(_bind(text, unix_mode))
    except BaseException:
        close_listeners(opened)
        raise
    for listener in opened:
        listener.setblocking(False)
    return opened


def listen(listeners: "list[socket.socket]", backlog: int) -> None:
    """Listen on each socket that does not listen yet; several processes may call it in turn.

    Raises:
        BindError: Another program has begun to listen since the sockets were bound.
    """
    for listener in listeners:
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            try:
                listener.listen(backlog)
            except OSError as error:
                raise BindError(url_of(listener), _reason(error, "")) from error


def stop_listening(listener: socket.socket) -> None:
    """Let no new clients connect, in any process; those in the queue can still be accepted.

    Without it, a client that connects between the last accept and the close would be reset. On
    some systems there is no way to do this. It is for the process that ends the whole server: the
    socket is shut for all processes that share it.
    """
    if getattr(listener, "is_inherited", False):
        return  # the next instance serves new clients
    with suppress(OSError):
        if listener.family == _AF_UNIX:
            listener.shutdown(socket.SHUT_RD)
        elif sys.platform == "linux":
            # Drops the first packet of a connection. The client sends it again a second later,
            # when the socket is closed, and is refused.
            nothing = ctypes.create_string_buffer(_RETURN_NOTHING)
            program = struct.pack("HP", 1, ctypes.addressof(nothing))
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def close_listeners(listeners: "list[socket.socket]") -> None:
    """Close *listeners* and remove the files of UNIX sockets that belong to this process."""
    for listener in listeners:
        path = listener.getsockname() if listener.family == _AF_UNIX else None
        owner = getattr(listener, "owner", 0)
        file = getattr(listener, "file", None)
        listener.close()
        if path and owner == os.getpid():
            _remove(path, file)
    listeners.clear()


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """Return the address of *listener* as a URL, with its real port."""
    name = listener.getsockname()
    if listener.family == _AF_UNIX:
        return f"{_UNIX}{name}"
    host, port = name[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _inherit(fd: int) -> ListeningSocket:
    listener = ListeningSocket(fileno=fd)
    listener.is_inherited = True
    return listener


def _bind(bind: str, unix_mode: str | None) -> ListeningSocket:
    family: int
    address: Address
    if bind.startswith(_UNIX):
        family, address = _unix_family(bind), _unix_path(bind)
    else:
        family, address = _resolve(bind)
    listener = ListeningSocket(family, socket.SOCK_STREAM)
    try:
        if family == _AF_UNIX:
            _remove_stale(str(address))
        elif os.name != "nt":  # Windows would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        if family == _AF_UNIX:
            # Nobody can connect yet, so the file is never accessible to more users than intended.
            if unix_mode is not None:
                Path(str(address)).chmod(int(unix_mode, 8))
            listener.file = _identity(str(address))
            listener.take_ownership()
    except OSError as error:
        listener.close()
        raise BindError(bind, _reason(error, bind)) from error
    return listener


def _reason(error: OSError, bind: str) -> str:
    if bind.startswith(_UNIX) and error.errno in _UNIX_CAUSES:
        return _UNIX_CAUSES[error.errno]
    # The error for a path that is too long has no number, only a text.
    return _CAUSES.get(error.errno or 0, f"{error.strerror or error}.")


def _remove(path: str, identity: tuple[int, int] | None) -> None:
    with suppress(FileNotFoundError):  # it was removed already
        if _identity(path) == identity:
            Path(path).unlink()


def _identity(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _unix_family(bind: str) -> int:
    if _AF_UNIX is None:
        raise BindError(bind, "this system has no UNIX sockets. Use host:port.")
    return int(_AF_UNIX)


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
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        raise BindError(bind, f"the host is not known. {_HELP}") from error
    family, _, _, _, address = found[0]
    return family, address


def _remove_stale(path: str) -> None:
    """Remove a socket file if nobody listens on it; leave every other file alone."""
    refuse_link(Path(path))
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "not a socket", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise OSError(errno.EADDRINUSE, "in use", path)


def is_loopback(bind: str) -> bool:
    """Return whether no address in *bind* can be reached from another machine."""
    return all(_is_loopback(address.strip()) for address in bind.split(","))


def _is_loopback(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
