"""An app with one task, whose ledger the environment names. Only a worker runs its jobs."""

import os

from dewar import Dewar, Tasks

app = Dewar("jobs", static_folder=None)
app.config.update(
    TASKS_LEDGER=os.environ["BENCH_LEDGER"], TASKS_RUN_JOBS=False, TASKS_RETENTION=None
)
tasks = Tasks(app)


@tasks.task(max_queue=None)
def echo(number: int) -> int:
    """Return the number: only the time of the queue is measured."""
    return number
