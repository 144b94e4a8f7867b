"""`SocketNotifications`: notices between the processes of one host, by a socket for each of them.

Rules for the file:

- A sender never waits. If the queue of a socket is full, its process has something to read
  already, and then looks at everything.
- The list of sockets is read again only if the folder has changed, so a process that is alone pays
  one ``lstat`` for a commit that others would hear of.
- A name whose socket nobody holds is removed by whoever finds it. No name comes back, so it cannot
  be that of another process by then.
- A forked child closes what it has inherited: otherwise its parent's socket would seem to be read
  after the parent has died.
"""

import errno
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

from dewar.tasks.ledger.notifications import PARTIAL, Notice, Tell, Topic, encode
from dewar.tasks.ledger.socket_folder import SocketFolder, Version
from dewar.tasks.ledger.socket_listener import SocketListener

_logger = logging.getLogger("dewar.tasks")
#: Whether the system has such sockets.
HAS_SOCKETS = hasattr(socket, "AF_UNIX")
#: The names of sockets. Nothing else in the folder is touched.
_NAME = re.compile(r"(\w+)-[0-9a-f]+\.([a-z]*)", re.ASCII)
#: A file system may note two changes within this time as one, in nanoseconds.
_COARSE = 100_000_000


class _Peer(NamedTuple):
    """The socket of another process, and what it wants to hear of."""

    owner: str
    topics: frozenset[Topic]
    socket: socket.socket


