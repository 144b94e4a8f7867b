"""An app with a task for each option of tasks, for the workers of each engine."""

import os
from datetime import timedelta
from pathlib import Path

from dewar import Dewar
from dewar.tasks.errors import SoftTimeLimitExceeded
from dewar.tasks.progress import current_job
from dewar.tasks.tasks import Tasks
from polling import eventually

app = Dewar(__name__)
app.config["TASKS_LEDGER"] = "/nonexistent/ledger"
tasks = Tasks(app)


def hold(gate, name):
    """Write a name, and run until there is a file ``go``."""
    with (Path(gate) / "began").open("a") as file:
        file.write(f"{name}\n")
    eventually((Path(gate) / "go").exists)
    return name


plain = tasks.task("plain", retries=2, backoff=0)(hold)
single = tasks.task("single", max_running=1)(hold)
rated = tasks.task("rated", rate="1/h")(hold)
unique = tasks.task("unique", unique=True)(hold)


@tasks.task(retries=2, backoff=0)
def third_time():
    if current_job.attempt < 3:
        raise ValueError("not yet")
    return current_job.attempt


@tasks.task(soft_timeout=0.5)
def soft():
    try:
        eventually(lambda: False)
    except SoftTimeLimitExceeded:
        return "cleaned up"


@tasks.task(timeout=0.3)
def hard():
    eventually(lambda: False)


@tasks.task()
def until_cancelled(gate):
    (Path(gate) / "began").touch()
    eventually(lambda: current_job.is_cancelled)
    return "told"


@tasks.task()
def echo(value):
    return value


@tasks.task(every=timedelta(days=366))
def leap_yearly(scheduled_for):
    return scheduled_for


@tasks.task(cron="0 0 29 2 *", time_zone="Europe/Berlin")
def on_leap_days(scheduled_for):
    return scheduled_for


@tasks.task()
def pid():
    return os.getpid()
