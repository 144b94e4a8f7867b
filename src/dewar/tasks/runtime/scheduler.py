"""`Scheduler`: fires the schedules of the tasks whose jobs this process runs.

The writer's thread calls it at the next due time, and every few seconds for what others change.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.ledger.records import BatchResult, NewJob
from dewar.tasks.ledger.schedule_table import ScheduleRow
from dewar.tasks.runtime.declarations import ScheduleDeclarations
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.runtime.steady_clock import SteadyClock
from dewar.tasks.schedules.task_schedule import TaskSchedule

_logger = logging.getLogger("dewar.tasks")
# The least seconds to a due time: two clocks are compared, which may differ by a rounding for ever.
_LEAST_WAIT = 0.001


class Scheduler:
    """Has each due time accepted once, by this process or another one.

    Args:
        jobs: The jobs of this process.
        directory: The tasks, which may be declared later too.
        new_job: Makes the job of a task, for a due time, at a time.
        check: Refuses a job that the engine of this process cannot run.
        note_written: Called with what became of new jobs.
        hasten: Has a function called in a number of seconds.
    """

    def __init__(
        self,
        jobs: ProcessJobs,
        directory: TaskDirectory,
        new_job: Callable[[Any, float, float], NewJob],
        check: Callable[[NewJob, Any], object],
        note_written: Callable[[BatchResult], object],
        hasten: Callable[[Callable[[], object], float], object],
    ) -> None:
        self._jobs = jobs
        self._directory = directory
        self._new_job = new_job
        self._check = check
        self._note_written = note_written
        self._hasten = hasten
        self._clock = SteadyClock(jobs.clock, jobs.monotonic)
        self._declarations = ScheduleDeclarations(jobs)
        self._has_looked = False

    def __repr__(self) -> str:
        return f"<Scheduler of {self._jobs.owner.id}>"

    def look(self) -> None:
        """Fire what is due, and have this called at the next due time."""
        if not self._has_looked:
            self._clock.begin(self._declarations.latest_renewal())
            self._has_looked = True
        now = self._clock.now()
        declared = self._declared()
        rows = self._declarations.keep(declared, now)
        next_due = min([self._fire(row, declared[row.name], now) for row in rows], default=inf)
        wait = next_due - now
        self._hasten(self.look, max(_LEAST_WAIT, wait) if wait > 0 else 0.0)

    def _declared(self) -> dict[str, TaskSchedule]:
        """Return the schedules of the tasks whose jobs this process runs."""
        tasks, serves = self._directory.tasks, self._jobs.serves
        schedules = self._directory.schedules()
        return {name: one for name, one in schedules.items() if serves(tasks[name].options.queue)}

    def _fire(self, row: ScheduleRow, schedule: TaskSchedule, now: float) -> float:
        """Accept the jobs of the due times that have passed; return when to look again."""
        firing = schedule.firing(row.next_due, now)
        if firing is None:
            return row.next_due
        times = firing.due_times
        jobs = self._new_jobs(row.name, times)
        last_due = times[-1] if times else row.last_due
        moved = replace(row, next_due=firing.next_due, moved=now, last_due=last_due)
        written = self._jobs.ledger.fire(row, moved, jobs, self._jobs.describe)
        if written is None:
            return firing.next_due
        self._log(row.name, written)
        self._note_written(replace(written, duplicates={}))  # nobody waits for these
        left_out = {one.id for one in written.refused} | written.duplicates.keys()
        for new in jobs:
            if new.id not in left_out:
                self._jobs.moments.accepted(new)
                self._jobs.note_left(new)
        return now  # when the new jobs are claimed, too

    def _new_jobs(self, name: str, times: tuple[float, ...]) -> list[NewJob]:
        """Return a job for each due time; none for one whose job cannot be made."""
        now = self._jobs.clock()
        try:
            task = self._directory.find(name)
            jobs = [self._new_job(task, due, now) for due in times]
            for new in jobs:
                self._check(new, task)
        except Exception:
            # Of the program: its key function, its JSON, a limit that its engine does not have.
            # The next due time is not to wait for it.
            _logger.exception("The schedule of %s was due, and its job could not be made", name)
            return []
        return jobs

    def _log(self, name: str, written: BatchResult) -> None:
        if written.refused:
            _logger.warning(
                "The schedule of %s was due, and jobs were refused because its queue is full"
                " (max_queue): %d",
                name,
                len(written.refused),
            )
        for holder in written.duplicates.values():
            _logger.info(
                "The schedule of %s was due, and %s, which has the same key, has not ended",
                name,
                holder,
            )
