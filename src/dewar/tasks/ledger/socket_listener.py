"""`SocketListener`: the socket of one process in a `SocketFolder`, and the thread that reads it."""

import logging
import secrets
import socket
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from dewar.support.background_thread import BackgroundThread
from dewar.tasks.ledger.notifications import PARTIAL, Notice, Tell, Topic, decode
from dewar.tasks.ledger.socket_folder import SocketFolder

_logger = logging.getLogger("dewar.tasks")
#: More than the longest message.
_BUFFER = 1 << 16
#: The pause between two notices, in seconds. Those that come meanwhile are told together.
#: PERF: without it each commit of a busy process would interrupt the threads of all others.
_PAUSE = 0.0003
#: How long a close waits for a function that is called, in seconds.
_FINAL_WAIT = 5.0
_QUEUE_SETTING = "/proc/sys/net/unix/max_dgram_qlen"


class SocketListener:
    """Listens until it is closed.

    A name in the folder appears when its socket can receive, and never comes back after it was
    removed. So who finds that nobody receives there may remove it.

    Args:
        folder: An open folder.
        owner: The id of this process as an owner.
        topics: What it wants to hear of.

    Raises:
        OSError: There can be no socket.
    """

    def __init__(self, folder: SocketFolder, owner: str, topics: Collection[Topic]) -> None:
        self._base = f"{owner}-{secrets.token_hex(8)}"
        self.name = name_of(self._base, topics)
        self._closing = threading.Event()
        self._queue_length = _queue_length()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Connected, it reaches the thread even after the folder was removed.
        self._bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._thread: BackgroundThread | None = None
        hidden = f".{self._base}"
        try:
            self._socket.bind(folder.address(hidden))
            self._bell.connect(folder.address(hidden))
            folder.rename(hidden, self.name)
        except BaseException:
            self.forget()
            raise

    def __repr__(self) -> str:
        return f"<SocketListener {self.name}>"

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, tell: Tell) -> None:
        """Begin to call a function with notices.

        Raises:
            RuntimeError: The system starts no thread.
        """
        self._thread = BackgroundThread("dewar-tasks-listener", self._run, tell)
        self._thread.start()

    def rename(self, folder: SocketFolder, topics: Collection[Topic]) -> None:
        """Show in the name that other topics are wanted.

        Raises:
            OSError: The folder, or the name, is gone.
        """
        name = name_of(self._base, topics)
        folder.rename(self.name, name)
        self.name = name

    def close(self) -> None:
        """End the thread and close the socket."""
        self._closing.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._bell.setblocking(False)
            with suppress(OSError):  # its queue is full, so the thread does not wait
                self._bell.send(b"")
            thread.join(_FINAL_WAIT)
        self.forget()

    def forget(self) -> None:
        """Close the descriptors, also in a forked child, in which there is no thread."""
        self._socket.close()
        self._bell.close()

    def _run(self, tell: Tell) -> None:
        while not self._closing.is_set():
            notice = self._receive()
            if self._closing.is_set():
                return
            try:
                if notice:
                    tell(notice)
            except Exception:
                _logger.exception("After the notice %r this failed", notice)
            self._closing.wait(_PAUSE)

    def _receive(self) -> Notice:
        """Wait for a message; return all that have come, as one notice."""
        notice = decode(self._socket.recv(_BUFFER))
        count = 1
        # Not by MSG_DONTWAIT: under gevent's patches, a socket that blocks waits all the same.
        self._socket.setblocking(False)
        try:
            while True:
                more = self._socket.recv(_BUFFER)
                notice, count = notice.joined(decode(more)), count + 1
        except BlockingIOError:
            # A sender does not wait: what it had to say while the queue was full is lost.
            return PARTIAL if count >= self._queue_length else notice
        finally:
            self._socket.setblocking(True)


def name_of(base: str, topics: Collection[Topic]) -> str:
    """Return the name of a socket, which shows what its process wants to hear of."""
    return f"{base}.{''.join(sorted(topic.value for topic in topics))}"


def _queue_length() -> int:
    """Return how many messages the system keeps for a socket."""
    try:
        return int(Path(_QUEUE_SETTING).read_text("ascii"))
    except (OSError, ValueError):
        return 1  # unknown: every notice may be one of more
