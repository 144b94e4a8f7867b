"""`PostgreSQLNotifications`: notices through LISTEN and NOTIFY, between any number of hosts."""

import logging
import os
from collections.abc import Collection
from contextlib import suppress

from sqlalchemy import Connection

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.notifications import Notice, Tell, Topic
from dewar.tasks.ledger.postgresql_exchange import NoticeExchange, send

_logger = logging.getLogger("dewar.tasks")


class PostgreSQLNotifications:
    """The notices of one database. Any thread may call any method.

    Args:
        database: The database. Its connections are used for notices until this process listens.
        schema: The schema of the ledger, if it is one of several.
    """

    def __init__(self, database: Database, schema: str | None = None) -> None:
        self._database = database
        self._schema = schema
        self._started: NoticeExchange | None = None

    def __repr__(self) -> str:
        return f"<PostgreSQLNotifications {self._started!r}>"

    @property
    def is_listening(self) -> bool:
        """See `Notifications`."""
        exchange = self._exchange
        return exchange is not None and exchange.is_listening

    def notify(self, notice: Notice) -> None:
        """See `Notifications`. In a process that does not listen, it waits for the server."""
        exchange = self._exchange
        if exchange is not None:
            exchange.put(notice)
            return
        with suppress(LedgerError), self._database.reading() as connection:
            send(connection, notice, self._schema)

    def listen(self, name: str, topics: Collection[Topic], tell: Tell) -> None:
        """See `Notifications`."""
        exchange = NoticeExchange(self._connect, name, topics, tell, self._schema)
        try:
            exchange.start()
        except RuntimeError as error:
            _logger.info("Other processes are not heard, and polled: %s", error)
        else:
            self._started = exchange

    def add_topic(self, topic: Topic) -> bool:
        """See `Notifications`."""
        exchange = self._exchange
        return exchange is not None and exchange.add_topic(topic)

    def maintain(self) -> None:
        """Do nothing: the thread connects again by itself."""

    def close(self) -> None:
        """See `Notifications`."""
        exchange = self._exchange
        if exchange is not None:
            self._started = None
            exchange.close()

    @property
    def _exchange(self) -> NoticeExchange | None:
        """The thread of this process. A forked child has none, and leaves its parent's alone."""
        exchange = self._started
        return exchange if exchange is not None and exchange.pid == os.getpid() else None

    def _connect(self) -> Connection:
        connection = self._database.connections().reader.connect()
        connection.detach()
        return connection
