"""systemd's protocols for services: sockets that are open already, and status notifications.

Sources: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3). Nothing here needs systemd itself:
any program that starts a server may pass sockets in this way, or with ``fd://N``.
"""

import logging
import os
import socket
import stat
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress

from dewar.server.errors import BindError

_ALL = "systemd"
_NAMED = "systemd:"
_NUMBER = "fd://"
_FIRST = 3  # SD_LISTEN_FDS_START
_VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")

_logger = logging.getLogger("dewar.server")


def is_inherited(bind: str) -> bool:
    """Return whether *bind* stands for sockets that are open already."""
    return bind == _ALL or bind.startswith((_NAMED, _NUMBER))


def inherited(bind: str, environ: MutableMapping[str, str] | None = None) -> list[int]:
    """Return the descriptors that *bind* stands for, each a listening stream socket.

    Args:
        bind: ``"systemd"`` for all that were passed, ``"systemd:name"`` for those with that name
            (``FileDescriptorName=``), ``"fd://3"`` for one by its number.
        environ: The variables of the process; those about sockets are removed, so that no child
            uses them.

    Raises:
        BindError: There are none, or they are not listening stream sockets.
    """
    environ = os.environ if environ is None else environ
    if bind.startswith(_NUMBER):
        number = bind.removeprefix(_NUMBER)
        if not number.isdecimal():
            raise BindError(bind, 'it has no descriptor number. Write "fd://3".')
        numbers = [int(number)]
    else:
        numbers = _passed(bind, environ)
    for name in _VARIABLES:
        environ.pop(name, None)
    for fd in numbers:
        _check(bind, fd)
        os.set_inheritable(fd, False)
    return numbers


def _passed(bind: str, environ: Mapping[str, str]) -> list[int]:
    count, pid = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_PID", "")
    if not count.isdecimal() or not int(count):
        raise BindError(
            bind,
            "no sockets were passed. Start the server by its .socket unit, or give an address.",
        )
    if pid != str(os.getpid()):
        raise BindError(
            bind,
            f"the sockets were passed to process {pid or '?'}, and this is {os.getpid()}. Start"
            " the server directly in ExecStart=, without a shell in between.",
        )
    numbers = list(range(_FIRST, _FIRST + int(count)))
    if bind == _ALL:
        return numbers
    wanted = bind.removeprefix(_NAMED)
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found = [fd for fd, name in zip(numbers, names, strict=False) if name == wanted]
    if not found:
        there = ", ".join(name for name in names if name) or "none"
        raise BindError(bind, f"there is no socket named {wanted!r}. There are: {there}.")
    return found


def _check(bind: str, fd: int) -> None:
    try:
        is_socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError as error:
        raise BindError(bind, f"descriptor {fd} is not open.") from error
    if not is_socket:
        raise BindError(bind, f"descriptor {fd} is not a socket.")
    with socket.socket(fileno=os.dup(fd)) as probe:
        if probe.type != socket.SOCK_STREAM or probe.family not in _families():
            raise BindError(bind, f"descriptor {fd} is not a TCP or UNIX stream socket.")
        if not probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise BindError(bind, f"descriptor {fd} does not listen. Set Accept=no in its unit.")


def _families() -> set[int]:
    names = ("AF_INET", "AF_INET6", "AF_UNIX")
    return {int(getattr(socket, name)) for name in names if hasattr(socket, name)}


class Notifier:
    """Tells the service manager, if there is one, the status of the server.

    Args:
        environ: The variables of the process: ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and
            ``WATCHDOG_PID``. The first is removed, so that no child uses it.

    Attributes:
        interval: Seconds between two calls of `beat`; None if the manager wants none.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = _address_of(environ.pop("NOTIFY_SOCKET", ""))
        self.interval = _interval_of(environ) if self._address else None

    def __repr__(self) -> str:
        return f"<Notifier {'of ' + str(self._address) if self._address else 'of nobody'}>"

    def ready(self, status: str) -> None:
        """Send that clients are served, after a start or a reload."""
        self._send(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")

    def reloading(self) -> None:
        """Send that a reload has begun; `ready` ends it."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 if self._address else 0
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=Reloading")

    def stopping(self) -> None:
        """Send that the server is stopping."""
        self._send("STOPPING=1\nSTATUS=Finishing requests in flight")

    def status(self, text: str) -> None:
        """Send one line that ``systemctl status`` shows."""
        self._send(f"STATUS={text}")

    def beat(self) -> None:
        """Send a heartbeat."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(1.0)
                sock.sendto(message.encode(), self._address)
        except OSError as error:
            _logger.warning("The service manager cannot be notified of %r: %s", message, error)


def _address_of(text: str) -> str | bytes:
    if text.startswith("@"):
        return b"\0" + text[1:].encode()  # Linux' abstract names
    return text if text.startswith("/") and hasattr(socket, "AF_UNIX") else ""


def _interval_of(environ: Mapping[str, str]) -> float | None:
    """Return half of the watchdog timeout, as sd_watchdog_enabled(3) advises."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    with suppress(ValueError):
        return max(0.0, int(environ["WATCHDOG_USEC"]) / 2e6) if "WATCHDOG_USEC" in environ else None
    return None
