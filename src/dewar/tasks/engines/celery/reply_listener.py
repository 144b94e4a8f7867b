"""`ReplyListener`: the thread that receives the workers' messages about a process's jobs."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kombu import Connection, Consumer, Producer, Queue
from kombu import Message as Delivery
from kombu.exceptions import OperationalError

from dewar.support.background_thread import BackgroundThread
from dewar.tasks.engines.celery.messages import Message, remove

_logger = logging.getLogger("dewar.tasks")

# How long it waits for messages before it checks heartbeats and the end, in seconds. Heartbeats are
# less frequent.
_TURN = 1.0
# How long it waits before it connects again, in seconds.
_BACKOFF = 0.5


class ReplyListener:
    """Reads a reply queue. It connects again if the connection is lost.

    The thread is a daemon, and starts with `start`.

    Args:
        connect: Returns a connection that is not connected yet.
        queue: The reply queue. It is removed at the end.
        handle: Called with each message and a producer to send the answer with.
        connected: Called with each new connection, before anything is read.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        queue: Queue,
        handle: Callable[[Message, Producer], object],
        connected: Callable[[Connection], object],
    ) -> None:
        self._connect = connect
        self._queue = queue
        self._handle = handle
        self._connected = connected
        self._over = threading.Event()
        self._thread = BackgroundThread("dewar-celery", self._run)
        self._starting = threading.Lock()

    def __repr__(self) -> str:
        return f"<ReplyListener to {self._queue.name}>"

    def start(self) -> None:
        """Start the thread, if it has not been started."""
        with self._starting:
            if self._thread.ident is None and not self._over.is_set():
                self._thread.start()

    def stop(self) -> bool:
        """Let the thread end soon; return whether it is running, so that a message wakes it."""
        with self._starting:
            was_listening = self._thread.is_alive() and not self._over.is_set()
            self._over.set()
            return was_listening

    def join(self) -> None:
        """Wait until the thread has ended, unless it is the caller's."""
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        is_lost = False
        while not self._over.is_set():
            connection = self._connect()
            try:
                self._listen(connection)
            except (OSError, OperationalError, *_errors_of(connection)) as error:
                level = logging.DEBUG if is_lost else logging.WARNING
                _logger.log(level, "The broker is not reachable (%s). Trying again.", error)
                is_lost = True
                self._over.wait(_BACKOFF)
            else:
                is_lost = False
            finally:
                with suppress(*_errors_of(connection), OSError):
                    connection.release()

    def _listen(self, connection: Connection) -> None:
        connection.connect()
        self._connected(connection)
        channel = connection.default_channel
        producer = Producer(channel, auto_declare=False)

        def receive(body: Any, delivery: Delivery) -> None:
            message = Message.of(body)
            if message is not None:
                self._handle(message, producer)
            delivery.ack()

        with Consumer(channel, [self._queue], callbacks=[receive], accept=["json"]):
            while not self._over.is_set():
                self._take_turn(connection)
        remove(connection, self._queue)

    def _take_turn(self, connection: Connection) -> None:
        try:
            connection.drain_events(timeout=_TURN)
        except TimeoutError:
            if connection.supports_heartbeats and connection.heartbeat:
                connection.heartbeat_check()


def _errors_of(connection: Connection) -> tuple[type[BaseException], ...]:
    errors: tuple[type[BaseException], ...] = (
        connection.connection_errors + connection.channel_errors
    )
    return errors
