"""Accept jobs while all goes wrong that can, and account for each of them.

``make chaos`` runs the long form: 20,000 jobs over SQLite on a small disk and over a PostgreSQL of
its own. Meanwhile workers are killed, stopped and continued, clocks are set, the database is
restarted or locked, the disk is full, no thread can be had, and jobs return what cannot be kept.

Afterwards each accepted job has ended, none that may not be repeated has begun twice, no chain has
lost a step, no schedule has fired twice for a due time, and no worker has ended that was not
killed. Run as a script it prints what it counted, and exits with 1 if something is amiss.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaostools import ChaosWorker, Database, PrivatePostgreSQL, SmallDisk, last
from dewar import chain, group
from dewar.tasks.errors import Duplicate
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.ledger.schedule_table import ScheduleTable
from polling import eventually

_SUBMITTERS = 4
# Seconds for everything to be done at the end.
_PATIENCE = 240.0
_ENDED = {JobState.DONE, JobState.FAILED, JobState.LOST, JobState.CANCELLED}
#: How a job of each task may end besides LOST, which is for those that may not be repeated.
_ENDS = {
    "again": {JobState.DONE},
    "once": {JobState.DONE, JobState.LOST},
    "poison": {JobState.DONE, JobState.FAILED},
    "retried": {JobState.FAILED},
    "unique return": {JobState.DONE},
    "unique refuse": {JobState.DONE},
    "unique replace": {JobState.DONE, JobState.CANCELLED},
    "after unique": {JobState.DONE, JobState.CANCELLED},
}


class Chaos:
    """One run.

    Args:
        jobs: How many are accepted.
        seconds: How long things go wrong, at least.
        database: Where the ledger is.
        folder: For marks and files.
        seed: Of the choices.
        engine: What workers run jobs on: "threads" or "processes".
    """

    def __init__(
        self, jobs: int, seconds: float, database: Database, folder: Path, seed: int, engine: str
    ) -> None:
        self.jobs = jobs
        self.seconds = seconds
        self.database = database
        self.dice = random.Random(seed)
        self.marks = folder / "marks"
        self.marks.touch()
        self.no_threads = folder / "no-threads"
        self.clock = folder / "clock"
        self.clock.write_text("+0")
        self.env = {
            **os.environ,
            "CHAOS_FOLDER": str(folder),
            "CHAOS_ENGINE": f"TASKS_{engine.upper()}",
            "CHAOS_LEDGER": database.url,
            "CHAOS_MARKS": str(self.marks),
        }
        self.accepted: dict[str, str] = {}
        # The ids of each chain's steps, in order; those of one group are together.
        self.chains: list[list[list[str]]] = []
        self.refused: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()
        self.workers: list[ChaosWorker] = []
        self.started = 0
        # The numbers of the workers that were killed.
        self.killed: set[str] = set()
        self.problems: list[str] = []

    def run(self) -> list[str]:
        """Submit, let things go wrong, wait; return what is amiss."""
        os.environ.update(self.env)
        import chaotic

        try:
            self.workers = [self.worker() for _ in range(3)]
            numbers = iter(range(self.jobs))
            lock = threading.Lock()
            threads = [
                threading.Thread(target=self.submit, args=(chaotic, numbers, lock), daemon=True)
                for _ in range(_SUBMITTERS)
            ]
            for thread in threads:
                thread.start()
            self.go_wrong(threads)
            self.wait(lambda: not any(thread.is_alive() for thread in threads))
            self.pause_schedules(chaotic)
            self.wait(lambda: self.active(chaotic.tasks.ledger) == 0)
            self.stop_workers()
            ledger = chaotic.tasks.ledger
            return self.problems + self.amiss(ledger) + self.fired_amiss(ledger, chaotic.SCHEDULED)
        finally:
            for worker in self.workers:
                worker.kill()
            with suppress(Exception):
                chaotic.tasks.stop(5)

    def worker(self) -> ChaosWorker:
        """Start a process that runs jobs."""
        self.started += 1
        more = {"CHAOS_NO_THREADS": str(self.no_threads), "CHAOS_WORKER": str(self.started)}
        return ChaosWorker({**self.env, **more}, self.clock)

    def submit(self, chaotic: Any, numbers: Any, lock: threading.Lock) -> None:
        """Have each number accepted, as often as it takes."""
        poisons = [*chaotic.POISONS, *chaotic.ERRORS]
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            eventually(lambda n=number: self.accept(chaotic, poisons, n), limit=_PATIENCE)

    def accept(self, chaotic: Any, poisons: list[str], number: int) -> bool:
        """Submit one job; return whether it was accepted."""
        name = "again" if number % 2 else "once"
        argument: object = number
        if number % 20 == 0:
            name, argument = "poison", poisons[number // 20 % len(poisons)]
        elif number % 50 == 1:
            name = "retried"
        try:
            if number % 10 == 3:
                self.accept_chain(chaotic, number)
            else:
                unique = chaotic.UNIQUE[number // 10 % 3] if number % 10 == 7 else None
                task = unique or getattr(chaotic, name)
                self.accepted[task.submit(argument).id] = task.name
        except Duplicate as error:
            self.happened["duplicates"] += 1
            self.accepted[error.id] = error.task
        except Exception as error:
            self.refused[type(error).__name__] += 1
            last(0.05)
            return False
        if len(self.accepted) % 50 == 0:
            last(self.seconds * 50 / self.jobs / 2)  # to last as long as what goes wrong
        return True

    def accept_chain(self, chaotic: Any, number: int) -> None:
        """Submit a chain. Each step gets the result before, and none may be missing or fail.

        The unique job in some may be replaced, before its turn too. That ends the steps after it.
        """
        again, unique = chaotic.again, chaotic.UNIQUE[-1]
        if number % 20 == 3:
            steps = chain(again.s(number), group(again.s(), again.s()), again.s())
            names = [["again"], ["again", "again"], ["again"]]
        else:
            keyed = unique.options_for(unique_key=chaotic.key_of(number))
            steps = chain(again.s(number), keyed.s(), again.s())
            names = [["again"], [unique.name], ["after unique"]]
        ids = iter([job.id for job in steps.submit().jobs])
        found = [[(next(ids), name) for name in some] for some in names]
        self.chains.append([[id for id, _ in some] for some in found])
        for some in found:
            self.accepted.update(some)

    # What goes wrong.

    def go_wrong(self, threads: list[threading.Thread]) -> None:
        """Have one thing after another go wrong until all jobs are accepted."""
        ends = time.monotonic() + self.seconds
        while time.monotonic() < ends or any(thread.is_alive() for thread in threads):
            if time.monotonic() > ends + _PATIENCE:
                raise TimeoutError(self.told())
            self.note_ended()
            events = self.events()
            name = self.dice.choice(sorted(events))
            self.happened[name] += 1
            events[name]()
            last(0.3)

    def events(self) -> dict[str, Callable[[], None]]:
        """Return what can go wrong here, by name."""
        found = {
            "killed": self.kill,
            "stopped and continued": self.stop_and_continue,
            "no threads": self.refuse_threads,
            **self.database.events(self.dice),
        }
        if self.workers and self.workers[0].has_clock:
            found["clock set"] = self.set_clock
        return found

    def kill(self) -> None:
        """Kill a worker and start another."""
        index = self.dice.randrange(len(self.workers))
        self.workers[index].kill()
        self.killed.add(self.workers[index].env["CHAOS_WORKER"])
        self.workers[index] = self.worker()

    def stop_and_continue(self) -> None:
        """Stop a worker for less or longer than the lease."""
        worker = self.dice.choice(self.workers)
        worker.send(signal.SIGSTOP)
        last(self.dice.choice([0.5, 2.0, 4.5]))
        worker.send(signal.SIGCONT)

    def refuse_threads(self) -> None:
        """Let no worker start a thread for a moment; one of them starts meanwhile."""
        self.no_threads.touch()
        last(self.dice.choice([0.2, 1.0]))
        self.no_threads.unlink()

    def set_clock(self) -> None:
        """Set the clock of all workers, by a minute, a day or a year, and back."""
        step = self.dice.choice(["+60s", "-60s", "+1d", "-1d", "+1y"])
        self.clock.write_text(step)
        last(1.0)
        self.clock.write_text("+0")

    def note_ended(self) -> None:
        """Note workers that ended without being killed, and replace them."""
        for index, worker in enumerate(self.workers):
            if not worker.has_ended():
                continue
            said = worker.said()
            if not worker.is_ready() and "Error: " in said:
                self.happened["start refused"] += 1  # the database was away; this was said
            else:
                self.problems.append(f"a worker ended by itself: {said[-1500:]}")
            self.workers[index] = self.worker()

    # The account.

    def pause_schedules(self, chaotic: Any) -> None:
        """Let no schedule fire any more, so that all jobs may have ended at a moment."""
        table = ScheduleTable(chaotic.tasks.ledger.database)
        self.wait(lambda: sum(row.last_due is not None for row in table.rows().values()) == 4)
        for name in chaotic.SCHEDULED:
            table.pause(name)

    def stop_workers(self) -> None:
        """Stop all workers as a service manager does: they end with 0."""
        # Before it has its handler, SIGTERM ends a worker as any other program.
        self.wait(self.are_ready)
        for worker in self.workers:
            worker.send(signal.SIGTERM)
        for worker in self.workers:
            status = worker.wait(40)
            if status != 0:
                self.problems.append(f"a worker stopped with {status}: {worker.said()[-1500:]}")

    def are_ready(self) -> bool:
        """Return whether all workers run jobs; those that could not start are replaced."""
        self.note_ended()
        return all(worker.is_ready() for worker in self.workers)

    def active(self, ledger: Any) -> int:
        """Return how many jobs have not ended, at least 1 if the ledger does not answer now."""
        self.note_ended()
        try:
            counts = ledger.counts()
        except Exception:
            return 1
        return sum(count for state, count in counts.items() if state not in _ENDED)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds."""
        eventually(condition, self.told, _PATIENCE)

    def told(self) -> str:
        """Say what has happened so far."""
        return (
            f"{len(self.accepted)} of {self.jobs} accepted; {dict(self.happened)};"
            f" {dict(self.refused)}; {[worker.said()[-800:] for worker in self.workers]}"
        )

    def amiss(self, ledger: Any) -> list[str]:
        """Compare the ledger and the marks with what was accepted."""
        begun = self.begun_once()
        found = [
            f"{id} may not be repeated, and began {len(workers)} times"
            for id, workers in begun.items()
            if len(workers) > 1
        ]
        states: Counter[str] = Counter()
        records = self.records(ledger, list(self.accepted))
        for id, name in self.accepted.items():
            record = records.get(id)
            if record is None:
                found.append(f"{id} ({name}) has vanished")
                continue
            states[f"{name} {record.state.value}"] += 1
            if record.state not in _ENDS[name]:
                found.append(f"{id} ({name}) is {record.state.value}: {str(record.error)[:300]}")
            if record.state is JobState.LOST and not self.killed.issuperset(begun[id]):
                found.append(f"{id} is lost, and its worker {begun[id]} was not killed")
        found += self.broken_chains(records)
        print(
            f"{self.database!r}: {len(self.accepted)} accepted: {dict(sorted(states.items()))};"
            f" {len(self.chains)} chains;"
            f" happened: {dict(sorted(self.happened.items()))}; refused: {dict(self.refused)}",
            flush=True,
        )
        return found

    def begun_once(self) -> dict[str, list[str]]:
        """Return in which workers each job began that may not be repeated."""
        found: dict[str, list[str]] = defaultdict(list)
        for line in self.marks.read_text().splitlines():
            id, kind, worker = line.split()
            if kind == "once":
                found[id].append(worker)
        return found

    def records(self, ledger: Any, ids: list[str]) -> dict[str, JobRecord]:
        """Return many jobs."""
        found: dict[str, JobRecord] = {}
        for start in range(0, len(ids), 500):
            found.update(ledger.get_many(ids[start : start + 500]))
        return found

    def broken_chains(self, records: dict[str, JobRecord]) -> list[str]:
        """Return the chains in which a step ran although one before it had not ended well."""
        found = []
        for steps in self.chains:
            well = [all(records[id].state is JobState.DONE for id in some) for some in steps]
            if well != sorted(well, reverse=True):
                found.append(f"in a chain the steps {steps} have ended well or not: {well}")
        return found

    def fired_amiss(self, ledger: Any, names: list[str]) -> list[str]:
        """Return the due times for which a schedule fired twice, or not although it had to."""
        found = []
        for name in names:
            jobs = jobs_of(ledger, name)
            times = [json.loads(record.arguments)[1]["scheduled_for"] for record in jobs]
            twice = [time for time, n in Counter(map(str, times)).items() if n > 1]
            found += [f"{name} fired more than once for {time}" for time in twice[:5]]
            found += [
                f"{record.id} ({name}) is {record.state.value}: {str(record.error)[:300]}"
                for record in jobs
                if record.state is not JobState.DONE
                and not (record.state is JobState.CANCELLED and name == names[-1])
            ]
            done = sorted(int(job.result) for job in jobs if job.state is JobState.DONE)
            gaps = [(before, after) for before, after in pairwise(done) if after > before + 1]
            if name == "tick all" and gaps:
                found.append(f"{name} left out what is between {gaps[:5]}")
            print(f"{name}: {len(jobs)} jobs, {len(gaps)} gaps", flush=True)
        return found


