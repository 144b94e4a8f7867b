"""Jobs between processes that never look at the ledger unless they are told to."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.tasks.ledger.ledgertools import in_child
from tests.tasks.test_tasks import Gate

from dewar.tasks.ledger.records import JobState
from dewar.tasks.tasks import Tasks
from polling import eventually

_SOON = 30.0
#: Nothing in a test may wait for a poll.
_NEVER = 3600.0


def elsewhere(*given: object) -> None:
    """Stand for a task that only other processes run."""
    pytest.fail(f"called with {given}")


_APP = """
import os
from dewar import Dewar, Tasks

app = Dewar(__name__)
app.config.from_prefixed_env("SHOP")
tasks = Tasks(app)

@tasks.task(max_queue=None)
def where(number):
    return [os.getpid(), number]

@tasks.task()
def die():
    os.kill(os.getpid(), 9)

@app.get("/<int:number>")
def ask(number):
    return where.submit(number).result(30) + [os.getpid()]
"""


class Shop:
    """An app in processes of its own."""

    def __init__(self, folder: Path, **config: str) -> None:
        (folder / "shop.py").write_text(_APP)
        self.folder = folder
        self.ledger = folder / "jobs.sqlite3"
        self.config = {"TASKS_LEDGER": str(self.ledger), "TASKS_POLL": str(_NEVER), **config}
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *command: str, **config: str) -> subprocess.Popen[str]:
        """Start a `dewar` command; return the process."""
        env = {f"SHOP_{name}": value for name, value in {**self.config, **config}.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "dewar", "--app", "shop", *command],
            cwd=self.folder,
            env={**os.environ, **env, "PYTHONPATH": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def until(self, process: subprocess.Popen[str], pattern: str) -> str:
        """Return what a process says that matches a pattern."""
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(pattern, line):
                return found[1]
        raise AssertionError(f"it ended with {process.wait()} before it said {pattern}")

    def worker(self) -> subprocess.Popen[str]:
        """Return a process that runs jobs, and has begun."""
        process = self.start("tasks", "work")
        self.until(process, r"(runs jobs)")
        return process

    def stop(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.stop()


def submitter(ledger: Path) -> Tasks:
    """Return tasks that only submit the shop's jobs."""
    tasks = Tasks(ledger=ledger, run_jobs=False, poll=_NEVER)
    tasks.task("where", max_queue=None)(elsewhere)
    tasks.task("die")(elsewhere)
    return tasks


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Tasks, Tasks]]:
    """One that only submits, and one that runs jobs, on one ledger."""
    front = Tasks(ledger=tmp_path / "jobs.sqlite3", run_jobs=False, poll=_NEVER)
    back = Tasks(ledger=tmp_path / "jobs.sqlite3", threads=1, poll=_NEVER)
    for tasks in (front, back):
        tasks.task("double", max_queue=None)(lambda number: 2 * number)
    yield front, back
    front.stop(_SOON)
    back.stop(_SOON)


def test_a_job_and_its_end_are_told(pair: tuple[Tasks, Tasks]) -> None:
    """One by one, and many at once; who listens first makes no difference."""
    front, back = pair
    first = front.find("double").submit(1)
    back.start()
    assert first.result(_SOON) == 2
    for number in range(100):
        assert front.find("double").submit(number).result(_SOON) == 2 * number
    jobs = [front.find("double").submit(number) for number in range(500)]
    assert [job.result(_SOON) for job in jobs] == [2 * number for number in range(500)]
    jobs = front.find("double").map(range(500))
    assert [job.result(_SOON) for job in jobs] == [2 * number for number in range(500)]


