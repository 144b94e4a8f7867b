"""Notices through PostgreSQL."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from tests.tasks.ledger.notificationcontract import Make, NotificationsContract
from tests.tasks.ledger.notificationtools import Ear, listen, wants_jobs

from dewar.tasks.ledger.notifications import JOBS, MAX_IDS, Notice, Notifications, Topic
from dewar.tasks.ledger.opening import open_ledger

_TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class TestPostgreSQLNotifications(NotificationsContract):
    @pytest.fixture(autouse=True)
    def server(self, postgresql_url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """A connection of nobody of ours."""
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            self.connection = connection
            yield connection

    @pytest.fixture
    def connect(self, postgresql_url: str) -> Iterator[Make]:
        with ExitStack() as stack:

            def start() -> Notifications:
                ledger = open_ledger(postgresql_url)
                stack.callback(ledger.close)
                return ledger.notifications

            yield start

    def send_garbage(self, message: bytes) -> None:
        text = message.replace(b"\0", b"").decode("ascii", "replace")
        for channel in ("dewar_jobs", "dewar_ended", "dewar_owners"):
            self.connection.execute("SELECT pg_notify(%s, %s)", (channel, text))

    def test_a_connection_that_broke_is_replaced(self, make: Make) -> None:
        """A listener looks at everything then, and both ends go on as before."""
        one, two = make(), make()
        ear, other = listen(one, "one", Topic.JOBS), listen(two, "two", Topic.ENDED)
        self.connection.execute(_TERMINATE)
        ear.wait_for(lambda notice: notice.is_partial)
        other.wait_for(lambda notice: notice.is_partial)
        two.notify(JOBS)
        ear.wait_for(lambda notice: notice == JOBS)
        one.notify(Notice(ended=("a",)))
        other.wait_for(lambda notice: notice.ended)

    def test_what_is_told_during_an_outage_is_told_after_it(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As a change that is not named, if there is much of it."""
        one, two = make(), make()
        ear, _ = listen(one, "one", Topic.ENDED), listen(two, "two")
        gate = threading.Event()
        connect = type(two)._connect

        def later(self: object) -> object:
            assert gate.wait(20)
            return connect(self)  # type: ignore[arg-type]

        monkeypatch.setattr(type(two), "_connect", later)
        self.connection.execute(_TERMINATE)
        for number in range(2 * MAX_IDS):
            two.notify(Notice(ended=(str(number),)))
        gate.set()
        ear.wait_for(lambda notice: notice.is_partial)

    def test_many_notices_are_few_transactions(self, make: Make) -> None:
        """Each of them takes a lock of the whole server."""
        one = make()
        listen(one, "one", Topic.JOBS)
        self.connection.execute("LISTEN dewar_ended")
        for number in range(1000):
            one.notify(Notice(ended=(str(number),)))
        one.notify(Notice(ended=("last",)))
        messages: list[str] = []
        for notification in self.connection.notifies(timeout=20):
            messages.append(notification.payload)
            if notification.payload == "*" or "elast" in notification.payload:
                break
        assert len(messages) < 200

    def test_a_stop_tells_what_is_left(self, make: Make) -> None:
        """The last notice of a process is that it leaves."""
        ear = listen(make(), "one", Topic.JOBS)
        for _ in range(20):
            other = make()
            listen(other, "two")
            other.notify(Notice(ended=("a",)))
            other.notify(JOBS)
            other.close()
            ear.wait_for(wants_jobs)

    def test_a_pooler_that_hears_nothing_is_found_out(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where its own message does not come back, a process polls as if it was alone."""
        monkeypatch.setattr("dewar.tasks.ledger.postgresql_exchange._read", lambda driver: None)
        monkeypatch.setattr("psycopg.Connection.add_notify_handler", lambda *args: None)
        one, ear = make(), Ear()
        one.listen("one", [Topic.JOBS], ear)
        ear.wait_for(lambda notice: notice.is_partial)
        assert not one.is_listening
