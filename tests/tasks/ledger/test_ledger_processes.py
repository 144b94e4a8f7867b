"""Several processes at one ledger, some of which are killed in the middle of it."""

import contextlib
import os
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest
from tests.tasks.ledger.ledgertools import URL, end, new, outbox, owners, start
from tests.tasks.ledger.older import make_older_ledger

from dewar.tasks.ledger.claim_statements import RUNNING
from dewar.tasks.ledger.claiming import ClaimRules
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.owner_watch import OwnerWatch
from dewar.tasks.ledger.owners import this_owner
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.limits import TaskLimits
from polling import eventually

Say = Callable[[str], object]
Run = Callable[[Callable[[Say], object]], "Worker"]


@dataclass(frozen=True)
class Worker:
    """A forked process, and what it says."""

    pid: int
    lines: TextIO

    def end(self) -> int:
        """Wait for its end and return its status."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def run() -> Iterator[Run]:
    """Run functions in processes, none of which is left in the end."""
    workers: list[Worker] = []

    def run_worker(function: Callable[[Say], object]) -> Worker:
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            code = 99
            try:
                os.close(reading)
                function(lambda line: os.write(writing, f"{line}\n".encode()))
                code = 0
            finally:
                # Nothing of the test runner's may run here.
                os._exit(code)
        os.close(writing)
        workers.append(Worker(pid, os.fdopen(reading)))
        return workers[-1]

    yield run_worker
    for worker in workers:
        worker.lines.close()
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(worker.pid, signal.SIGKILL)
            worker.end()


def work(ledger: Ledger, parent: int, say: Say) -> None:
    """Run what waits, until all jobs have ended; say and do a job's work before it ends."""
    me = this_owner(time.time())
    watch = OwnerWatch(60.0, time.monotonic)

    def have_ended() -> bool:
        counts = ledger.counts()
        return not counts[JobState.QUEUED] and not counts[JobState.RUNNING]

    def run_some() -> bool:
        ledger.beat(me, time.time() + 60)
        ledger.recover(time.time(), watch.gone)
        jobs = ledger.claim(me.id, 4, time.time(), ["resize"])
        for job in jobs:
            run_job(ledger, me.id, job, say)
        return bool(jobs)

    def is_over() -> bool:
        while run_some():
            if os.getppid() != parent:
                return True
        return have_ended()

    eventually(is_over, "all jobs have ended", limit=120)
    ledger.leave(me.id)


def run_job(ledger: Ledger, owner: str, job: JobRecord, say: Say) -> None:
    attempt = job.attempts + 1
    if not ledger.write([start(job, owner, attempt)]).fenced:
        say(job.id)
        ledger.write([end(job, attempt=attempt, owner=owner)])


@pytest.mark.parametrize("is_older", [False, True])
def test_ten_processes_open_at_once(run: Run, tmp_path: Path, is_older: bool) -> None:
    """One lays out the tables or migrates older ones, none fails, and each has written its job."""
    where = tmp_path / "new" / "jobs.sqlite"
    if is_older:
        where = tmp_path / "older.sqlite"
        make_older_ledger(str(where), rows=False)
    waiting, gate = os.pipe()

    def open_and_write(say: Say) -> None:
        os.close(gate)
        say("ready")
        os.read(waiting, 1)  # until the parent closes the gate
        open_ledger(where).write([new()])

    workers = [run(open_and_write) for _ in range(10)]
    assert [worker.lines.readline() for worker in workers] == ["ready\n"] * 10
    os.close(gate)
    assert [worker.end() for worker in workers] == [0] * 10
    os.close(waiting)
    ledger = open_ledger(where)
    assert ledger.counts()[JobState.QUEUED] == 10
    ledger.close()


def test_no_job_vanishes_with_a_process_that_is_killed(run: Run, tmp_path: Path) -> None:
    """Each job has one end and one callback; unrepeatable ones ran at most once."""
    ledger = open_ledger(tmp_path / "jobs.sqlite")
    jobs = [new(idempotent=bool(number % 2), callback=URL) for number in range(240)]
    ledger.write(jobs)
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    parent = os.getpid()

    def work_and_log(say: Say) -> None:
        def note(line: str) -> None:
            os.write(log, f"{line}\n".encode())
            say(line)

        work(ledger, parent, note)

    workers = [run(work_and_log) for _ in range(2)]
    for number in range(6):
        victim = workers.pop(0)
        # It has begun that many, and is killed wherever it is by now.
        for _ in range(number + 3):
            victim.lines.readline()
        os.kill(victim.pid, signal.SIGKILL)
        assert victim.end() in {0, -signal.SIGKILL}
        workers.append(run(work_and_log))
    assert [worker.end() for worker in workers] == [0, 0]
    os.close(log)
    found = ledger.get_many([job.id for job in jobs])
    begun = Counter((tmp_path / "log").read_text().split())
    for job in jobs:
        state = found[job.id].state
        assert state is JobState.DONE or (state is JobState.LOST and not job.idempotent)
        assert begun[job.id] <= 1 or job.idempotent
        assert begun[job.id] >= 1 or state is JobState.LOST
    assert Counter(row.job_id for row in outbox(ledger)) == Counter(list(found))
    assert owners(ledger) == []
    ledger.close()


