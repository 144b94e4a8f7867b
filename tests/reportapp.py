"""An app whose jobs do what users of other task queues have reported."""

import logging
import multiprocessing
import os
import signal
import subprocess
from pathlib import Path

from dewar import Dewar
from dewar.tasks.progress import current_job
from dewar.tasks.tasks import Tasks
from polling import eventually

if gate := os.environ.get("REPORT_GATE"):
    # To import an app may take long.
    Path(f"{gate}.waits").touch()
    eventually(Path(gate).exists)

app = Dewar(__name__)
app.config["TASKS_POLL"] = 0.05
tasks = Tasks(app)


def note(path: str) -> None:
    """Note a run in a file, in one write: the process may be killed at any point."""
    with Path(path).open("ab", buffering=0) as file:
        file.write(f"{os.getpid()}\n".encode())


def runs(path: Path | str) -> list[int]:
    """Return the processes of the runs that were noted."""
    return [int(pid) for pid in Path(path).read_text().split()] if Path(path).exists() else []


@tasks.task()
def add(a, b):
    return a + b


@tasks.task(timeout=1.0)
def add_quickly(a, b):
    return a + b


@tasks.task()
def hold(path):
    """Run until there is a file of the same name that ends in .open."""
    note(path)
    eventually(Path(f"{path}.open").exists)
    return current_job.attempt


@tasks.task(unique=True)
def hold_unique(path):
    return hold(path)


@tasks.task(max_running=1)
def hold_alone(path):
    return hold(path)


@tasks.task(retries=3, backoff=0.3)
def fail_at_first(path):
    """Fail in the first process that runs it."""
    note(path)
    if current_job.attempt == 1:
        raise ConnectionError("not yet")
    return current_job.attempt


@tasks.task(retries=1, backoff=0)
def fail_after_stop(path):
    """Is asked to end at its first attempt, fails at the next, and succeeds then."""
    note(path)
    if current_job.attempt == 1:
        eventually(lambda: current_job.is_cancelled)
        current_job.raise_if_cancelled()
    if current_job.attempt == 2:
        raise ConnectionError("not yet")
    return current_job.attempt


@tasks.task()
def kill_worker(path):
    note(path)
    os.kill(os.getpid(), signal.SIGKILL)


@tasks.task(idempotent=False)
def be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


@tasks.task()
def kinds(values):
    return [type(one).__name__ for one in values]


class ReportHandler(logging.StreamHandler):
    """The handler that the program has configured."""


@tasks.task()
def log(text):
    """Log as the program does; return its handlers and its level."""
    root = logging.getLogger()
    root.info(text)
    return [type(one).__name__ for one in root.handlers] + [logging.getLevelName(root.level)]


def configure_logging() -> None:
    """Do what a program does at its start."""
    handler = ReportHandler()
    handler.setFormatter(logging.Formatter("report: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _double(number):
    return 2 * number


@tasks.task()
def use_pool(numbers):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(_double, numbers)


@tasks.task(unique=True, timeout=0.5)
def start_program(path):
    """Start a program that outlasts the limit of this job."""
    program = subprocess.Popen(["sleep", "60"])
    Path(path).write_text(str(program.pid))
    program.wait()


@tasks.task()
def open_files():
    """Return the descriptors of this process, as the system names them."""
    found = set()
    for one in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(one.readlink()))
        except OSError:
            continue
    return found


@tasks.task(soft_timeout=0.2, timeout=0.6)
def swallow(path):
    """Go on whatever happens, as a loop with a broad except does."""
    while True:
        note(path)
        try:
            eventually(lambda: False)
        except Exception:
            continue
