"""Jobs of real tasks, from the request that submits them to the end of their events."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dewar import Dewar, Tasks, current_job, tasks_blueprint
from polling import eventually
from servertools import Client, Serve, Served

_SOON = 20.0


class Press:
    """A task that does as the test says, and what it has come to."""

    def __init__(self) -> None:
        self.steps = threading.Semaphore(0)
        self.began = threading.Semaphore(0)

    def step(self) -> None:
        self.steps.release()

    def run(self, pages: int) -> dict[str, int]:
        self.began.release()
        for page in range(pages):
            assert self.steps.acquire(timeout=_SOON)
            current_job.progress((page + 1) / pages, f"page {page + 1}")
        assert self.steps.acquire(timeout=_SOON)
        return {"pages": pages}


@pytest.fixture
def press() -> Press:
    return Press()


@pytest.fixture
def served(tmp_path: Path, press: Press, serve: Serve) -> Iterator[Served]:
    app = Dewar("press", instance_path=str(tmp_path))
    tasks = Tasks(app, threads=1, poll=0.01, shutdown_timeout=_SOON)

    @tasks.task("print")
    def print_pages(pages: int) -> dict[str, int]:
        return press.run(pages)

    @app.post("/books/<int:pages>")
    def add(pages: int) -> Any:
        return print_pages.submit(pages).accepted()

    app.register_blueprint(tasks_blueprint(tasks, access=lambda job, action: True))
    yield serve(app)
    for _ in range(100):
        press.step()  # whatever still runs may end


def ask(client: Client, method: str, target: str) -> tuple[int, dict[bytes, bytes], Any]:
    request = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    status, fields, body = client.ask(request.encode())
    return int(status.split()[1]), fields, json.loads(body)


def test_a_job_is_followed_from_its_submission_to_its_result(served: Served, press: Press) -> None:
    """202, events as they happen, the result at last, and the same on its page."""
    client = served.client()
    code, fields, accepted = ask(client, "POST", "/books/2")
    assert (code, fields[b"location"].decode()) == (202, accepted["links"]["self"])
    assert press.began.acquire(timeout=_SOON)
    told = served.client().events(accepted["links"]["events"])
    name, job = next(told)
    while job["state"] == "queued":
        name, job = next(told)
    assert (name, job["state"]) == ("state", "running")
    for page in (1, 2):
        press.step()
        name, job = next(told)
        assert (name, job["progress"]["message"]) == ("progress", f"page {page}")
    press.step()
    (name, job), *rest = told
    assert (name, job["result"], rest) == ("done", {"pages": 2}, [])
    assert ask(client, "GET", accepted["links"]["self"])[::2] == (200, job)


def test_a_job_is_cancelled_while_it_waits_and_asked_while_it_runs(
    served: Served, press: Press
) -> None:
    """A thread cannot be stopped: 202 says that it was asked, and its events how it ended."""
    client = served.client()
    running, waiting = (ask(client, "POST", "/books/0")[2]["links"]["self"] for _ in range(2))
    assert press.began.acquire(timeout=_SOON)
    told = served.client().events(f"{waiting}/events")
    assert next(told)[1]["state"] == "queued"
    code, _, job = ask(client, "DELETE", waiting)
    assert (code, job["state"]) == (200, "cancelled")
    assert [name for name, _ in told] == ["cancelled"]
    # That it has begun is written some milliseconds later, or after other writers.
    eventually(lambda: ask(client, "GET", running)[2]["state"] == "running")
    code, _, job = ask(client, "DELETE", running)
    assert (code, job["state"]) == (202, "running")
    press.step()
    assert [name for name, _ in served.client().events(f"{running}/events")][-1] == "done"
    code, _, job = ask(client, "DELETE", running)
    assert (code, job["state"]) == (409, "done")
