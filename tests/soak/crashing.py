"""An app whose jobs leave marks: what the soak of crashes kills over and over.

``LEDGER`` is where the ledger is, ``MARKS`` the file that each run of a job adds a line to,
``CALLBACK`` the URL that is told, ``SECRET`` what that is signed with.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from dewar import Dewar, Tasks
from dewar.server import run

app = Dewar(__name__)
app.config.update(
    TASKS_LEDGER=os.environ["LEDGER"],
    TASKS_THREADS=4,
    TASKS_POLL=0.1,
    TASKS_CALLBACK_SECRETS=[os.environ["SECRET"]],
    TASKS_CALLBACK_ALLOW=["127.0.0.1"],
)
tasks = Tasks(app)
_marks = os.open(os.environ["MARKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def work(text: str) -> None:
    """Add a line, and go on for so long that a kill meets jobs that run."""
    os.write(_marks, f"{text}\n".encode())  # one write: lines of several processes do not mix
    time.sleep(0.02)


@tasks.task(max_queue=None)
def again(n: str) -> str:
    """Do what may be done twice."""
    work(n)
    return n


@tasks.task(max_queue=None, idempotent=False)
def once(n: str) -> str:
    """Do what may not be done twice."""
    work(n)
    return n


@app.post("/<any(again, once):kind>/<n>")
def submit(kind: str, n: str) -> tuple[dict[str, str], int]:
    """Accept a job."""
    job = tasks.find(kind).submit(n, callback=os.environ["CALLBACK"])
    return {"id": job.id}, 202


if __name__ == "__main__":
    run(app, bind=sys.argv[1], processes=2, threads=8, name="crashing", access_log=False)
