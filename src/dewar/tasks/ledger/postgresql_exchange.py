"""`NoticeExchange`: the thread of one process that exchanges notices through PostgreSQL.

It has a connection of its own, both to send and to receive, and makes another one if that breaks.

PERF: a commit with a NOTIFY takes a lock of the whole server. So notices are not sent in the
transactions that they are about, but after them: together if many come within some milliseconds,
and without waiting for the server's disk.
"""

import logging
import os
import selectors
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, text

from dewar.support.background_thread import BackgroundThread
from dewar.support.backoff import doubled
from dewar.support.waker import Waker
from dewar.tasks.ledger.notifications import MAX_IDS, PARTIAL, Notice, Tell, Topic, decode, encode

_logger = logging.getLogger("dewar.tasks")
#: The most ids in one message: PostgreSQL takes 8000 bytes.
_MAX_IDS = 200
#: The least seconds between two transactions with notices.
_INTERVAL = 0.002
#: The pauses before another try to connect, in seconds: the first and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
#: How long a stop waits for the thread, which may be connecting, in seconds.
_FINAL_WAIT = 5.0
#: The channels, by what is told there. The last one is for some owners only.
_JOBS, _ENDED, _CHANGED, _OWNERS = "dewar_jobs", "dewar_ended", "dewar_changed", "dewar_owners"
_CHANNELS = {Topic.JOBS: _JOBS, Topic.ENDED: _ENDED, Topic.CHANGED: _CHANGED}
#: As part of a transaction that is about something else.
NOTIFY = select(func.pg_notify(bindparam("channel"), bindparam("message")))
_SEND = NOTIFY.add_columns(func.set_config("synchronous_commit", "off", True))


class NoticeExchange:
    """Exchanges notices until it is closed. Any thread may call any method.

    Args:
        connect: Returns a connection that nobody else uses, and that commits each statement.
        name: The id of this process as an owner.
        topics: What it wants to hear of.
        tell: Called with the notices of others, on this thread.
        schema: As in `channel_of`.

    Attributes:
        pid: The process that has the thread.
        is_listening: Whether a message of its own has come back on the present connection. It does
            not through a pooler that gives each transaction another connection.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        name: str,
        topics: Collection[Topic],
        tell: Tell,
        schema: str | None = None,
    ) -> None:
        self.pid = os.getpid()
        self.is_listening = False
        self._connect = connect
        self._name = name
        self._topics = frozenset(topics)
        self._tell = tell
        self._schema = schema
        self._lock = threading.Lock()
        self._unsent = Notice()
        self._received = Notice()
        self._send_from = 0.0
        self._backend = self._failures = 0
        self._waker = Waker()
        self._closing = threading.Event()
        self._thread = BackgroundThread("dewar-tasks-listener", self._run)

    def __repr__(self) -> str:
        return f"<NoticeExchange of {self._name}{'' if self.is_listening else ', not listening'}>"

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: The system starts no thread.
        """
        self._thread.start()

    def put(self, notice: Notice) -> None:
        """Have a notice sent soon."""
        with self._lock:
            unsent = self._unsent.joined(notice)
            # While there is no connection, it does not grow for ever.
            is_long = len(unsent.ended) + len(unsent.changed) > MAX_IDS
            self._unsent = PARTIAL if is_long else unsent
        self._waker.wake()

    def add_topic(self, topic: Topic) -> bool:
        """Hear of a topic from now on; return whether that is new."""
        with self._lock:
            is_new = topic not in self._topics
            self._topics |= {topic}
        if is_new:
            self._waker.wake()
        return is_new

    def close(self) -> None:
        """Send what is left, and end."""
        self._closing.set()
        self._waker.wake()
        if self._thread is not threading.current_thread():
            self._thread.join(_FINAL_WAIT)
        if not self._thread.is_alive():
            self._waker.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with self._connect() as connection:
                    self._exchange(connection)
            except Exception as error:  # noqa: BLE001  # the driver's errors, and the system's
                self._failures += 1
                if self._failures == 1:  # an outage fails each try
                    _logger.info("Notices of other processes do not come: %s", error)
                self._closing.wait(doubled(_FIRST_PAUSE, self._failures, _LONGEST_PAUSE))
            finally:
                self.is_listening = False

    def _exchange(self, connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        driver.add_notify_handler(self._on_notify)
        self._backend = driver.info.backend_pid
        channels: set[str] = set()
        with selectors.DefaultSelector() as selector:
            selector.register(driver.fileno(), selectors.EVENT_READ)
            selector.register(self._waker.fd, selectors.EVENT_READ)
            while True:
                self._listen(connection, channels)
                is_last = self._closing.is_set()
                timeout = self._send(connection, is_last)
                self._deliver()
                if is_last:
                    return
                selector.select(timeout)
                self._waker.clear()
                _read(driver)

    def _listen(self, connection: Connection, channels: set[str]) -> None:
        """Listen to channels that are new, and have everything looked at after that."""
        wanted = {_OWNERS, *(_CHANNELS[topic] for topic in self._topics)} - channels
        if not wanted:
            return
        for channel in sorted(wanted):
            connection.execute(text(f"LISTEN {channel_of(channel, self._schema)}"))
        self._received = PARTIAL
        self._deliver()
        if not channels:
            owners = channel_of(_OWNERS, self._schema)
            given = {"channel": owners, "message": encode(Notice(owners=(self._name,))).decode()}
            connection.execute(_SEND, given)
        channels |= wanted
        self._failures = 0

    def _send(self, connection: Connection, is_last: bool) -> float | None:
        """Send what there is, if it is time; return the seconds until it is time for the rest."""
        now = time.monotonic()
        with self._lock:
            notice = self._unsent
            if not notice:
                return None
            if now < self._send_from and not is_last:
                return self._send_from - now
            self._unsent = Notice()
        self._send_from = now + _INTERVAL
        try:
            send(connection, notice, self._schema)
        except BaseException:
            self.put(notice)
            raise
        return None

    def _on_notify(self, notify: Any) -> None:
        notice = decode(notify.payload.encode())
        if notify.pid == self._backend:
            self.is_listening |= self._name in notice.owners
        elif notice.concerns(self._name, self._topics):
            self._received = self._received.joined(notice)

    def _deliver(self) -> None:
        notice, self._received = self._received, Notice()
        try:
            if notice:
                self._tell(notice)
        except Exception:
            _logger.exception("After the notice %r this failed", notice)


def channel_of(name: str, schema: str | None) -> str:
    """Return the name of a channel: with the schema of the ledger, if it is one of several."""
    return name if schema is None else f"{name}_{schema}"


def send(
    connection: Connection,
    notice: Notice,
    schema: str | None,
    statement: Select[Any] = _SEND,
) -> None:
    """Send a notice through a connection that commits each statement, or with `NOTIFY`."""
    parts = {
        _JOBS: Notice(jobs=notice.jobs, is_partial=notice.is_partial),
        _ENDED: Notice(ended=notice.ended, is_partial=notice.is_partial),
        _OWNERS: Notice(owners=notice.owners, is_partial=notice.is_partial),
        _CHANGED: Notice(changed=notice.changed, is_partial=notice.is_partial),
    }
    for channel, part in parts.items():
        if part:
            message = encode(part, _MAX_IDS).decode()
            given = {"channel": channel_of(channel, schema), "message": message}
            connection.execute(statement, given)


def _read(driver: Any) -> None:
    """Have the handler called with the notifications that have come."""
    server = driver.pgconn
    server.consume_input()
    while (notification := server.notifies()) is not None:
        server.notify_handler(notification)