def test_a_process_that_runs_jobs_hears_of_those_that_it_left(tmp_path: Path) -> None:
    """What it has no room for, another one runs; then it waits as one that runs none."""
    one = Tasks(ledger=tmp_path / "jobs.sqlite3", threads=1, poll=_NEVER)
    two = Tasks(ledger=tmp_path / "jobs.sqlite3", threads=1, poll=_NEVER)
    gate = Gate()
    for tasks in (one, two):
        tasks.task("double")(lambda number: 2 * number)
    hold = one.task("hold")(gate.__call__)
    try:
        two.start()
        hold.submit()
        assert gate.began.acquire(timeout=_SOON)
        # One waits behind the job that is held, and the others are left.
        jobs = [one.find("double").submit(number) for number in range(20)]
        assert [job.result(_SOON) for job in jobs[1:]] == [2 * number for number in range(1, 20)]
        gate.open.set()
        assert jobs[0].result(_SOON) == 0
    finally:
        gate.open.set()
        one.stop(_SOON)
        two.stop(_SOON)


def test_who_asks_for_a_job_of_another_hears_of_its_end(tmp_path: Path) -> None:
    """Also a process that runs jobs, and has heard of no end before."""
    one = Tasks(ledger=tmp_path / "jobs.sqlite3", threads=1, poll=_NEVER)
    two = Tasks(ledger=tmp_path / "jobs.sqlite3", threads=1, poll=_NEVER)
    gate = Gate()
    hold = one.task("hold")(gate.__call__)
    two.task("hold")(elsewhere)
    try:
        two.start()
        job = hold.submit()
        assert gate.began.acquire(timeout=_SOON)
        seen = two.get(job.id)
        gate.open.set()
        seen.result(_SOON)
    finally:
        gate.open.set()
        one.stop(_SOON)
        two.stop(_SOON)


def test_a_job_for_later_begins_when_it_is_due(pair: tuple[Tasks, Tasks]) -> None:
    """The worker knows the time from the notice, and does not poll for it."""
    front, back = pair
    back.start()
    assert front.find("double").options_for(delay=0.05).submit(4).result(_SOON) == 8


def test_a_cancelled_job_is_told_to_all(pair: tuple[Tasks, Tasks]) -> None:
    """To the process that was about to run it, and to those that wait."""
    front, back = pair
    gate = Gate()
    hold = back.task("hold")(gate.__call__)
    hold.submit()
    assert gate.began.acquire(timeout=_SOON)
    job = back.find("double").submit(1)
    seen = front.get(job.id)
    third = Tasks(ledger=back.settings().ledger, run_jobs=False, poll=_NEVER)
    assert third.cancel(job.id)
    eventually(job.done)
    eventually(seen.done)
    gate.open.set()
    third.stop(_SOON)
    assert job.cancelled()
    assert seen.cancelled()


def test_two_apps_on_one_ledger_run_their_own_jobs(tmp_path: Path) -> None:
    """Each is told, and leaves alone what is not its own."""
    one = Tasks(ledger=tmp_path / "jobs.sqlite3", threads=1, poll=_NEVER)
    two = Tasks(ledger=tmp_path / "jobs.sqlite3", threads=1, poll=_NEVER)
    front = Tasks(ledger=tmp_path / "jobs.sqlite3", run_jobs=False, poll=_NEVER)
    one.task("one")(lambda: "one")
    two.task("two")(lambda: "two")
    for name in ("one", "two"):
        front.task(name)(elsewhere)
    try:
        one.start()
        two.start()
        for _ in range(20):
            jobs = [front.find(name).submit() for name in ("one", "two")]
            assert [job.result(_SOON) for job in jobs] == ["one", "two"]
    finally:
        for tasks in (front, one, two):
            tasks.stop(_SOON)


def test_a_forked_child_is_a_process_of_its_own(pair: tuple[Tasks, Tasks]) -> None:
    """It submits and waits by itself, and its end disturbs nobody."""
    front, back = pair
    back.start()
    double = front.find("double")
    assert double.submit(1).result(_SOON) == 2

    def child() -> int:
        found = [double.submit(number).result(_SOON) for number in range(20)]
        return int(found != [2 * number for number in range(20)])

    assert in_child(child) == 0
    assert double.submit(2).result(_SOON) == 4


