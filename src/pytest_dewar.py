"""Fixtures for tests of background jobs. pytest loads this wherever Dewar is installed.

So it is outside of the package, and imports nothing of it before a fixture is used. A program's own
fixture of the same name goes before one of these.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dewar.tasks.runtime.job_clock import JobClock
    from dewar.tasks.tasks import Tasks
    from dewar.testing.job_queue import JobQueue
    from dewar.testing.submitted_jobs import SubmittedJobs

_REPAIR = (
    "Write a fixture that returns the Tasks of the program:\n\n"
    "    @pytest.fixture\n"
    "    def tasks():\n"
    "        return shop.tasks\n"
)


@pytest.fixture
def tasks(request: pytest.FixtureRequest) -> "Tasks":
    """The `Tasks` of the app that the fixture ``app`` returns."""
    from dewar.tasks.serialization.task_address import EXTENSION

    app: Any = None
    with suppress(pytest.FixtureLookupError):
        app = request.getfixturevalue("app")
    if app is None:
        pytest.fail(f"There is no fixture app, whose tasks are meant. {_REPAIR}", pytrace=False)
    found: Tasks | None = getattr(app, "extensions", {}).get(EXTENSION)
    if found is None:
        pytest.fail(f"{app!r} has no tasks: Tasks(app) was not called. {_REPAIR}", pytrace=False)
    return found


@pytest.fixture
def immediate_jobs(tasks: "Tasks") -> Iterator["Tasks"]:
    """Each job runs at once, in the thread that submits it. The value is `tasks`."""
    with tasks.immediate():
        yield tasks


@pytest.fixture
def job_queue(tasks: "Tasks") -> Iterator["JobQueue"]:
    """Jobs wait in a `JobQueue` until the test calls its `drain`."""
    from dewar.testing.job_queue import hold_jobs

    with hold_jobs(tasks) as queue:
        yield queue


@pytest.fixture
def submitted_jobs(job_queue: "JobQueue") -> "SubmittedJobs":
    """The jobs that were submitted. They run only if the test drains the `job_queue`."""
    return job_queue.submitted


@pytest.fixture
def job_clock(job_queue: "JobQueue") -> "JobClock":
    """The time of the jobs: `advance` it, and delayed jobs and retries are due."""
    return job_queue.clock
