"""Listening sockets, made from the addresses in ``bind``."""

import ctypes
import errno
import os
import socket
import stat
import struct
import sys
from contextlib import suppress
from pathlib import Path

from dewar.server.errors import BindError
from dewar.server.system.inet_address import HELP, InetAddress, names_any_ipv4, resolve
from dewar.server.system.systemd import inherited, is_inherited
from dewar.support.private_files import refuse_link

_UNIX = "unix:"
# socket(7): a filter for incoming packets, here a program of one instruction, BPF_RET | BPF_K.
_SO_ATTACH_FILTER = 26
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
_AF_UNIX: int | None = getattr(socket, "AF_UNIX", None)
_CAUSES = {
    errno.EADDRINUSE: "it is in use by another program. Stop that program, or choose another port.",
    errno.EACCES: "permission denied. Ports below 1024 need privileges; choose a higher one.",
    errno.EADDRNOTAVAIL: "this machine has no such address. Use 127.0.0.1 or 0.0.0.0.",
    errno.EAFNOSUPPORT: "this machine has no IPv6. Use 127.0.0.1 or 0.0.0.0.",
}
# Why an address of a name that has several may be left out.
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
# With port 0, the free port of the first address may be in use at the second.
_PORT_TRIES = 16
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


def open_listeners(
    bind: str, backlog: int, unix_mode: str | None = None, *, ipv6_only: bool = False
) -> "list[socket.socket]":
    """Return non-blocking listening sockets for the addresses in *bind*; the caller closes them.

    Raises:
        BindError: An address is malformed, in use or forbidden. No socket stays open then.
    """
    opened = bind_listeners(bind, unix_mode, ipv6_only=ipv6_only)
    try:
        listen(opened, backlog)
    except BaseException:
        close_listeners(opened)
        raise
    return opened


def bind_listeners(
    bind: str, unix_mode: str | None = None, *, ipv6_only: bool = False
) -> "list[socket.socket]":
    """Return sockets for the addresses in *bind*; clients cannot connect before `listen`.

    A name with several addresses gets a socket for each that this machine has. ``[::]`` takes IPv4
    clients too, unless *bind* also has ``0.0.0.0`` with the same port.

    Args:
        bind: Addresses with commas between them.
        unix_mode: The permissions of UNIX sockets, in octal.
        ipv6_only: Whether ``[::]`` takes IPv6 clients only.

    Raises:
        BindError: An address is malformed, in use or forbidden. No socket stays open then.
    """
    opened: list[socket.socket] = []
    parts = [part.strip() for part in bind.split(",")]
    try:
        for text in parts:
            if is_inherited(text):
                opened += (_inherit(fd) for fd in inherited(text))
            elif text.startswith(_UNIX):
                opened.append(_bind_unix(text, unix_mode))
            else:
                opened += _bind_inet(text, parts, ipv6_only)
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


def _bind_unix(bind: str, unix_mode: str | None) -> ListeningSocket:
    family, path = _unix_family(bind), _unix_path(bind)
    listener = ListeningSocket(family, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        listener.bind(path)
        # Nobody can connect yet, so the file is never accessible to more users than intended.
        if unix_mode is not None:
            Path(path).chmod(int(unix_mode, 8))
        listener.file = _identity(path)
        listener.take_ownership()
    except OSError as error:
        listener.close()
        raise BindError(bind, _reason(error, bind)) from error
    return listener


def _bind_inet(bind: str, parts: list[str], ipv6_only: bool) -> "list[socket.socket]":
    """Return a socket for each address of *bind* that this machine has, all with one port."""
    addresses = resolve(bind)
    port = addresses[0].port
    is_dual_stack = not ipv6_only and not any(names_any_ipv4(part, port) for part in parts)
    for left in reversed(range(_PORT_TRIES)):
        opened: list[socket.socket] = []
        try:
            _bind_each(addresses, is_dual_stack, opened)
        except OSError as error:
            close_listeners(opened)
            if port or not left or error.errno != errno.EADDRINUSE:
                raise BindError(bind, _reason(error, bind)) from error
        else:
            break
    return opened


def _bind_each(
    addresses: list[InetAddress], is_dual_stack: bool, opened: "list[socket.socket]"
) -> None:
    """Append a socket for each of *addresses* that this machine has.

    Raises:
        OSError: It has none of them, or one is in use.
    """
    port = addresses[0].port
    absent: OSError | None = None
    for address in addresses:
        try:
            listener = _bind_address(address.with_port(port), is_dual_stack)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            absent = error
            continue
        opened.append(listener)
        port = listener.getsockname()[1]
    if absent is not None and not opened:
        raise absent


def _bind_address(address: InetAddress, is_dual_stack: bool) -> ListeningSocket:
    listener = ListeningSocket(address.family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":  # Windows would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            only = not (is_dual_stack and address.is_any_ipv6)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        listener.bind(address.for_socket())
    except OSError:
        listener.close()
        raise
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
        raise BindError(bind, f"the path is missing. {HELP}")
    return path


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
