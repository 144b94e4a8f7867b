"""Workflows over HTTP, from the request that submits one to the end of its events."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dewar import Dewar, Tasks, chain, group, tasks_blueprint
from dewar.tasks.status import JobStatus
from servertools import Client, Serve, Served

_SOON = 20.0


class Shop:
    """An app whose jobs wait for the test, and what was asked of its rule."""

    def __init__(self, folder: Path) -> None:
        self.steps = threading.Semaphore(0)
        self.asked: list[tuple[str, str]] = []
        self.allowed = True
        self.app = app = Dewar("shop", instance_path=str(folder))
        tasks = Tasks(app, threads=1, poll=0.01, shutdown_timeout=_SOON)
        step = tasks.task("step")(self._step)

        @app.post("/chains")
        def add_chain() -> Any:
            return chain(step.s(0), step.s(), step.s()).submit().accepted()

        @app.post("/groups")
        def add_group() -> Any:
            return group(step.s(-1000), step.s(0)).submit().accepted()

        app.register_blueprint(tasks_blueprint(tasks, access=self._may))

    def _step(self, number: int) -> int:
        assert self.steps.acquire(timeout=_SOON)
        if number < 0:
            raise ValueError(number)
        return number + 1

    def _may(self, job: JobStatus, action: str) -> bool:
        self.asked.append((job.task, action))
        return self.allowed


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def served(shop: Shop, serve: Serve) -> Iterator[Served]:
    yield serve(shop.app)
    shop.steps.release(100)  # whatever still runs may end


def ask(client: Client, method: str, target: str) -> tuple[int, Any]:
    request = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    status, _, body = client.ask(request.encode())
    return int(status.split()[1]), json.loads(body)


def test_a_workflow_is_followed_to_its_result(served: Served, shop: Shop) -> None:
    """Its page and its events tell how many of its jobs are done, and the last result."""
    client = served.client()
    code, accepted = ask(client, "POST", "/chains")
    assert code == 202
    seen = []
    for name, told in client.events(accepted["links"]["events"]):
        if told["progress"]["message"] not in seen:
            seen.append(told["progress"]["message"])
            shop.steps.release()
        if name == "done":
            assert (told["result"], told["jobs"]) == (3, {"done": 3})
    assert seen == [f"{number} of 3 jobs done" for number in range(4)]
    code, page = ask(served.client(), "GET", accepted["links"]["self"])
    assert (code, page["state"], page["task"], page["result"]) == (200, "done", None, 3)


def test_a_workflow_is_cancelled_by_its_url(served: Served, shop: Shop) -> None:
    """What waits is cancelled, and what runs is asked to end."""
    client = served.client()
    _, accepted = ask(client, "POST", "/chains")
    url = accepted["links"]["cancel"]
    code, told = ask(client, "DELETE", url)
    assert code in (200, 202)
    assert told["jobs"].get("cancelled", 0) >= 2
    shop.steps.release()
    for _, told in client.events(accepted["links"]["events"]):
        last = told
    assert last["state"] == "cancelled"
    assert ask(client, "DELETE", url)[0] == 200


def test_an_error_is_hidden(served: Served, shop: Shop) -> None:
    """As that of a job, and there is no list of results."""
    client = served.client()
    _, accepted = ask(client, "POST", "/groups")
    shop.steps.release(2)
    *_, (name, told) = client.events(accepted["links"]["events"])
    assert (name, told["jobs"]) == ("failed", {"done": 1, "failed": 1})
    assert told["error"] == {"type": None, "message": "The job ended without a result."}
    assert "result" not in told


def test_the_rule_of_the_app_is_asked(served: Served, shop: Shop) -> None:
    """With a status whose task is empty; who may not see it gets what all unknown ids get."""
    client = served.client()
    _, accepted = ask(client, "POST", "/chains")
    shop.allowed = False
    for method in ("GET", "DELETE"):
        assert ask(client, method, accepted["links"]["self"])[0] == 404
    assert shop.asked == [("", "see"), ("", "cancel")]
    assert ask(client, "GET", "/tasks/w_nothing")[0] == 404
