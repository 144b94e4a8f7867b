"""What a ledger does with schedules, wherever it is kept."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.ledger.firingprocesses import check_each_once
from tests.tasks.ledger.ledgertools import HERE, THERE, ids, in_child, new, start

from dewar.tasks.ledger.notifying_ledger import NotifyingLedger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobState, NewJob, Settled
from dewar.tasks.ledger.schedule_table import ScheduleRow, ScheduleTable
from dewar.tasks.placement import OnDuplicate

OpenLedger = Callable[[], NotifyingLedger]
ROW = ScheduleRow(
    name="resize", rule="every 60", next_due=60.0, moved=1.0, declared=1.0, renewed=1.0
)
MOVED = replace(ROW, next_due=120.0, moved=60.5, last_due=60.0)


class ScheduleContract:
    """Inherited by the tests of each database, which say where it is."""

    #: How often processes race.
    ROUNDS: int

    @pytest.fixture
    def where(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def open_one(self, where: str) -> Iterator[OpenLedger]:
        """Opens the ledger, as each process does; it is closed in the end."""
        opened: list[NotifyingLedger] = []

        def make() -> NotifyingLedger:
            opened.append(open_ledger(where))
            return opened[-1]

        yield make
        for ledger in opened:
            ledger.close()

    @pytest.fixture
    def ledger(self, open_one: OpenLedger) -> NotifyingLedger:
        return open_one()

    @pytest.fixture
    def table(self, ledger: NotifyingLedger) -> ScheduleTable:
        table = ScheduleTable(ledger.database)
        assert table.add(ROW)
        return table

    def test_it_is_stored_as_it_was_given(self, table: ScheduleTable) -> None:
        """A time is the same to the last bit, and a second one of the name is not added."""
        other = replace(ROW, name="Straße ü", next_due=1796075782.123456, last_due=1e300)
        assert table.add(other)
        assert not table.add(replace(ROW, rule="every 5"))
        assert table.rows() == {"resize": ROW, "Straße ü": other}

    def test_a_firing_moves_it_and_accepts_the_jobs(
        self, ledger: NotifyingLedger, table: ScheduleTable
    ) -> None:
        """In one step, which is done once."""
        job = new(60.5, due=60.0)
        written = ledger.fire(ROW, MOVED, [job], str)
        assert written is not None
        assert (written.refused, written.duplicates) == ((), {})
        assert table.rows() == {"resize": MOVED}
        assert ledger.fire(ROW, MOVED, [new()], str) is None
        assert ids(ledger.claim("here", 5, 61.0, ["resize"])) == [job.id]

    def test_whoever_comes_first_fires(self, open_one: OpenLedger, table: ScheduleTable) -> None:
        """Of processes that see the same due time at once, one."""
        ledgers = [open_one() for _ in range(4)]
        seen = ROW
        with ThreadPoolExecutor(4) as threads:
            for number in range(self.ROUNDS):
                barrier = threading.Barrier(4)
                moved = replace(seen, next_due=seen.next_due + 60.0, last_due=seen.next_due)

                def fire(
                    one: NotifyingLedger,
                    seen: ScheduleRow = seen,
                    moved: ScheduleRow = moved,
                    barrier: threading.Barrier = barrier,
                ) -> bool:
                    barrier.wait(20)
                    return one.fire(seen, moved, [new(seen.next_due)], str) is not None

                assert sorted(threads.map(fire, ledgers)) == [False, False, False, True]
                seen = moved
                assert len(ledgers[0].list(limit=1000)) == number + 1
        assert table.rows() == {"resize": seen}

    def test_one_that_is_paused_does_not_fire(
        self, ledger: NotifyingLedger, table: ScheduleTable
    ) -> None:
        """Until it is resumed, which says how it goes on."""
        assert table.pause("resize")
        assert ledger.fire(ROW, MOVED, [new()], str) is None
        assert table.rows() == {"resize": replace(ROW, paused=True)}
        later = replace(ROW, next_due=600.0, moved=590.0)
        assert table.resume(later)
        assert not table.resume(replace(ROW, next_due=900.0))
        assert table.rows() == {"resize": later}
        assert ledger.list() == []
        assert not table.pause("nobody")

    def test_a_rule_is_replaced_where_nobody_was_faster(
        self, ledger: NotifyingLedger, table: ScheduleTable
    ) -> None:
        """It stays paused if it is, and the old rule fires no more."""
        table.pause("resize")
        changed = replace(ROW, rule="every 5", next_due=65.0, declared=2.0, renewed=2.0)
        assert table.replace(ROW, changed)
        assert not table.replace(ROW, changed)
        assert table.rows() == {"resize": replace(changed, paused=True)}
        assert table.resume(changed)
        assert ledger.fire(ROW, MOVED, [new()], str) is None
        same_time = replace(ROW, next_due=65.0)
        assert ledger.fire(same_time, replace(MOVED, next_due=125.0), [new()], str) is None

    def test_a_renewal_is_for_the_rule_that_was_seen(self, table: ScheduleTable) -> None:
        """Another rule is not kept alive by processes of the one before."""
        renewed = replace(ROW, renewed=9.0, declared=3.0)
        table.renew([renewed, replace(renewed, name="gone")])
        assert table.rows() == {"resize": renewed}
        table.renew([replace(ROW, rule="every 5", renewed=10.0)])
        assert table.rows() == {"resize": renewed}

    def test_the_latest_renewal_counts_if_others_are_there(
        self, ledger: NotifyingLedger, table: ScheduleTable
    ) -> None:
        """After an outage of all processes, nobody else knows the time."""
        table.add(replace(ROW, name="other", renewed=7.0))
        assert table.latest_renewal(HERE.id) is None
        ledger.beat(HERE, 100.0)
        assert table.latest_renewal(HERE.id) is None
        ledger.beat(THERE, 100.0)
        assert table.latest_renewal(HERE.id) == 7.0

    def test_one_that_was_renewed_is_not_deleted(self, table: ScheduleTable) -> None:
        """It is declared again."""
        table.renew([replace(ROW, renewed=9.0)])
        table.drop(ROW)
        assert len(table.rows()) == 1
        table.drop(replace(ROW, renewed=9.0))
        assert table.rows() == {}

    def test_a_full_queue_and_a_duplicate_do_not_hold_it_up(
        self, ledger: NotifyingLedger, table: ScheduleTable
    ) -> None:
        """They are told, and it waits for its next due time."""
        ledger.write([new(due=1.0), new(due=1.0, unique_key="k")])
        full = new(60.0, max_queue=2)
        written = ledger.fire(ROW, MOVED, [full], str)
        assert written is not None
        assert written.refused == (full,)
        again = new(120.0, unique_key="k")
        written = ledger.fire(MOVED, replace(MOVED, next_due=180.0), [again], str)
        assert written is not None
        assert list(written.duplicates) == [again.id]
        assert table.rows()["resize"].next_due == 180.0
        assert len(ledger.list()) == 2

    def test_a_duplicate_may_take_the_place_of_the_job_that_waits(
        self, ledger: NotifyingLedger, table: ScheduleTable
    ) -> None:
        """Whose callback says that it was cancelled."""
        waiting = new(unique_key="k", callback="https://example.org/hook")
        ledger.write([waiting])
        latest = new(60.0, unique_key="k", on_duplicate=OnDuplicate.REPLACE)
        described: list[str] = []

        def describe(record: Any) -> str:
            described.append(record.id)
            return json.dumps(record.id)

        written = ledger.fire(ROW, MOVED, [latest], describe)
        assert written is not None
        assert written.replaced == (waiting.id,)
        assert described == [waiting.id]
        assert ids(ledger.list(JobState.QUEUED)) == [latest.id]

    def test_what_waits_for_a_job_that_is_replaced_is_settled_at_once(
        self, ledger: NotifyingLedger, table: ScheduleTable
    ) -> None:
        """It is stopped, or released if it may go on; both in the transaction of the firing."""
        waiting = new(unique_key="k")
        stopped, released = (new(after=[waiting.id], continues=one) for one in (False, True))
        ledger.write([waiting, stopped, released])
        settled: list[Settled] = []
        ledger.on_settled = settled.append
        latest = new(60.0, unique_key="k", on_duplicate=OnDuplicate.REPLACE)
        assert ledger.fire(ROW, MOVED, [latest], str) is not None
        assert settled == [Settled(released=(released.id,), stopped=(stopped.id,))]
        states = {id: found.state for id, found in ledger.get_many([stopped.id]).items()}
        assert states == {stopped.id: JobState.CANCELLED}
        assert set(ids(ledger.claim("here", 5, 61.0, ["resize"]))) == {released.id, latest.id}

    def test_jobs_are_placed_as_their_task_says(
        self, ledger: NotifyingLedger, table: ScheduleTable
    ) -> None:
        """In its queue, with its priority and within its limits."""
        job = new(60.0, queue="mail", priority=7, limited=True)
        ledger.fire(ROW, MOVED, [job], str)
        (found,) = ledger.list(queue="mail")
        assert (found.priority, found.limited, found.due) == (7, True, 60.0)

    def test_two_with_the_same_key_race(self, open_one: OpenLedger, table: ScheduleTable) -> None:
        """A submission and a firing at once: one job is there, and the row has moved."""
        one, other = open_one(), open_one()
        seen = ROW
        with ThreadPoolExecutor(2) as threads:
            for _ in range(self.ROUNDS):
                barrier = threading.Barrier(2)
                moved = replace(seen, next_due=seen.next_due + 60.0)
                fired, submitted = (new(unique_key="k", owner="here") for _ in range(2))

                def act(
                    job: NewJob | None,
                    seen: ScheduleRow = seen,
                    moved: ScheduleRow = moved,
                    barrier: threading.Barrier = barrier,
                    fired: NewJob = fired,
                ) -> Any:
                    barrier.wait(20)
                    if job is not None:
                        return other.write([job])
                    return one.fire(seen, moved, [fired], str)

                results = list(threads.map(act, [None, submitted]))
                assert sum(len(result.duplicates) for result in results) == 1
                (kept,) = one.list(JobState.QUEUED)
                one.write([start(kept)])
                assert one.cancel_running(kept.id)
                one.recover(2.0, lambda owners: ["here"])
                seen = moved
        assert table.rows()["resize"].next_due == seen.next_due

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="a child is killed")
    @pytest.mark.parametrize("moment", ["after the move", "after the jobs"])
    def test_a_process_that_is_killed_while_it_fires_has_not_fired(
        self, where: str, ledger: NotifyingLedger, table: ScheduleTable, moment: str
    ) -> None:
        """Neither moved nor accepted anything, and another process does both."""
        from dewar.tasks.ledger import batch_writing

        name = "write_batch" if moment == "after the move" else "insert_entries"

        def fire_and_die() -> int:
            def die(*_given: object, **_named: object) -> None:
                os.kill(os.getpid(), signal.SIGKILL)

            setattr(batch_writing, name, die)
            own = open_ledger(where)
            own.fire(ROW, MOVED, [new()], str)
            return 0

        ledger.close()
        assert in_child(fire_and_die) == -signal.SIGKILL
        assert table.rows() == {"resize": ROW}
        assert ledger.list() == []
        assert ledger.fire(ROW, MOVED, [new()], str) is not None
        assert len(ledger.list()) == 1

    @pytest.mark.skipif(os.name != "posix", reason="sessions are POSIX's")
    def test_each_due_time_fires_once_while_processes_are_killed(
        self, where: str, tmp_path: Path
    ) -> None:
        """Of three processes that fire the same schedule; none is left out, none has two jobs."""
        check_each_once(tmp_path, where, threads=2)