def test_a_removed_folder_is_made_again(tmp_path: Path) -> None:
    """With the next renewal of the lease."""
    front = Tasks(ledger=tmp_path / "jobs.sqlite3", run_jobs=False, poll=_NEVER, lease=0.6)
    back = Tasks(ledger=tmp_path / "jobs.sqlite3", threads=1, poll=_NEVER, lease=0.6)
    for tasks in (front, back):
        tasks.task("double")(lambda number: 2 * number)
    folder = tmp_path / "jobs.sqlite3-sockets"
    try:
        back.start()
        assert front.find("double").submit(1).result(_SOON) == 2
        for entry in list(folder.iterdir()):
            entry.unlink()
        folder.rmdir()
        assert front.find("double").submit(2).result(_SOON) == 4
        eventually(lambda: len(list(folder.glob("*"))) == 2)
        assert front.find("double").submit(3).result(_SOON) == 6
    finally:
        front.stop(_SOON)
        back.stop(_SOON)
    assert list(folder.iterdir()) == []


def test_served_processes_and_a_worker_share_the_work(shop: Shop) -> None:
    """Two processes serve and one works; the sockets are gone in the end."""
    worker = shop.worker()
    server = shop.start(
        "run", "--bind", "127.0.0.1:0", "--processes", "2", "--threads", "2", TASKS_RUN_JOBS="false"
    )
    port = int(shop.until(server, r"http://127.0.0.1:(\d+)"))
    askers = set()
    for number in range(60):
        connection = HTTPConnection("127.0.0.1", port, timeout=_SOON)
        connection.request("GET", f"/{number}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert answer[:2] == [worker.pid, number]
        askers.add(answer[2])
    assert worker.pid not in askers
    for process in (server, worker):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=_SOON)
        assert process.returncode == 0
    assert list(shop.ledger.with_name("jobs.sqlite3-sockets").iterdir()) == []


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_gone_hurts_nobody(shop: Shop, kill: signal.Signals) -> None:
    """Others get its share, and what it left in the folder is in nobody's way."""
    gone = shop.worker()
    front = submitter(shop.ledger)

    def where(number: int) -> object:
        return front.find("where").submit(number).result(_SOON)

    try:
        assert where(1) == [gone.pid, 1]
        gone.send_signal(kill)
        if kill is signal.SIGKILL:
            gone.wait()
        other = shop.worker()
        for number in range(200):
            assert where(number) == [other.pid, number]
    finally:
        front.stop(_SOON)
    names = list(shop.ledger.with_name("jobs.sqlite3-sockets").iterdir())
    assert len(names) == (1 if kill is signal.SIGKILL else 2)


def test_a_killed_jobs_end_is_told(shop: Shop) -> None:
    """By the process that finds it."""
    shop.config["TASKS_LEASE"] = "1.5"
    front = submitter(shop.ledger)
    front.task("once", idempotent=False)(elsewhere)
    (shop.folder / "shop.py").write_text(
        _APP + "\n@tasks.task(idempotent=False)\ndef once():\n    os.kill(os.getpid(), 9)\n"
    )
    first = shop.worker()
    job = front.find("once").submit()
    first.wait(_SOON)
    shop.worker()
    error = job.exception(_SOON)
    front.stop(_SOON)
    assert error is not None
    assert job.status().state is JobState.LOST


_GREENLETS = """
from gevent import monkey
monkey.patch_all()
import sys
from dewar import Tasks

front, back = (Tasks(ledger=sys.argv[1], poll=3600.0, run_jobs=runs) for runs in (False, True))
for tasks in (front, back):
    tasks.task("double")(lambda n: 2 * n)
    tasks.start()
for number in range(20):
    assert front.find("double").submit(number).result(20) == 2 * number
assert front.stop(20) and back.stop(20)
"""


def test_notices_wake_greenlets(tmp_path: Path) -> None:
    """One at a time, and a process with gevent's sockets stops at once and without an error."""
    pytest.importorskip("gevent")
    given = [sys.executable, "-c", _GREENLETS, str(tmp_path / "jobs.sqlite3")]
    done = subprocess.run(given, capture_output=True, text=True, timeout=_SOON, check=False)
    assert (done.returncode, done.stderr) == (0, "")
