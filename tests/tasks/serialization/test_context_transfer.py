"""What goes along of the context that a job is submitted in."""

import json
import sys
import types
from collections.abc import Iterator
from contextvars import Context, ContextVar
from typing import Any

import pytest

from dewar import Dewar, current_app, g, has_app_context, has_request_context, request
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.interruptible import Interruptible
from dewar.tasks.progress import RunningJob, current_job, running
from dewar.tasks.serialization.context_transfer import (
    CapturedContext,
    call_in_context,
    call_without_app,
    capture,
    restore,
)

colour: ContextVar[str] = ContextVar("colour", default="none")


@pytest.fixture
def app() -> Iterator[Dewar]:
    module = types.ModuleType("carrying_app")
    module.__file__ = __file__
    module.app = Dewar("carrying_app", static_folder=None)  # type: ignore[attr-defined]
    sys.modules["carrying_app"] = module
    yield module.app  # type: ignore[attr-defined]
    del sys.modules["carrying_app"]


def test_outside_of_any_app_nothing_is_carried() -> None:
    """A pool without an app captures no context."""
    assert capture() is None


def test_a_call_sees_the_submitters_variables_and_keeps_its_own(app: Dewar) -> None:
    """Each call starts with the same copy."""
    with app.test_request_context("/x"):
        colour.set("red")
        carried = capture()
        assert carried is not None

    def job() -> tuple[str, str]:
        before = colour.get()
        colour.set("green")
        return request.path, before

    for _ in range(2):
        assert Context().run(carried.run, job, (), {}) == ("/x", "red")
    assert carried.run(lambda: None, (), {}) is None
    assert "carrying_app" in repr(carried)
    colour.set("none")


def test_the_running_job_is_the_engines(app: Dewar) -> None:
    """A job that is submitted by a job is not taken for that one."""
    job = Interruptible("task")
    outer, inner = (RunningJob(name, "task", 1, job, lambda progress: None) for name in "oi")
    with app.app_context():

        def submit() -> Any:
            running.set(outer)
            return capture()

        carried = Context().run(submit)

        def engine() -> Any:
            running.set(inner)
            return carried.run(lambda: current_job.id, (), {})

        assert carried is None  # an empty Context has no app
        carried = capture()
        assert Context().run(engine) == "i"


def test_it_goes_through_json(app: Dewar) -> None:
    """The other process finds the app and makes the same kind of context."""
    with app.test_request_context("/x?n=1"):
        g.n = 2
        portable = json.loads(json.dumps(capture().portable()))  # type: ignore[union-attr]
    assert portable["app"] == "carrying_app:app"
    job: Any = lambda: (request.args["n"], g.n)  # noqa: E731
    assert call_in_context(portable, job, (), {}) == ("1", 2)
    assert restore(portable).run(job, (), {}) == ("1", 2)
    assert restore(restore(portable).portable()).run(job, (), {}) == ("1", 2)
    assert not has_app_context()


def test_the_path_that_was_given_is_taken(app: Dewar) -> None:
    """An app from a factory is made in the other process."""
    lost = Dewar("lost", static_folder=None)
    sys.modules["carrying_app"].create = lambda: lost  # type: ignore[attr-defined]
    with lost.app_context():
        carried, unfindable = capture("carrying_app:create()"), capture()
    assert carried is not None
    assert unfindable is not None
    assert restore(carried.portable()).run(lambda: has_app_context(), (), {})
    with pytest.raises(TaskSetupError, match="'lost'"):
        unfindable.portable()


def test_without_a_snapshot_the_app_alone_is_there(app: Dewar) -> None:
    """A job in the ledger that was submitted outside of any context has a fresh app context."""
    kept = CapturedContext(app, lambda: "carrying_app:app")
    job: Any = lambda: (current_app.name, has_request_context(), colour.get())  # noqa: E731
    colour.set("red")
    try:
        assert kept.run(job, (), {}) == ("carrying_app", False, "none")
        assert restore(kept.portable()).run(job, (), {}) == ("carrying_app", False, "none")
    finally:
        colour.set("none")


def test_a_call_alone_runs_coroutines_and_keeps_its_variables() -> None:
    """Without an app the function is called as it is."""

    async def job(n: int, *, m: int) -> int:
        return n + m

    def sets() -> str:
        colour.set("blue")
        return colour.get()

    assert call_without_app(job, (1,), {"m": 2}) == 3
    assert call_in_context(None, job, (1,), {"m": 2}) == 3
    assert call_without_app(sets, (), {}) == "blue"
    assert colour.get() == "none"
