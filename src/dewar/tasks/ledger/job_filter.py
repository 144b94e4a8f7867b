"""`JobFilter`: which jobs of the ledger are meant."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, select

from dewar.tasks.ledger.ids import time_prefix
from dewar.tasks.ledger.records import JobState
from dewar.tasks.ledger.schema import jobs
from dewar.tasks.ledger.statements import among


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFilter:
    """The conditions that jobs meet; None for no condition. Times are seconds since the epoch.

    Attributes:
        state: Their state.
        task: Their task; one with few jobs costs a scan of all.
        queue: Their queue, at the same cost.
        since: They were accepted at this time or later. The ids of others are not read.
        until: They were accepted before this time.
        error: The type, the text or the traceback of their error has this, in any case.
        before: They are older than the job with this id, the last one of the page before.
    """

    state: JobState | None = None
    task: str | None = None
    queue: str | None = None
    since: float | None = None
    until: float | None = None
    error: str | None = None
    before: str | None = None

    def page(self) -> Select[tuple[object]]:
        """Return the statement that lists the jobs, the newest first, up to ``most``."""
        found = select(jobs).where(*self._conditions())
        return found.order_by(jobs.c.id.desc()).limit(bindparam("most"))

    def count(self) -> Select[Any]:
        """Return the statement that counts the jobs."""
        return select(func.count()).select_from(jobs).where(*self._conditions())

    def _conditions(self) -> list[ColumnElement[bool]]:
        found = [among(self.state)] if self.state is not None else []
        if self.queue is not None:
            found.append(jobs.c.queue == self.queue)
        if self.task is not None:
            found.append(jobs.c.task == self.task)
        if self.since is not None:
            found.append(jobs.c.id >= time_prefix(self.since))
        if self.until is not None:
            found.append(jobs.c.id < time_prefix(self.until))
        if self.before is not None:
            found.append(jobs.c.id < self.before)
        if self.error is not None:
            # It is stored as JSON, in which other characters may be escaped.
            text = json.dumps(self.error)[1:-1]
            found.append(jobs.c.error.icontains(text, autoescape=True))
        return found
