"""Processes that fire one schedule, and are killed while they do."""

import itertools
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobRecord, JobState
from polling import eventually

PROGRAM = """
import sys, threading
from dewar.tasks.tasks import Tasks
tasks = Tasks(ledger=sys.argv[1], **eval(sys.argv[2]))
@tasks.task(every=1, missed="all")
def tick(scheduled_for):
    return scheduled_for.timestamp()
if __name__ == "__main__":
    tasks.start()
    print("ready", flush=True)
    threading.Event().wait()
"""
_SOON = 30.0


class Workers:
    """Processes that run the program."""

    def __init__(self, folder: Path, where: str, settings: dict[str, Any]) -> None:
        program = folder / "ticking.py"
        program.write_text(PROGRAM, encoding="utf-8")
        self._command = [sys.executable, str(program), where, repr(settings)]
        self.running: list[subprocess.Popen[str]] = []

    def start(self, count: int) -> None:
        started = [
            subprocess.Popen(
                self._command, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
            for _ in range(count)
        ]
        self.running += started
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """Kill the oldest with all its children."""
        process = self.running.pop(0)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_SOON)
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def workers_of(folder: Path, where: str, settings: dict[str, Any]) -> Iterator[Workers]:
    workers = Workers(folder, where, settings)
    try:
        yield workers
    finally:
        while workers.running:
            workers.kill()


def check_each_once(folder: Path, where: str, **settings: Any) -> None:
    """Kill processes while they fire; then each second has one job, and those are done."""
    ledger = open_ledger(where)

    def jobs() -> list[JobRecord]:
        return ledger.list(limit=1000)

    def has(count: int) -> Callable[[], bool]:
        return lambda: len(jobs()) >= count

    with workers_of(folder, where, settings) as workers:
        workers.start(3)
        for _ in range(2):
            eventually(has(len(jobs()) + 2))
            workers.kill()
        workers.start(1)
        last = max(job.due for job in jobs())
        # What the dead had begun runs again when others see that they are dead.
        eventually(
            lambda: all(job.state is JobState.DONE for job in jobs() if job.due <= last),
            lambda: str([(job.due, job.state) for job in jobs()]),
            60.0,
        )
        eventually(has(len(jobs()) + 2))
        times = sorted(job.due for job in jobs())
    ledger.close()
    assert Counter(times).most_common(1)[0][1] == 1
    assert {after - before for before, after in itertools.pairwise(times)} == {1.0}
