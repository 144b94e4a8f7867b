"""Schedules that several processes fire, in virtual time, with a real ledger."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tasks.ledger.ledgertools import new

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.owners import LedgerOwner
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.ledger.schedule_table import ScheduleRow, ScheduleTable
from dewar.tasks.runtime.claimed import ClaimedJobs
from dewar.tasks.runtime.declarations import FORGET, INTERVAL, TAKEOVER
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.runtime.scheduler import Scheduler
from dewar.tasks.runtime.steady_clock import HOLD
from dewar.tasks.schedules.task_schedule import TaskSchedule, schedule_of
from dewar.tasks.stored_job import JobFutures

#: A multiple of the intervals that the tests use.
BEGIN = 595 * 3_024_000.0
YEAR = 366 * 86_400.0


def every(seconds: float, missed: str | None = None) -> TaskSchedule:
    found = schedule_of(seconds, None, None, missed)
    assert found is not None
    return found


class Host:
    """The clocks of the processes of one host."""

    def __init__(self) -> None:
        self.wall, self.monotonic = BEGIN + 1.0, 100.0


class Process:
    """A process with schedules."""

    def __init__(self, where: Path, host: Host, queues: Any, **schedules: TaskSchedule) -> None:
        self.host, self.declared = host, schedules
        self.due = 0.0
        self.ledger = open_ledger(where)
        self.table = ScheduleTable(self.ledger.database)
        self.jobs = ProcessJobs(
            ledger=self.ledger,
            owner=LedgerOwner(id=new_id(1.0), host="h", pid=1, started=1.0),
            claimed=ClaimedJobs(1, 10),
            futures=JobFutures(),
            describe=str,
            clock=lambda: host.wall,
            monotonic=lambda: host.monotonic,
            queues=queues,
        )
        self.ledger.beat(self.jobs.owner, 1.0)
        directory: Any = self
        self.scheduler = Scheduler(
            self.jobs, directory, self.new_job, self.check, lambda written: None, self.hasten
        )

    # As the directory of its tasks.

    @property
    def tasks(self) -> dict[str, Any]:
        return {
            name: SimpleNamespace(name=name, options=SimpleNamespace(queue=f"of-{name}"))
            for name in self.declared
        }

    def schedules(self) -> dict[str, TaskSchedule]:
        return self.declared

    def find(self, name: str) -> Any:
        return self.tasks[name]

    # What a scheduler asks for.

    def new_job(self, task: Any, due: float, now: float) -> NewJob:
        return NewJob(id=new_id(now), task=task.name, arguments=repr(due), created=now, due=now)

    def check(self, new: NewJob, task: Any) -> None:
        """Refuse nothing."""

    def hasten(self, do: Callable[[], object], seconds: float) -> None:
        self.due = min(self.due, self.host.monotonic + seconds)

    def look(self) -> None:
        self.due = self.host.monotonic + INTERVAL
        self.scheduler.look()

    def declare(self, **schedules: TaskSchedule) -> None:
        self.declared = schedules

    def row(self, name: str = "tick") -> ScheduleRow:
        return self.table.rows()[name]


class World:
    """Hosts and processes that share a ledger, in one time."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.processes: list[Process] = []
        self.host = Host()
        self._all: list[Process] = []

    def start(
        self, host: Host | None = None, queues: Any = None, **schedules: TaskSchedule
    ) -> Process:
        process = Process(self.where, host or self.host, queues, **schedules)
        self.processes.append(process)
        self._all.append(process)
        return process

    def kill(self, process: Process) -> None:
        self.processes.remove(process)
        process.ledger.leave(process.jobs.owner.id)  # as others recover it

    def go_on(self, seconds: float) -> None:
        """Let time pass on all hosts, with each process looking when it is due."""
        hosts = {id(one): one for one in [self.host, *(p.host for p in self._all)]}.values()
        while seconds > 0:
            waits = [one.due - one.host.monotonic for one in self.processes]
            step = min(seconds, max(0.0, min(waits, default=inf)))
            seconds -= step
            for host in hosts:
                host.wall += step
                host.monotonic += step
            for process in list(self.processes):
                if process.due <= process.host.monotonic:
                    process.look()

    def fired(self, name: str = "tick") -> list[float]:
        """Return the due times that have a job, in order, from the begin on."""
        jobs = self._all[0].ledger.list(task=name, limit=100_000)
        return sorted(float(job.arguments) - BEGIN for job in jobs)

    def close(self) -> None:
        for process in self._all:
            process.ledger.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "jobs.sqlite")
    yield made
    made.close()


