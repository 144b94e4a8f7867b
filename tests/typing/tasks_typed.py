"""Background jobs as a type checker sees them. It is checked, not run.

A line that ends in ``# error`` has to be an error; all others must be none.
"""

from typing import assert_type

from flask import Flask

from dewar import Dewar, TaskPool, Tasks, current_job
from dewar.tasks.job import Job
from dewar.tasks.stored_job import StoredJob

app = Dewar(__name__)
tasks = Tasks(app)
tasks.init_app(app)
tasks.init_app(Flask(__name__))  # for a program that is run as Flask's
app.ensure_sync(len)


@tasks.task(retries=3)
def resize(path: str, width: int = 800) -> bytes:
    """Resize a picture."""
    return f"{path} {width}".encode()


@tasks.task()
async def fetch(url: str) -> list[int]:
    """Fetch a page."""
    return [len(url)]


# A call is checked, and runs the function.
assert_type(resize("a.png"), bytes)
resize(1)  # error

# A job has the parameters of the function, and its result.
assert_type(resize.submit("a.png", width=3), StoredJob[bytes])
assert_type(resize.submit("a.png").result(timeout=5), bytes)
resize.submit(1)  # error
resize.submit("a.png", height=3)  # error
resize.submit()  # error
resize.submit("a.png").result().nothing()  # error

# So has that of a coroutine function: the result is what the coroutine returns.
assert_type(fetch.submit("http://a"), StoredJob[list[int]])
fetch.submit(b"http://a")  # error


async def call_it() -> None:
    """Await the function itself."""
    assert_type(await fetch("http://a"), list[int])


@tasks.task()
def report() -> None:
    """Report the progress of the job that runs."""
    current_job.progress(0.5, "half")
    assert_type(current_job.attempt, int)
    assert_type(current_job.is_cancelled, bool)
    current_job.progress("half")  # error
    current_job.meta  # error


# With options for the job.
assert_type(resize.submit("a.png", callback="https://b").result(), bytes)
assert_type(resize.submit_later("a.png", delay=60).result(), bytes)
assert_type(resize.map(["a.png", "b.png"]), list[StoredJob[bytes]])
urgent = resize.options_for(priority=5, callback="https://b")
assert_type(urgent.submit("a.png").result(), bytes)
assert_type(urgent.map(["a.png"]), list[StoredJob[bytes]])
urgent.submit(width="a.png")  # error
resize.delay("a.png")  # error
resize.submit("a.png").get()  # error
resize.options_for(priority="high")  # error


def follow(job: StoredJob) -> None:
    """Take a job of any result, also in strict mode."""
    job.result().anything()


follow(resize.submit("a.png"))


def total(job: StoredJob[list[int]]) -> int:
    """Take a job with one kind of result."""
    return sum(job.result())


total(fetch.submit("http://a"))
total(resize.submit("a.png"))  # error

# A pool's jobs, too.
with TaskPool(threads=1) as pool:
    assert_type(pool.submit(len, "abc"), Job[int])
    assert_type(pool.submit(resize.function, "a.png").result() is None, bool)
    pool.submit(len, 3)  # error
