"""An app with one task, whose ledger the environment names. Only a worker runs its jobs."""

import os

from bench.apps.work import work
from dewar import Dewar, Tasks

app = Dewar("jobs", static_folder=None)
app.config.update(
    TASKS_LEDGER=os.environ["BENCH_LEDGER"], TASKS_RUN_JOBS=False, TASKS_RETENTION=None
)
tasks = Tasks(app)


@tasks.task(max_queue=None)
def echo(number: int, seconds: float) -> int:
    """Return the number after some work."""
    return work(number, seconds)