def test_each_due_time_has_one_job_over_all_processes(world: World) -> None:
    """Whichever of them dies, and whoever comes."""
    one, other = world.start(tick=every(60)), world.start(tick=every(60))
    world.go_on(600.0)
    world.kill(one)
    world.go_on(600.0)
    world.start(tick=every(60))
    world.kill(other)
    world.go_on(600.0)
    assert world.fired() == [60.0 * number for number in range(1, 31)]


def test_it_is_fired_at_its_time(world: World) -> None:
    """The process is woken for it, and not sooner than it has to look anyway."""
    process = world.start(tick=every(3))
    process.look()
    assert process.due - process.host.monotonic == 2.0
    world.go_on(1.999)
    assert world.fired() == []
    world.go_on(0.001)
    assert world.fired() == [3.0]
    process.declare(tick=every(3), hourly=every(3600))
    world.go_on(5.0)
    assert process.due - process.host.monotonic <= 3.0


@pytest.mark.parametrize(
    ("missed", "expected"),
    [("skip", []), ("once", [6000.0]), ("all", [1200.0 * number for number in range(1, 6)])],
)
def test_what_was_missed_is_made_up_for_by_its_policy(
    world: World, missed: str, expected: list[float]
) -> None:
    """Where no process ran: none, the latest or each, and then as always."""
    process = world.start(tick=every(1200, missed))
    process.look()
    world.kill(process)
    world.go_on(6500.0)
    world.start(tick=every(1200, missed))
    world.go_on(100.0)
    assert world.fired() == expected
    world.go_on(1200.0)
    assert world.fired() == [*expected, 7200.0]


def test_thousands_that_were_missed_come_in_pieces(world: World) -> None:
    """Each in a transaction, one right after the other."""
    process = world.start(tick=every(10, "all"))
    process.look()
    world.kill(process)
    world.go_on(25_000.0)
    late = world.start(tick=every(10, "all"))
    counts = []
    for _ in range(4):
        late.look()
        counts.append(len(world.fired()))
    assert counts == [1000, 2000, 2500, 2500]
    assert world.fired() == [10.0 * number for number in range(1, 2501)]


def test_a_paused_one_has_no_jobs(world: World) -> None:
    """And when it goes on, none for what has passed."""
    process = world.start(tick=every(60))
    world.go_on(70.0)
    process.table.pause("tick")
    world.go_on(600.0)
    assert world.fired() == [60.0]
    row = process.row()
    process.table.resume(
        ScheduleRow(
            name="tick", rule=row.rule, next_due=every(60).first_due(world.host.wall),
            last_due=row.last_due, moved=world.host.wall, declared=0.0, renewed=0.0,
        )
    )  # fmt: skip
    world.go_on(60.0)
    assert world.fired() == [60.0, 720.0]


def test_only_who_runs_its_jobs_fires_it(world: World) -> None:
    """A process that serves other queues leaves it alone."""
    other = world.start(queues=["of-other"], tick=every(60))
    world.go_on(300.0)
    assert other.table.rows() == {}
    world.start(queues=["of-tick"], tick=every(60))
    world.go_on(300.0)
    assert world.fired() == [360.0, 420.0, 480.0, 540.0, 600.0]


def test_a_new_version_changes_the_rule_while_the_old_one_runs(world: World) -> None:
    """Not at once, but at the new rule's next due time; the old one does not change it back."""
    world.start(tick=every(100))
    world.go_on(130.0)
    world.start(tick=every(70))
    world.go_on(300.0)
    assert world.fired() == [100.0, 140.0, 210.0, 280.0, 350.0, 420.0]
    assert world.processes[0].row().rule == "every 70"


def test_a_version_that_is_rolled_back_takes_over(world: World) -> None:
    """When no process declares the newer rule any more: after half a minute."""
    world.start(tick=every(100))
    world.go_on(1.0)
    newer = world.start(tick=every(70))
    world.go_on(100.0)
    world.kill(newer)
    world.go_on(TAKEOVER + 3 * INTERVAL)
    assert world.processes[0].row().rule == "every 100"
    world.go_on(100.0)
    assert world.fired() == [70.0, 200.0]


