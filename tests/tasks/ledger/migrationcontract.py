"""What the migration of a ledger does, wherever it is kept."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import inspect, text
from tests.tasks.ledger.ledgertools import HERE, dead, end, ids, new, only, start
from tests.tasks.ledger.older import BEGIN, END, OlderProcess, make_older_ledger

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger import opening
from dewar.tasks.ledger.claiming import ClaimRules, mark_limited
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.migrations import LATEST, STEPS, Step, missing_steps
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobState
from dewar.tasks.limits import TaskLimits

OlderOf = Callable[[str], OlderProcess]
TASKS = ["resize", "other"]
#: What the rows of the first schema are.
STATES = {
    "job-waiting": JobState.QUEUED,
    "job-later": JobState.QUEUED,
    "job-claimed": JobState.QUEUED,
    "job-running": JobState.RUNNING,
    "job-running-once": JobState.RUNNING,
    "job-stopping": JobState.RUNNING,
    "job-done": JobState.DONE,
    "job-failed": JobState.FAILED,
    "job-lost": JobState.LOST,
    "job-cancelled": JobState.CANCELLED,
    "job-again": JobState.QUEUED,
    "job-other-task": JobState.QUEUED,
}


def tables(ledger: Ledger) -> dict[str, Any]:
    """Return the columns and the indexes of all tables, as the database tells them."""
    with ledger.database.reading() as connection:
        found = inspect(connection)
        columns = {
            (table, column["name"]): (
                column["type"]._type_affinity,
                column["nullable"],
                column["default"],
            )
            for table in found.get_table_names()
            for column in found.get_columns(table)
        }
        indexes = {
            index["name"]: (index["column_names"], index["unique"])
            for table in found.get_table_names()
            for index in found.get_indexes(table)
        }
    return {"columns": columns, "indexes": indexes}


def meta(ledger: Ledger) -> dict[str, str]:
    with ledger.database.reading() as connection:
        rows = connection.execute(text("SELECT name, value FROM dewar_meta")).all()
    return {row.name: row.value for row in rows}


class MigrationContract:
    """Inherited by the tests of each database, which say where it is."""

    @pytest.fixture
    def where(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def older_of(self) -> Iterator[OlderOf]:
        """Makes older processes, which are closed in the end."""
        made: list[OlderProcess] = []

        def make(where: str) -> OlderProcess:
            made.append(OlderProcess(where))
            return made[-1]

        yield make
        for older in made:
            older.close()

    @pytest.fixture
    def other_where(self) -> str:
        """Where another ledger may be."""
        raise NotImplementedError

    def test_every_job_is_there_as_it_was(self, where: str) -> None:
        """In each state, with what was said of it, in the default queue and without limits."""
        make_older_ledger(where)
        ledger = open_ledger(where)
        found = ledger.get_many(list(STATES))
        assert {id: job.state for id, job in found.items()} == STATES
        placed = {(job.queue, job.priority, job.limited, job.unique_key) for job in found.values()}
        assert placed == {("default", 0, False, None)}
        assert found["job-waiting"].context == '{"ä": 1}'
        assert (found["job-later"].due, found["job-again"].due) == (5000.0, 9.0)
        assert (found["job-running"].fraction, found["job-running"].message) == (0.5, "half")
        assert ledger.stop_requests(HERE.id) == ["job-stopping"]
        assert meta(ledger) == {"version": "1", "schema": str(LATEST)}
        ledger.close()

    def test_the_jobs_go_on(self, where: str) -> None:
        """What waits is claimed when it is due, and what a dead process had is recovered."""
        make_older_ledger(where)
        ledger = open_ledger(where)
        first = ledger.claim("new", 10, 8.0, TASKS)
        assert set(ids(first)) == {"job-waiting", "job-other-task"}
        assert ledger.outlook(TASKS).next_due == 9.0
        recovered = ledger.recover(8.0, dead)
        assert recovered.requeued == ("job-running",)
        assert (recovered.lost, recovered.cancelled) == (("job-running-once",), ("job-stopping",))
        assert ledger.retry("job-failed", 8.0)
        second = ledger.claim("new", 10, 9.0, TASKS)
        assert set(ids(second)) >= {"job-claimed", "job-running", "job-again", "job-failed"}
        assert ids(ledger.claim("new", 10, 5000.0, TASKS)) == ["job-later"]
        ledger.close()

    def test_the_tables_are_those_of_a_new_ledger(self, where: str, other_where: str) -> None:
        """All columns and indexes, but for the one that only older processes use."""
        make_older_ledger(where)
        migrated, fresh = open_ledger(where), open_ledger(other_where)
        found, expected = tables(migrated), tables(fresh)
        assert found["columns"] == expected["columns"]
        left = found["indexes"].keys() - expected["indexes"].keys()
        assert left == {"dewar_jobs_waiting"}
        assert expected["indexes"].items() <= found["indexes"].items()
        assert meta(fresh) == meta(migrated)
        migrated.close()
        fresh.close()

    def test_it_is_done_once(self, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Opening again changes nothing, and many may open at once."""
        make_older_ledger(where)
        barrier = threading.Barrier(6)

        def use(number: int) -> str:
            barrier.wait(10)
            ledger = open_ledger(where)
            job = new(queue="mail")
            ledger.write([job])
            ledger.close()
            return job.id

        with ThreadPoolExecutor(6) as threads:
            written = set(threads.map(use, range(6)))
        monkeypatch.setattr(opening, "_migrate", lambda connection, schema: _must_not(schema))
        ledger = open_ledger(where)
        assert set(ledger.get_many(list(written))) == written
        ledger.close()

    def test_one_that_fails_half_way_changes_nothing(
        self, where: str, older_of: OlderOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The ledger is of the first schema still, and the next start does all steps."""
        make_older_ledger(where)
        older = older_of(where)
        step = STEPS[0]
        broken = Step(2, (*step.statements[:6], "SELECT no_such_thing"))
        with monkeypatch.context() as patched:
            patched.setattr(opening, "missing_steps", lambda schema: [broken])
            with pytest.raises(TaskSetupError, match="no_such_thing"):
                open_ledger(where)
        older.submit("meanwhile")
        assert older.run("SELECT name FROM dewar_meta") == [("version",)]
        with pytest.raises(Exception, match="queue"):
            older.run("SELECT queue FROM dewar_jobs")
        ledger = open_ledger(where)
        assert len(ledger.list()) == len(STATES) + 1
        ledger.close()

    def test_an_older_process_goes_on_beside_newer_ones(
        self, where: str, older_of: OlderOf
    ) -> None:
        """It accepts, claims, runs and ends jobs, and a newer one runs what it has accepted."""
        make_older_ledger(where, rows=False)
        older = older_of(where)
        older.submit("before")
        ledger = open_ledger(where)
        older.submit("after", at=2.0)
        mine = new(3.0)
        ledger.write([mine])
        assert older.next_due() == 1.0
        assert older.claim(2.0) == {"before", "after"}
        older.run(BEGIN, id="after", now=2.0)
        older.run(END, id="after", now=3.0)
        ended = ledger.get_many(["after"])["after"]
        assert (ended.state, ended.result) == (JobState.DONE, "7")
        older.submit("later", at=4.0)
        assert ids(ledger.claim("new", 5, 4.0, TASKS)) == [mine.id, "later"]
        assert older.claim(4.0) == set()
        ledger.close()

    def test_an_older_process_claims_nothing_that_it_may_not(
        self, where: str, older_of: OlderOf
    ) -> None:
        """Neither jobs in other queues nor limited ones, not even after they ran once."""
        make_older_ledger(where, rows=False)
        ledger, older = open_ledger(where), older_of(where)
        ledger.beat(HERE, 100.0)
        mail, limited, plain = new(queue="mail"), new(limited=True), new(priority=5)
        ledger.write([mail, limited, plain])
        assert older.claim(1e10) == {plain.id}
        assert older.next_due() > 253402300799
        claimed = ledger.claim(HERE.id, 5, 1.0, TASKS)
        assert {(job.id, job.due) for job in claimed} == {(mail.id, 1.0), (limited.id, 1.0)}
        starts = [start(job) for job in claimed]
        ledger.write([*starts, end(mail, JobState.QUEUED, due=50.0), end(limited, JobState.FAILED)])
        assert ledger.retry(limited.id, 60.0)
        assert older.claim(1e10) == set()
        assert {job.id: job.due for job in ledger.list(JobState.QUEUED)} == {
            plain.id: 1.0,
            mail.id: 50.0,
            limited.id: 60.0,
        }
        again = ledger.claim(HERE.id, 5, 60.0, TASKS)
        assert set(ids(again)) == {mail.id, limited.id}
        ledger.write([start(job, attempt=2) for job in again])
        ledger.recover(70.0, only(HERE.id))
        assert older.claim(1e10) == set()
        assert len(ledger.claim(HERE.id, 5, 70.0, TASKS)) == 2
        ledger.close()

    def test_limits_apply_to_jobs_of_older_processes(self, where: str, older_of: OlderOf) -> None:
        """What they have accepted is claimed within the limits, and what they run counts."""
        make_older_ledger(where, rows=False)
        ledger, older = open_ledger(where), older_of(where)
        rules = ClaimRules(limits={"resize": TaskLimits(max_running=2)})
        for number in range(3):
            older.submit(f"waiting-{number}")
        older.submit("running", owner="older")
        older.run(BEGIN, id="running", now=2.0)
        assert ledger.claim("new", 5, 5.0, TASKS, rules) == []
        assert mark_limited(ledger.database, ["resize"]) == 4
        assert mark_limited(ledger.database, ["resize"]) == 0
        assert ids(ledger.claim("new", 5, 5.0, TASKS, rules)) == ["waiting-0"]
        assert ledger.claim("new", 5, 5.0, TASKS, rules) == []
        assert older.claim(1e10) == set()
        older.run(END, id="running", now=3.0)
        assert ids(ledger.claim("new", 5, 5.0, TASKS, rules)) == ["waiting-1"]
        ledger.close()

    def test_a_step_of_a_newer_version_is_not_this_ones(
        self, where: str, older_of: OlderOf
    ) -> None:
        """A ledger that a newer Dewar has migrated is used, if its version allows that."""
        open_ledger(where).close()
        older = older_of(where)
        older.run("UPDATE dewar_meta SET value = '99' WHERE name = 'schema'")
        ledger = open_ledger(where)
        ledger.write([new()])
        assert meta(ledger)["schema"] == "99"
        assert missing_steps(99) == []
        ledger.close()


def _must_not(schema: int) -> None:
    assert missing_steps(schema) == []
