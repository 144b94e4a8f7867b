"""The time that the ledger takes for each job, when it is empty and with a million ended jobs.

Prints the µs of every round:
``{"figures": {case: {"empty": [µs, …], "full": [µs, …]}}, "ended": n}``.
The two ledgers take turns. By default they are files in a temporary folder. With ``--where``, one
ledger at another place, such as a PostgreSQL database, is measured under the name "empty". With
``--waiting``, there is a third one, "waiting", which has so many jobs that wait: a third each for
later, in another queue, and of a task that has reached its limit.
"""

import argparse
import gc
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import text

from dewar.tasks.ledger.claiming import ClaimRules
from dewar.tasks.ledger.due_column import shift_of
from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.owners import this_owner
from dewar.tasks.ledger.records import AttemptStart, JobState, NewJob, Outcome
from dewar.tasks.limits import TaskLimits
from dewar.tasks.tasks import Tasks

# The size of a batch when jobs arrive quickly.
BATCH = 50
# The number of ended jobs that are read.
ASKED = 1000
ARGUMENTS = '[["uploads/photo-4711.jpeg", 640], {"format": "webp"}]'
RESULT = '{"path": "thumbnails/photo-4711.webp", "bytes": 48213}'
# SQL that both databases support. To write the jobs one by one would take minutes.
_FILL = text(
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :jobs)"
    " INSERT INTO dewar_jobs (id, task, state, arguments, owner, attempts, idempotent,"
    " stop_requested, created, due, started, finished, result)"
    " SELECT substr('000000000000000000000000000000000000' || n, length('' || n) + 1), 'bench',"
    " 'done', :arguments, 'gone', 1, 1, 0, n, n, n, n, :result FROM numbers"
)
_WAIT = text(
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :jobs)"
    " INSERT INTO dewar_jobs (id, task, state, arguments, attempts, idempotent, stop_requested,"
    " created, due, queue, limited) SELECT :kind || n, :task, 'queued', :arguments, 0, 1, 0, 1.0,"
    " :due + n, :queue, :limited FROM numbers"
)
#: The kinds of jobs that wait: their task, queue, due, and whether they are limited.
WAITING = (
    ("bench", "default", 1e10, False),
    ("bench", "other", 1.0, False),
    ("blocked", "default", 1.0, True),
)
RULES = ClaimRules(queues=["default"], limits={"blocked": TaskLimits(max_running=1)})


def nothing() -> None:
    """Do nothing: only the time of the ledger is measured."""


