"""`UnknownTasks`: says which jobs wait for a task that this process does not have."""

import logging
from collections.abc import Collection

from dewar.tasks.ledger.claim_statements import OTHER_TASKS
from dewar.tasks.ledger.statements import UNCLAIMED
from dewar.tasks.runtime.process_jobs import ProcessJobs

_logger = logging.getLogger("dewar.tasks")
#: How often to look, in seconds.
INTERVAL = 2.5
# Apps that share a ledger have different tasks. A job that waits this long has nobody else either.
_PATIENCE = 1.0


class UnknownTasks:
    """Logs each task once, when a job of it has waited for some time.

    Args:
        jobs: The jobs of this process.
        tasks: The names of the tasks that it has.
    """

    def __init__(self, jobs: ProcessJobs, tasks: Collection[str]) -> None:
        self._ledger, self._clock = jobs.ledger, jobs.clock
        self._tasks = tasks
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<UnknownTasks {sorted(self._told)}>"

    def look(self) -> None:
        """Look for such jobs. The writer's own thread calls it."""
        # A copy: another thread may declare a task.
        known = {"tasks": [*self._tasks, *self._told]}
        before = self._clock() - _PATIENCE
        with self._ledger.database.reading() as connection:
            counts = {
                task: connection.execute(UNCLAIMED, {"task": task, "now": before}).scalar_one()
                for task in connection.execute(OTHER_TASKS, known).scalars().all()
            }
        for task, count in counts.items():
            if not count:
                continue
            self._told.add(task)
            _logger.warning(
                "%d waiting jobs are of the task %r, which this process does not have. They wait"
                " until a process has it. If it was renamed, keep its name: @tasks.task(%r). To"
                " drop them, find them with: dewar tasks list --state queued --task %r",
                count,
                task,
                task,
                task,
            )