def test_limits_and_keys_hold_while_processes_are_killed(run: Run, tmp_path: Path) -> None:
    """No more jobs of a task are claimed than may run, no key is twice, and all jobs end."""
    ledger = open_ledger(tmp_path / "jobs.sqlite")
    jobs = [new(limited=True, unique_key=f"key {number}") for number in range(60)]
    ledger.write(jobs)
    parent, rules = os.getpid(), ClaimRules(limits={"resize": TaskLimits(max_running=2)})

    def work_within_limits(say: Say) -> None:
        me, watch = this_owner(time.time()), OwnerWatch(60.0, time.monotonic)

        def run_some() -> bool:
            ledger.beat(me, time.time() + 60)
            ledger.recover(time.time(), watch.gone)
            claimed = ledger.claim(me.id, 3, time.time(), ["resize"], rules)
            for job in claimed:
                with ledger.database.reading() as connection:
                    say(f"{connection.execute(RUNNING, {'of_task': 'resize'}).scalar_one()}")
                # A second one with its key is never accepted, whoever runs the first.
                again = new(unique_key=job.unique_key)
                say("no" if ledger.write([again]).duplicates == {again.id: job.id} else "accepted")
                attempt = job.attempts + 1
                ledger.write([start(job, me.id, attempt), end(job, attempt=attempt, owner=me.id)])
            counts = ledger.counts()
            is_over = not counts[JobState.QUEUED] and not counts[JobState.RUNNING]
            return is_over or os.getppid() != parent

        eventually(run_some, "all jobs have ended", limit=120)
        ledger.leave(me.id)

    workers = [run(work_within_limits) for _ in range(3)]
    said: list[str] = []
    for number in range(6):
        victim = workers.pop(0)
        said += [victim.lines.readline() for _ in range(2 * number + 3)]
        os.kill(victim.pid, signal.SIGKILL)
        assert victim.end() in {0, -signal.SIGKILL}
        said += victim.lines.readlines()
        workers.append(run(work_within_limits))
    assert [worker.end() for worker in workers] == [0] * 3
    for worker in workers:
        said += worker.lines.readlines()
    assert {line.strip() for line in said} <= {"1", "2", "no", ""}
    assert len(said) >= 2 * len(jobs)
    assert ledger.counts()[JobState.DONE] == len(jobs)
    ledger.close()


def test_a_fork_waits_until_no_thread_opens_a_ledger(tmp_path: Path) -> None:
    """The child opens it as well, and gets as far as the parent does."""
    ending = threading.Event()

    def open_and_close(number: int) -> None:
        while not ending.is_set():
            ledger = open_ledger(tmp_path / f"{number}.sqlite3")
            ledger.get("nothing")
            ledger.close()

    threads = [threading.Thread(target=open_and_close, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        with warnings.catch_warnings():
            # A fork beside threads is the point.
            warnings.simplefilter("ignore", DeprecationWarning)
            for number in range(10):
                child = os.fork()
                if child == 0:
                    status = 1
                    try:
                        signal.alarm(20)
                        open_ledger(tmp_path / f"{number % 4}.sqlite3").get("nothing")
                        status = 0
                    finally:
                        os._exit(status)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        ending.set()
        for thread in threads:
            thread.join(20)


def test_a_fork_waits_until_no_thread_uses_the_database(tmp_path: Path) -> None:
    """Or SQLite's own locks would stay with a thread that the child has not: it would hang."""
    ledger = open_ledger(tmp_path / "jobs.sqlite3")
    ending = threading.Event()

    def use() -> None:
        while not ending.is_set():
            ledger.changes()
            ledger.get("nothing")
            ledger.purge(0.0)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # a fork beside threads is the point
            for _ in range(30):
                child = os.fork()
                if child == 0:
                    status = 1
                    try:
                        signal.alarm(20)
                        open_ledger(tmp_path / "jobs.sqlite3").purge(0.0)
                        ledger.get("nothing")
                        status = 0
                    finally:
                        os._exit(status)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        ending.set()
        for thread in threads:
            thread.join(20)
        ledger.close()