class Bench:
    """One ledger and its cases. Each case returns the µs for one job."""

    def __init__(self, where: str | Path) -> None:
        self.ledger = ledger = open_ledger(where)
        self._tasks = Tasks(ledger=where, retention=None)
        self._task = self._tasks.task("nothing", max_queue=None)(nothing)
        owner = this_owner(time.time())
        ledger.beat(owner, time.time() + 1e9)
        self._owner = owner.id
        self._past: list[str] = []

    def fill(self, jobs: int) -> None:
        """Add a number of ended jobs. Their ids sort before all others."""
        with self.ledger.database.writing() as connection:
            given = {"jobs": jobs, "arguments": ARGUMENTS, "result": RESULT}
            connection.execute(_FILL, given)
        self._past = [f"{random.randint(1, jobs):036d}" for _ in range(ASKED)]

    def fill_waiting(self, jobs: int) -> None:
        """Add a number of waiting jobs, none of which can be claimed."""
        with self.ledger.database.writing() as connection:
            for number, (task, queue, due, limited) in enumerate(WAITING):
                given = {
                    "jobs": jobs // len(WAITING),
                    "kind": f"waiting{number}",
                    "task": task,
                    "arguments": ARGUMENTS,
                    "due": due + shift_of(queue, limited=limited),
                    "queue": queue,
                    "limited": int(limited),
                }
                connection.execute(_WAIT, given)
        self.ledger.claim(self._owner, 1, time.time(), ["blocked"], RULES)

    def single(self, jobs: int) -> float:
        """Accept jobs one by one, and begin and end each."""
        began = time.perf_counter()
        for _ in range(jobs):
            new = self._new(1)
            self.ledger.write(new)
            self.ledger.write([self._start(new[0]), self._end(new[0])])
        return (time.perf_counter() - began) / jobs * 1e6

    def batches(self, jobs: int) -> float:
        """Accept, begin and end jobs fifty at a time."""
        began = time.perf_counter()
        for _ in range(jobs // BATCH):
            new = self._new(BATCH)
            self.ledger.write(new)
            self.ledger.write([self._start(job) for job in new])
            self.ledger.write([self._end(job) for job in new])
        return (time.perf_counter() - began) / (jobs // BATCH * BATCH) * 1e6

    def folded(self, jobs: int) -> float:
        """Accept, begin and end fifty jobs in one write."""
        began = time.perf_counter()
        for _ in range(jobs // BATCH):
            new = self._new(BATCH)
            self.ledger.write([*new, *map(self._start, new), *map(self._end, new)])
        return (time.perf_counter() - began) / (jobs // BATCH * BATCH) * 1e6

    def whole(self, jobs: int) -> float:
        """Submit jobs from one thread, run them on four, and wait for all results."""
        return self._run_whole(1, jobs)

    def whole_by_eight(self, jobs: int) -> float:
        """Do the same, but submit from eight threads."""
        return self._run_whole(8, jobs)

    def _run_whole(self, threads: int, jobs: int) -> float:
        self._task.submit().result()
        each = jobs // threads
        with ThreadPoolExecutor(threads) as submitters:
            began = time.perf_counter()
            many = submitters.map(
                lambda count: [self._task.submit() for _ in range(count)], [each] * threads
            )
            for job in [job for some in many for job in some]:
                job.result()
            spent = time.perf_counter() - began
        self._tasks.stop()
        return spent / (each * threads) * 1e6

    def one_at_a_time(self, jobs: int) -> float:
        """Submit jobs from one thread, and wait for each result before the next."""
        self._task.submit().result()
        began = time.perf_counter()
        for _ in range(jobs):
            self._task.submit().result()
        spent = time.perf_counter() - began
        self._tasks.stop()
        return spent / jobs * 1e6

    def status(self, jobs: int) -> float:
        """Read ended jobs at random positions."""
        began = time.perf_counter()
        for number in range(jobs):
            self.ledger.get(self._past[number % len(self._past)])
        return (time.perf_counter() - began) / jobs * 1e6

    def claiming(self, jobs: int) -> float:
        """Claim waiting jobs, fifty at a time."""
        self.ledger.write([self._new_waiting() for _ in range(jobs // BATCH * BATCH)])
        began, taken = time.perf_counter(), []
        while found := self.ledger.claim(
            self._owner, BATCH, time.time(), ["bench", "blocked"], RULES
        ):
            taken += found
        spent = time.perf_counter() - began
        self.ledger.write([*map(self._start, taken), *map(self._end, taken)])
        return spent / len(taken) * 1e6

    def _new(self, count: int) -> list[NewJob]:
        now = time.time()
        return [self._new_waiting(now, self._owner) for _ in range(count)]

    def _new_waiting(self, now: float | None = None, owner: str | None = None) -> NewJob:
        now = time.time() if now is None else now
        return NewJob(
            id=new_id(now), task="bench", arguments=ARGUMENTS, created=now, due=now, owner=owner
        )

    def _start(self, job: Any) -> AttemptStart:
        return AttemptStart(id=job.id, owner=self._owner, attempt=1, at=time.time())

    def _end(self, job: Any) -> Outcome:
        return Outcome(
            id=job.id,
            owner=self._owner,
            attempt=1,
            state=JobState.DONE,
            at=time.time(),
            result=RESULT,
        )


CASES: dict[str, Callable[[Bench, int], float]] = {
    "one by one": Bench.single,
    "fifty at a time, in three writes": Bench.batches,
    "fifty at a time, in one write": Bench.folded,
    "a whole job, submitted by one thread": Bench.whole,
    "a whole job, submitted by eight": Bench.whole_by_eight,
    "a whole job, one at a time": Bench.one_at_a_time,
    "status": Bench.status,
    "claim, fifty at a time": Bench.claiming,
}


def measure(benches: dict[str, Bench], rounds: int, jobs: int) -> dict[str, Any]:
    """Measure the ledgers in turns and return the figures of all rounds."""
    figures: dict[str, dict[str, list[float]]] = {}
    for case, run in CASES.items():
        figures[case] = {name: [] for name in benches}
        for bench in benches.values():
            run(bench, jobs)
        for _ in range(rounds):
            for name, bench in benches.items():
                gc.collect()
                figures[case][name].append(run(bench, jobs))
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--jobs", type=int, default=500, help=f"jobs per round, at least {BATCH}")
    parser.add_argument("--ended", type=int, default=1_000_000, help="jobs in the full ledger")
    parser.add_argument("--waiting", type=int, default=0, help="jobs in the third ledger")
    parser.add_argument("--where", help="the one ledger to measure instead")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if options.where is None:
            names = ("empty", "full", "waiting") if options.waiting else ("empty", "full")
            places = {name: str(Path(folder) / name) for name in names}
        else:
            places = {"empty": options.where}
        benches = {name: Bench(place) for name, place in places.items()}
        for name, bench in benches.items():
            bench.fill(options.ended if name == "full" else ASKED)
            if name == "waiting":
                bench.fill_waiting(options.waiting)
        figures = measure(benches, options.rounds, options.jobs)
        for bench in benches.values():
            bench.ledger.close()
    print(json.dumps({"figures": figures, "ended": options.ended}))


if __name__ == "__main__":
    main()