class SocketNotifications:
    """The sockets beside one ledger. Any thread may call any method.

    Args:
        path: The path of the folder. It is made when a process begins to listen.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = SocketFolder(path)
        self._lock = threading.Lock()
        self._peers: dict[str, _Peer] = {}
        #: The version of the folder when the peers were listed; None to list them again.
        self._listed: Version | None = None
        self._listener: SocketListener | None = None
        self._owner = self._complaint = ""
        self._topics: frozenset[Topic] = frozenset()
        self._tell: Tell | None = None
        _fork_reset.add(self)

    def __repr__(self) -> str:
        return f"<SocketNotifications {self._listener!r}, {len(self._peers)} peers>"

    @property
    def is_listening(self) -> bool:
        """See `Notifications`."""
        return self._listener is not None

    def notify(self, notice: Notice) -> None:
        """See `Notifications`."""
        with self._lock:
            version = self._folder.maybe_version()
            if version != self._listed:
                self._list_peers(version)
            if self._peers:
                self._send(notice)

    def listen(self, name: str, topics: Collection[Topic], tell: Tell) -> None:
        """See `Notifications`."""
        with self._lock:
            self._owner, self._topics, self._tell = name, frozenset(topics), tell
            self._begin()

    def add_topic(self, topic: Topic) -> bool:
        """See `Notifications`."""
        if topic in self._topics or self._tell is None:
            return False
        with self._lock:
            self._topics |= {topic}
            if self._listener is not None:
                with suppress(OSError):  # it is gone, and `maintain` makes another one
                    self._listener.rename(self._folder, self._topics)
        return True

    def maintain(self) -> None:
        """See `Notifications`."""
        tell = self._tell
        if tell is None:
            return
        with self._lock:
            listener = self._listener
            if listener is not None and self._is_reached(listener):
                return
            self._listener = None
            self._begin()
            has_begun = self._listener is not None
            if listener is not None:
                with suppress(OSError):
                    self._folder.remove(listener.name)
        if listener is not None:
            listener.close()
        if has_begun:
            tell(PARTIAL)

    def close(self) -> None:
        """See `Notifications`."""
        with self._lock:
            listener, self._listener, self._tell = self._listener, None, None
            if listener is not None:
                with suppress(OSError):
                    self._folder.remove(listener.name)
            self._drop_peers()
            self._folder.close()
        if listener is not None:
            listener.close()  # without the lock, for which its thread may wait

    def after_fork(self) -> None:
        """Start again in a child: without what the parent has."""
        self._lock = threading.Lock()
        if self._listener is not None:
            self._listener.forget()
        self._listener = self._tell = None
        self._owner = ""
        self._drop_peers()
        self._folder.close()

    def _begin(self) -> None:
        """Make a socket and the thread that reads it, if that is possible."""
        if self._tell is None:
            return
        try:
            self._folder.make()
            self._folder.open()
            listener = SocketListener(self._folder, self._owner, self._topics)
        except OSError as error:
            self._complain(error)
            return
        try:
            listener.start(self._tell)
        except RuntimeError as error:
            self._complain(error)
            listener.forget()
            return
        self._listener, self._complaint = listener, ""

    def _complain(self, error: Exception) -> None:
        """Log why there is no listener, unless it is the same reason as before."""
        if str(error) != self._complaint:
            self._complaint = str(error)
            _logger.info("Other processes are not heard, and polled: %s", error)

    def _is_reached(self, listener: SocketListener) -> bool:
        """Return whether others find this process, and are heard."""
        return listener.is_alive and os.path.lexists(self._path / listener.name)

    def _list_peers(self, version: Version | None) -> None:
        """Connect to the sockets that are new, and forget those that are gone."""
        if version is None:
            self._listed = None  # those that are known hear all the same
            return
        is_recent = abs(time.time_ns() - version[2]) < _COARSE
        self._listed = None if is_recent else version
        try:
            if self._folder.open():
                self._drop_peers()  # of another folder
            names = set(self._folder.names())
            for name in self._peers.keys() - names:
                self._peers.pop(name).socket.close()
            for name in names - self._peers.keys():
                self._connect(name)
        except OSError as error:
            self._listed = None
            _logger.debug("Not all processes beside %s are told: %s", self._path, error)

    def _connect(self, name: str) -> None:
        found = _NAME.fullmatch(name)
        if found is None or found[1] == self._owner:
            return
        topics = frozenset(topic for topic in Topic if topic.value in found[2])
        peer = _Peer(found[1], topics, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        peer.socket.setblocking(False)
        try:
            peer.socket.connect(self._folder.address(name))
        except OSError as error:
            peer.socket.close()
            self._note_failure(name, error)
        else:
            self._peers[name] = peer

    def _send(self, notice: Notice) -> None:
        message = b""
        for name, peer in list(self._peers.items()):
            if not notice.concerns(peer.owner, peer.topics):
                continue
            message = message or encode(notice)
            try:
                peer.socket.send(message)
            except BlockingIOError:
                pass  # it has something to read already
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # the same on some systems
                    del self._peers[name]
                    peer.socket.close()
                    self._note_failure(name, error)

    def _note_failure(self, name: str, error: OSError) -> None:
        """Remove the name of a socket that nobody holds any more."""
        if isinstance(error, ConnectionRefusedError):
            with suppress(OSError):  # another process has done it
                self._folder.remove(name)

    def _drop_peers(self) -> None:
        for peer in self._peers.values():
            peer.socket.close()
        self._peers = {}
        self._listed = None


class _ForkReset:
    """Has each forked child start again.

    There is one for the process: functions registered for a fork stay registered for ever.
    """

    def __init__(self) -> None:
        # By identity. Copying its references is atomic, and a fork may come at any time.
        self._known: WeakValueDictionary[int, SocketNotifications] = WeakValueDictionary()

    def __repr__(self) -> str:
        return f"<_ForkReset of {len(self._known)}>"

    def add(self, notifications: SocketNotifications) -> None:
        """Tell these notifications of forks too, as long as they exist."""
        self._known[id(notifications)] = notifications

    def run(self) -> None:
        """Let all start again."""
        for reference in self._known.valuerefs():
            notifications = reference()
            if notifications is not None:
                notifications.after_fork()


_fork_reset = _ForkReset()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fork_reset.run)