def test_a_restart_of_the_old_version_holds_only_while_it_runs(world: World) -> None:
    """Its process began last. When it is gone, the rule of the new version is back."""
    world.start(tick=every(70))
    world.go_on(10.0)
    old = world.start(tick=every(100))
    world.go_on(10.0)
    assert old.row().rule == "every 100"
    world.kill(old)
    world.go_on(TAKEOVER + 3 * INTERVAL)
    assert world.processes[0].row().rule == "every 70"


def test_many_versions_do_not_take_turns(world: World) -> None:
    """Two rules at once change the ledger once, not at each look."""
    for seconds in (100, 70, 100, 70):
        world.start(tick=every(seconds))
        world.go_on(1.0)
    seen = set()
    for _ in range(60):
        world.go_on(5.0)
        row = world.processes[0].row()
        seen.add((row.rule, row.declared))
    assert seen == {("every 70", BEGIN + 4.0)}


def test_a_removed_schedule_has_no_jobs_and_is_deleted(world: World) -> None:
    """Not before an hour has passed in which nobody declared it."""
    old, current = world.start(tick=every(60), keep=every(60)), world.start(keep=every(60))
    world.go_on(70.0)
    world.kill(old)
    world.go_on(FORGET - 60.0)
    assert set(current.table.rows()) == {"tick", "keep"}
    assert world.fired() == [60.0]
    world.go_on(120.0)
    assert set(current.table.rows()) == {"keep"}
    assert len(world.fired("keep")) == 62


def test_a_process_without_schedules_deletes_what_is_left(world: World) -> None:
    """The last schedule of an app leaves nothing behind."""
    old, current = world.start(tick=every(60)), world.start()
    world.go_on(10.0)
    world.kill(old)
    world.go_on(FORGET + 60.0)
    assert current.table.rows() == {}


def test_a_schedule_that_comes_back_in_time_is_as_it_was(world: World) -> None:
    """Paused, if it was; and it is not deleted because all processes were away for long."""
    old = world.start(tick=every(60))
    world.go_on(10.0)
    old.table.pause("tick")
    world.kill(old)
    world.go_on(10 * FORGET)
    others = world.start()
    world.go_on(FORGET / 2)
    world.start(tick=every(60))
    world.go_on(2 * FORGET)
    assert others.row().paused
    assert world.fired() == []


@pytest.mark.parametrize("step", [YEAR, 7200.0, 90.0, -90.0, -7200.0, -YEAR])
def test_a_clock_that_is_set_for_a_moment_changes_nothing(world: World, step: float) -> None:
    """No due time comes early, late, twice or never, however often it happens."""
    world.start(tick=every(60)), world.start(tick=every(60))
    for _ in range(3):
        world.go_on(100.0)
        world.host.wall += step
        world.go_on(HOLD - 2 * INTERVAL)
        world.host.wall -= step
        world.go_on(100.0)
    assert world.fired() == [60.0 * number for number in range(1, 12)]


def test_a_clock_that_is_set_forward_for_good_misses_what_it_passes(world: World) -> None:
    """As if no process had run for so long, and then it is as always."""
    world.start(tick=every(60))
    world.go_on(90.0)
    world.host.wall += 86_400.0
    world.go_on(150.0)
    expected = [60.0, 120.0, 86_400.0 + 120.0, 86_400.0 + 180.0, 86_400.0 + 240.0]
    assert world.fired() == expected


def test_a_clock_that_is_set_back_for_good_repeats_nothing_of_three_hours(world: World) -> None:
    """The due times that come again have their jobs."""
    world.start(tick=every(3600))
    world.go_on(4000.0)
    world.host.wall -= 3500.0
    world.go_on(8000.0)
    assert world.fired() == [3600.0, 7200.0]


def test_a_clock_that_was_ahead_by_far_does_not_stop_it(world: World) -> None:
    """Set back by a year it goes on within minutes, and it had one job for that year."""
    world.host.wall += YEAR
    world.start(tick=every(60))
    world.go_on(90.0)
    world.host.wall -= YEAR
    world.go_on(600.0)
    fired = world.fired()
    assert len([due for due in fired if due > YEAR]) <= 3
    assert [due for due in fired if due < YEAR][-8:] == [60.0 * number for number in range(4, 12)]
    assert Counter(fired).most_common(1)[0][1] == 1


