"""Waiting for one socket, and looking at it."""

import asyncio
import selectors
import socket

# A selector for one descriptor: poll has no limit on its number, as select has, and needs no setup.
_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)

# Bytes of one read: as much as a busy client sends at once, and below the size from which malloc
# maps memory each time (128 KiB).
READ_SIZE = 65536

# How often a wait for a slow client is interrupted to look at the clock, in seconds.
CLOCK_INTERVAL = 1.0


def wait_ready(sock: socket.socket, event: int) -> None:
    """Block until *sock* is ready, or `CLOCK_INTERVAL` has passed.

    Args:
        sock: The socket.
        event: ``selectors.EVENT_READ`` or ``EVENT_WRITE``.
    """
    with _Selector() as selector:
        selector.register(sock, event)
        selector.select(CLOCK_INTERVAL)


async def wait_writable(fd: int) -> None:
    """Wait on the event loop until *fd* can be written to, or `CLOCK_INTERVAL` has passed."""
    loop = asyncio.get_running_loop()
    is_ready = asyncio.Event()
    loop.add_writer(fd, is_ready.set)
    try:
        async with asyncio.timeout(CLOCK_INTERVAL):
            await is_ready.wait()
    except TimeoutError:
        return
    finally:
        loop.remove_writer(fd)


def has_peer_closed(sock: socket.socket) -> bool:
    """Return whether the peer of *sock*, which is non-blocking, has closed its side."""
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def is_readable(sock: socket.socket) -> bool:
    """Return whether *sock* has received anything, including the end of the connection."""
    return _is_ready(sock, selectors.EVENT_READ)


def is_writable(sock: socket.socket) -> bool:
    """Return whether *sock* takes anything now, or can tell that it is closed."""
    return _is_ready(sock, selectors.EVENT_WRITE)


def _is_ready(sock: socket.socket, event: int) -> bool:
    with _Selector() as selector:
        selector.register(sock, event)
        return bool(selector.select(0))
