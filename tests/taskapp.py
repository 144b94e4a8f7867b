"""An app with tasks that other processes can import. Its ledger is where DEWAR_TEST_LEDGER says."""

import os
import signal
import threading
import time
from pathlib import Path

from dewar import Dewar, current_app, g, request, session
from dewar.tasks.errors import SoftTimeLimitExceeded
from dewar.tasks.progress import current_job
from dewar.tasks.tasks import Tasks
from polling import eventually

app = Dewar(__name__)
app.secret_key = "for tests"
app.config["TASKS_LEDGER"] = os.environ.get("DEWAR_TEST_LEDGER", "/nonexistent/ledger")
if os.environ.get("DEWAR_TEST_PROCESSES"):
    app.config["TASKS_PROCESSES"] = int(os.environ["DEWAR_TEST_PROCESSES"])
if os.environ.get("DEWAR_TEST_ENGINE"):
    app.config["TASKS_ENGINE"] = os.environ["DEWAR_TEST_ENGINE"]
app.config["TASKS_POLL"] = 0.05
tasks = Tasks(app)


@tasks.task()
def add(a, b):
    return a + b


@tasks.task()
def add_in_full_pool(folder, number):
    (Path(folder) / str(number)).touch()
    eventually(lambda: len(list(Path(folder).iterdir())) == 2)
    return add.submit(number, 1).result()


@tasks.task(idempotent=False)
def exit_now():
    os._exit(3)


@tasks.task()
def see():
    current_job.progress(0.5, "half")
    return {
        "app": current_app.name,
        "path": request.path,
        "user": session["user"],
        "g": g.n,
        "attempt": current_job.attempt,
        "id": current_job.id,
    }


@tasks.task()
def fail(text):
    raise ValueError(text)


@tasks.task(retries=2, backoff=0)
def fail_until(attempt):
    if current_job.attempt < attempt:
        raise ValueError(f"attempt {current_job.attempt}")
    return current_job.attempt


@tasks.task()
def end_when_told(path):
    """End when it is to: as cancelled if the name of the path begins with c, or else as done."""
    Path(path + ".began").touch()
    eventually(lambda: current_job.is_cancelled)
    if Path(path).name.startswith("c"):
        current_job.raise_if_cancelled()
    return "told"


@tasks.task(soft_timeout=0.2, timeout=60, retries=1, backoff=0)
def clean_up_at_limit():
    """Fail at the first attempt, as who does not catch it."""
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        if current_job.attempt == 1:
            raise
    return current_job.attempt


@tasks.task()
def own_pid():
    return os.getpid()


@tasks.task(timeout=0.3)
def sleep(seconds):
    time.sleep(seconds)


@tasks.task()
def wait_for(path):
    """Run until a file is there; say in another one who runs."""
    said = Path(path + ".said")
    said.write_text(str(os.getpid()))
    said.rename(path + ".began")
    eventually(Path(path).exists)
    return "released"


@tasks.task(idempotent=False)
def wait_for_once(path):
    return wait_for(path)


@tasks.task()
def die_once(path):
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return current_job.attempt


@tasks.task(idempotent=False)
def die(path):
    Path(path).touch()
    os.kill(os.getpid(), signal.SIGKILL)


@tasks.task()
async def later(value):
    return value


@tasks.task()
def return_lock():

    return {"rows": [1, threading.Lock()]}


@app.get("/see/<n>")
def view(n):
    g.n = n
    session["user"] = f"user {n}"
    return {"id": see.submit().id}
