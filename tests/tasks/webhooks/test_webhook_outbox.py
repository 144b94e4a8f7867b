import os
import threading
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.schema import deliveries
from dewar.tasks.webhooks.outbox import Outbox
from dewar.tasks.webhooks.records import DeliveryState
from dewar.tasks.webhooks.schedule import Delivered, DeliveryResult, Disabled, GaveUp, Retry

URL = "https://example.com/hook"
OK = DeliveryResult(status=204)
BAD = DeliveryResult(status=500, error="500: no")


class OutboxContract:
    """What an outbox does in any database. Times are small numbers."""

    @pytest.fixture
    def database(self):
        raise NotImplementedError

    @pytest.fixture
    def outbox(self, database):
        """An empty outbox."""
        return Outbox(database)

    @pytest.fixture
    def add(self, database):
        """Put callbacks in, as the ledger does."""

        def add_some(*names, due=0.0, url=URL):
            rows = [
                {"id": name, "job_id": f"job-{name}", "url": url, "body": "{}", "created": due}
                | {"due": due, "attempts": 0, "state": "pending"}
                for name in names
            ]
            with database.writing() as connection:
                connection.execute(deliveries.insert(), rows)

        return add_some

    def claim(self, outbox, name, owner="a", now=1.0, until=100.0):
        (claimed,) = outbox.claim([name], owner, now, until)
        return claimed

    def test_an_empty_outbox_has_nothing_due(self, outbox):
        """Nor will it have."""
        assert outbox.due(1e12, 10) == []
        assert outbox.next_due() is None
        assert outbox.claim(["x"], "a", 1.0, 2.0) == []
        assert outbox.get("x") is None
        assert set(outbox.counts().values()) == {0}

    def test_what_is_due_comes_oldest_first(self, outbox, add):
        """Callbacks that are not due yet are left out."""
        add("b", due=2.0)
        add("a", "c", due=1.0)
        add("d", due=5.0)
        assert [found.id for found in outbox.due(2.0, 10)] == ["a", "c", "b"]
        assert outbox.next_due() == 1.0

    def test_pages_follow_one_another(self, outbox, add):
        """Each begins behind the last of the page before."""
        add("a", "b", "c", due=1.0)
        add("d", due=2.0)
        seen, last = [], None
        while page := outbox.due(9.0, 2, last):
            seen += [found.id for found in page]
            last = page[-1]
        assert seen == ["a", "b", "c", "d"]

    def test_what_is_claimed_is_due_when_the_lease_runs_out(self, outbox, add):
        """Nobody has to clean up behind a process that died."""
        add("a")
        first = self.claim(outbox, "a", "one", 1.0, 100.0)
        assert (first.owner, first.attempts, first.body) == ("one", 1, "{}")
        assert outbox.due(99.0, 10) == []
        assert outbox.claim(["a"], "two", 99.0, 200.0) == []
        assert outbox.next_due() == 100.0
        second = self.claim(outbox, "a", "two", 100.0, 200.0)
        assert (second.id, second.owner, second.attempts) == ("a", "two", 2)

    def test_none_goes_to_two(self, outbox, add):
        """However many look at the same moment."""
        names = [f"m{number}" for number in range(20)]
        add(*names)
        gate, claimed = threading.Barrier(4), []

        def take(owner):
            gate.wait(10)
            for name in names:
                claimed.extend((owner, one.id) for one in outbox.claim([name], owner, 1.0, 9.0))

        threads = [threading.Thread(target=take, args=(str(number),)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(name for _, name in claimed) == sorted(names)

    def test_a_delivery_is_recorded(self, outbox, add):
        """It is not due any more."""
        add("a")
        assert outbox.record(self.claim(outbox, "a"), Delivered(), OK, 2.0)
        found = outbox.get("a")
        assert (found.state, found.last_status, found.last_error, found.owner, found.attempts) == (
            DeliveryState.DELIVERED,
            204,
            None,
            None,
            1,
        )
        assert outbox.next_due() is None

    def test_a_retry_is_due_when_it_says(self, outbox, add):
        """It has the error, and no owner."""
        add("a")
        assert outbox.record(self.claim(outbox, "a"), Retry(50.0), BAD, 2.0)
        found = outbox.get("a")
        assert (found.state, found.due, found.last_status, found.last_error, found.owner) == (
            DeliveryState.PENDING,
            50.0,
            500,
            "500: no",
            None,
        )
        assert self.claim(outbox, "a", "b", 50.0).attempts == 2

    def test_the_last_failure_is_kept(self, outbox, add):
        """For people to find."""
        add("a", "b")
        assert outbox.record(self.claim(outbox, "a"), GaveUp(), BAD, 2.0)
        assert [found.id for found in outbox.list(DeliveryState.FAILED)] == ["a"]
        assert [found.id for found in outbox.list(limit=1)] == ["b"]
        assert outbox.counts()[DeliveryState.FAILED] == outbox.counts()[DeliveryState.PENDING] == 1

    @pytest.mark.parametrize("step", [Retry(50.0), GaveUp()], ids=["retry", "gave up"])
    def test_what_another_has_claimed_is_left_alone(self, outbox, add, step):
        """After the lease has run out, the former owner's record does not count."""
        add("a")
        late = self.claim(outbox, "a", "one", 1.0, 2.0)
        self.claim(outbox, "a", "two", 3.0, 100.0)
        assert not outbox.record(late, step, BAD, 4.0)
        found = outbox.get("a")
        assert (found.owner, found.due, found.state) == ("two", 100.0, DeliveryState.PENDING)

    def test_the_same_owner_may_be_late_too(self, outbox, add):
        """Its newer attempt counts."""
        add("a")
        late = self.claim(outbox, "a", "one", 1.0, 2.0)
        newer = self.claim(outbox, "a", "one", 3.0, 100.0)
        assert not outbox.record(late, Retry(5.0), BAD, 4.0)
        assert outbox.record(newer, Retry(6.0), BAD, 4.0)

    def test_a_late_delivery_counts(self, outbox, add):
        """The receiver has it; it need not come again."""
        add("a")
        late = self.claim(outbox, "a", "one", 1.0, 2.0)
        newer = self.claim(outbox, "a", "two", 3.0, 100.0)
        assert outbox.record(late, Delivered(), OK, 4.0)
        assert not outbox.record(newer, Retry(5.0), BAD, 5.0)
        assert outbox.get("a").state is DeliveryState.DELIVERED

    def test_a_url_that_wants_nothing_more_gets_nothing(self, outbox, add):
        """Waiting and later callbacks to it are disabled; other URLs are unaffected."""
        add("a", "b", "sending")
        add("other", url=f"{URL}/2")
        sending = self.claim(outbox, "sending", "b")
        assert outbox.record(self.claim(outbox, "a"), Disabled(), DeliveryResult(status=410), 7.0)
        assert outbox.look_up_disabled(URL)
        assert outbox.disabled() == [URL]
        add("later")
        assert [found.id for found in outbox.due(9.0, 10)] == ["later", "other"]
        assert outbox.claim(["later"], "a", 9.0, 10.0) == []
        assert outbox.record(sending, Retry(10.0), BAD, 9.0)
        assert outbox.claim(["sending"], "a", 10.0, 20.0) == []
        states = {found.id: found.state for found in outbox.list()}
        assert states.pop("other") is DeliveryState.PENDING
        assert set(states.values()) == {DeliveryState.DISABLED}

    def test_a_url_is_disabled_once(self, outbox, add):
        """Several attempts may hear it."""
        add("a", "b")
        claimed = outbox.claim(["a", "b"], "x", 1.0, 100.0)
        assert all(
            outbox.record(one, Disabled(), DeliveryResult(status=410), 7.0) for one in claimed
        )
        assert outbox.disabled() == [URL]
        assert outbox.enable(URL)
        assert not outbox.enable(URL)
        assert not outbox.look_up_disabled(URL)

    def test_by_hand_it_is_sent_again(self, outbox, add):
        """From the beginning of the schedule, also to a URL that was disabled."""
        add("a", "b", "c", "d")
        assert outbox.record(self.claim(outbox, "a"), GaveUp(), BAD, 2.0)
        assert outbox.record(self.claim(outbox, "b"), Disabled(), DeliveryResult(status=410), 2.0)
        assert outbox.retry_now("a", 5.0)
        assert (outbox.get("a").state, outbox.get("a").attempts) == (DeliveryState.PENDING, 0)
        assert not outbox.look_up_disabled(URL)
        assert self.claim(outbox, "a", now=5.0).attempts == 1
        assert outbox.retry_now("b", 5.0)
        assert self.claim(outbox, "b", now=5.0)

    def test_by_hand_nothing_is_sent_twice(self, outbox, add):
        """Delivered, running and unknown callbacks are not sent."""
        add("a", "b")
        assert outbox.record(self.claim(outbox, "a"), Delivered(), OK, 2.0)
        self.claim(outbox, "b", now=1.0, until=100.0)
        assert not outbox.retry_now("a", 5.0)
        assert not outbox.retry_now("b", 5.0)
        assert outbox.retry_now("b", 100.0)
        assert not outbox.retry_now("nothing", 5.0)

    def test_a_job_has_its_callbacks(self, outbox, add):
        """And no other's."""
        add("a", "b")
        assert [found.id for found in outbox.of_job("job-a")] == ["a"]
        assert outbox.of_job("nothing") == []

    def test_a_failing_database_is_told_as_one(self, outbox, database):
        """In our words."""
        with database.writing() as connection:
            connection.execute(text("DROP TABLE dewar_deliveries"))
        with pytest.raises(LedgerError):
            outbox.next_due()

    def test_it_says_where_it_is(self, outbox, database):
        """For logs."""
        assert database.name in repr(outbox)


class TestSQLiteOutbox(OutboxContract):
    """In a file."""

    @pytest.fixture
    def database(self, tmp_path):
        """A new file."""
        ledger = open_ledger(tmp_path / "jobs.sqlite")
        yield ledger.database
        ledger.close()

    def test_the_index_over_what_is_pending_is_used(self, database):
        """Delivered callbacks slow nothing down."""
        from dewar.tasks.webhooks import outbox

        given = {"now": 1.0, "most": 1, "after_due": 1.0, "after_id": ""}
        for statement in (outbox._DUE, outbox._NEXT_DUE):
            with database.reading() as connection:
                plan = connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"), given).fetchall()
            assert "dewar_deliveries_pending" in str(plan)


SERVER = "postgresql://postgres@127.0.0.1:5432/postgres"


@pytest.fixture(scope="module")
def postgresql():
    """A database of this process's own."""
    name = f"dewar_callbacks_{os.getpid()}_{uuid4().hex[:8]}"
    try:
        server = psycopg.connect(SERVER, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        pytest.skip(f"PostgreSQL at 127.0.0.1:5432 does not answer: {error}")
    with server:
        server.execute(f"CREATE DATABASE {name}")
        yield f"postgresql://postgres@127.0.0.1:5432/{name}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


class TestPostgreSQLOutbox(OutboxContract):
    """On a server, for several hosts."""

    @pytest.fixture
    def database(self, postgresql):
        """New tables."""
        ledger = open_ledger(postgresql)
        yield ledger.database
        with ledger.database.writing() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        ledger.close()
