"""Jobs that are what a test says they are, for the pages that show them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dewar.tasks.directory import LINKS
from dewar.tasks.errors import NotSupported, UnknownJob
from dewar.tasks.ledger.records import JobState
from dewar.tasks.settings import TasksSettings
from dewar.tasks.status import JobStatus

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = "0jv8l3b0g0" + "a" * 26


class Recorded:
    """Says when something was recorded."""

    def __init__(self) -> None:
        self.count = 0
        self.jobs: dict[str, JobStatus] = {}
        #: How often it was asked for jobs, for how many.
        self.asked: list[int] = []

    def changes(self) -> int:
        return self.count

    @property
    def is_listening(self) -> bool:
        return False

    def watched(self, tell: Callable[[Any], object]) -> AbstractContextManager[None]:
        return nullcontext()

    def get_many(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        self.asked.append(len(ids))
        return {id: self.jobs[id] for id in ids if id in self.jobs}


class Jobs:
    """What a blueprint asks of `Tasks`, in memory."""

    def __init__(self) -> None:
        self.ledger = Recorded()
        self.jobs = self.ledger.jobs
        self.can_stop = True
        self.show_errors = False
        #: What becomes of a running job that is told to stop.
        self.stopped = JobState.CANCELLED
        self.looks = 0
        self.failing: Exception | None = None

    def put(self, **said: Any) -> str:
        """Record something about the job."""
        known = self.jobs.get(ID) or JobStatus(
            id=ID,
            task="resize",
            state=JobState.QUEUED,
            progress=None,
            attempts=0,
            created=NOON,
            due=NOON,
            started=None,
            finished=None,
            result=None,
            error=None,
        )
        self.jobs[ID] = replace(known, **said)
        self.ledger.count += 1
        return ID

    def status(self, id: str) -> JobStatus:
        self.looks += 1
        if self.failing is not None:
            raise self.failing
        if id not in self.jobs:
            raise UnknownJob(id)
        return self.jobs[id]

    def status_of(self, record: JobStatus) -> JobStatus:
        return record

    def cancel(self, id: str, *, running: bool = False) -> bool:
        if self.jobs[id].state is JobState.QUEUED:
            self.put(state=JobState.CANCELLED)
        elif running and not self.can_stop:
            raise NotSupported("threads", "stop a job that runs", "Use processes.")
        else:
            self.put(state=self.stopped)
        return self.jobs[id].state in (JobState.CANCELLED, JobState.RUNNING)

    def settings(self) -> TasksSettings:
        return TasksSettings(poll=0.005, show_errors=self.show_errors)

    def set_links(self, app: Any, links: Callable[[str], Mapping[str, str]]) -> None:
        app.extensions[LINKS] = links