def jobs_of(ledger: Any, task: str) -> list[JobRecord]:
    """Return all jobs of a task."""
    found: list[JobRecord] = []
    while page := ledger.list(task=task, limit=1000, before=found[-1].id if found else None):
        found += page
    return found


def run(jobs: int, seconds: float, kind: str, seed: int, engine: str) -> list[str]:
    """Do one run in a folder of its own; return what is amiss."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database: Database = stack.enter_context(
            SmallDisk(folder / "disk") if kind == "sqlite" else PrivatePostgreSQL()
        )
        return Chaos(jobs, seconds, database, folder, seed, engine).run()


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="for each ledger")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each ledger, at least")
    parser.add_argument("--ledger", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--engine", choices=["threads", "processes"], default="threads")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    problems: list[str] = []
    for kind in ("sqlite", "postgresql"):
        if given.ledger not in (kind, "both"):
            continue
        if kind == "postgresql" and not PrivatePostgreSQL.is_installed():
            print("*** No PostgreSQL is installed: the run over it is left out. ***", flush=True)
            continue
        pid = os.fork()  # each run has its own app, and with it its own ledger
        if not pid:
            found = run(given.jobs, given.seconds, kind, seed, given.engine)
            print("\n".join(found[:20]), flush=True)
            os._exit(bool(found))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            problems.append(f"{kind} ({status})")
    print(f"amiss over {', '.join(problems)}" if problems else "nothing is amiss")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