@pytest.mark.parametrize("step", [YEAR, 7200.0, -7200.0, -YEAR])
def test_a_process_that_begins_while_its_clock_is_wrong_changes_nothing(
    world: World, step: float
) -> None:
    """It goes on from the time of the others, until its clock is set right."""
    world.start(tick=every(60, "all"))
    world.go_on(100.0)
    wrong = Host()
    wrong.wall = world.host.wall + step
    world.start(host=wrong, tick=every(60, "all"))
    world.go_on(HOLD - 2 * INTERVAL)
    wrong.wall -= step
    world.go_on(500.0)
    assert world.fired() == [60.0 * number for number in range(1, 11)]


def test_a_process_that_began_with_a_wrong_clock_does_not_hold_the_rule(world: World) -> None:
    """A later version's rule comes, although that one said it began a year later."""
    ahead = Host()
    ahead.wall += YEAR
    world.start(host=ahead, tick=every(100))
    world.go_on(10.0)
    world.start(tick=every(70))
    world.go_on(HOLD + 3 * INTERVAL)
    assert world.processes[0].row().rule == "every 70"


def test_a_job_that_cannot_be_made_does_not_hold_it_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which, and the next due time comes."""
    process = world.start(tick=every(60))
    process.scheduler._check = lambda new, task: 1 / 0
    world.go_on(130.0)
    assert world.fired() == []
    assert caplog.text.count("The schedule of tick was due, and its job could not be made") == 2
    process.scheduler._check = lambda new, task: None
    world.go_on(60.0)
    assert world.fired() == [180.0]


def test_what_the_queue_refuses_and_what_is_there_already_is_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """And it waits for its next due time."""
    process = world.start(tick=every(60))
    options: dict[str, Any] = {"task": "tick", "max_queue": 1, "arguments": "0"}
    process.scheduler._new_job = lambda task, due, now: new(now, **options)
    with caplog.at_level(logging.INFO, logger="dewar.tasks"):
        world.go_on(130.0)
        assert "jobs were refused because its queue is full (max_queue): 1" in caplog.text
        options = {"task": "tick", "unique_key": "k", "arguments": "0"}
        world.go_on(120.0)
        assert "which has the same key, has not ended" in caplog.text
    assert len(world.fired()) == 2
    assert process.row().next_due == BEGIN + 300.0


def test_an_outage_of_the_database_is_told_and_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The due time of the outage comes after it."""
    process = world.start(tick=every(60))
    world.go_on(10.0)

    def fail(*_given: object) -> None:
        raise LedgerError("there", "is away")

    with monkeypatch.context() as patched:
        patched.setattr(process.ledger, "fire", fail)
        with pytest.raises(LedgerError):
            world.go_on(60.0)
    world.go_on(60.0)
    assert world.fired()[0] == 60.0


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["wait", "wait", "start", "kill", "step"]), st.floats(0.5, 200.0)
        ),
        max_size=25,
    )
)
def test_each_due_time_has_one_job_whatever_happens(story: list[tuple[str, float]]) -> None:
    """With the policy all: processes come and die, and clocks are set for a moment."""
    with TemporaryDirectory() as folder:
        world = World(Path(folder) / "jobs.sqlite")
        world.start(tick=every(30, "all"))
        world.processes[0].look()
        for what, number in story:
            if what == "start":
                world.start(tick=every(30, "all"))
            elif what == "kill" and world.processes:
                world.kill(world.processes[int(number) % len(world.processes)])
            elif what == "step":
                step = (number - 100.0) * 1e5
                world.host.wall += step
                world.go_on(min(number / 10, HOLD - 2 * INTERVAL))
                world.host.wall -= step
            world.go_on(number)
        world.start(tick=every(30, "all"))
        world.go_on(HOLD + 3 * INTERVAL)
        fired = world.fired()
        world.close()
    passed = int((world.host.wall - BEGIN) // 30)
    assert fired == [30.0 * number for number in range(1, passed + 1)]
