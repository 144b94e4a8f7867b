"""`LedgerMaintenance`: renews the lease, recovers, claims, and obeys other processes' requests.

All of it runs on the writer's thread, but `poll_soon`, which any thread may call.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from dewar.tasks.errors import NotSupported
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.owners import LedgerOwner, is_alive
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.runtime.attempt import Attempt
from dewar.tasks.runtime.claimed import ClaimedJobs
from dewar.tasks.runtime.futures import JobFutures
from dewar.tasks.runtime.timers import Timers

_logger = logging.getLogger("dewar.tasks")
# How often progress that was told is written, in seconds: a page shows no more.
_PROGRESS_INTERVAL = 0.2
# How often what has ended long ago is deleted, in seconds, and how much at a time.
_PURGE_INTERVAL, _PURGE_LIMIT = 60.0, 1000
# How many jobs elsewhere are looked up at a time.
_LOOKUP_LIMIT = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class RunnerSettings:
    """How a job runner works; see `TasksSettings` for what the values mean."""

    owner: LedgerOwner
    workers: int | None
    prefetch: int
    poll: float
    lease: float
    retention: float | None


class MaintainedRunner(Protocol):
    """What the maintenance asks of its job runner."""

    ledger: Ledger
    claimed: ClaimedJobs
    futures: JobFutures
    clock: Callable[[], float]

    @property
    def can_claim(self) -> bool:
        """Whether it takes jobs."""

    @property
    def tasks(self) -> Any:
        """The names of the tasks that it can run."""

    def dispatch_claimed(self, record: JobRecord) -> None:
        """Give a job to the pool."""

    def cancel(self, id: str, running: bool) -> bool | None:
        """Cancel a job that it has."""

    def drop(self, id: str) -> Attempt | None:
        """Let go of a job."""

    def write_progress(self) -> None:
        """Write down what progress was told."""

    def describe(self, record: JobRecord) -> str:
        """Return the body of the callback of a job that nobody here has ended."""


class LedgerMaintenance:
    """Renews the lease, claims, and looks what other processes have done.

    Args:
        runner: The job runner.
        settings: How it works.
    """

    def __init__(self, runner: MaintainedRunner, settings: RunnerSettings) -> None:
        self._runner = runner
        self._settings = settings
        self._may_have_jobs = True  # whether the ledger may hold something to claim
        self._next_due = 0.0  # when it may at the latest
        self._seen: object = None
        self._lookup_start = 0  # which of the jobs elsewhere are looked up next
        self._timers = Timers()
        self._timers.add(settings.lease / 3, self.heartbeat)
        self._timers.add(settings.poll, self._poll)
        self._timers.add(_PROGRESS_INTERVAL, runner.write_progress)
        if settings.retention is not None:
            self._timers.add(_PURGE_INTERVAL, self._purge_ended)

    def __repr__(self) -> str:
        return f"<LedgerMaintenance {self._timers!r}>"

    def note_queued(self, due: float = 0.0) -> None:
        """Take note that the ledger has a job to claim, from a time on."""
        if due:
            self._next_due = min(self._next_due, due)
        else:
            self._may_have_jobs = True

    @property
    def wants_jobs(self) -> bool:
        """Whether there is something to claim, and it is time to."""
        return self._may_have_jobs and self._runner.claimed.is_running_low

    def poll_soon(self) -> None:
        """Be due at once."""
        self._may_have_jobs = True
        self._timers.make_due(self._poll)

    def run_due(self) -> float:
        """Do what is due; return the seconds until something is due again."""
        if self.wants_jobs:
            self._claim()
        return self._timers.run(self._runner.clock())

    def heartbeat(self) -> None:
        """Show that this process lives, and take from those that do not."""
        now = self._runner.clock()
        self._runner.ledger.beat(self._settings.owner, now + self._settings.lease)
        recovered = self._runner.ledger.recover(now, is_alive, self._runner.describe)
        if recovered.requeued or recovered.lost:
            _logger.warning(
                "A process has died. Of its jobs, run again: %d; lost: %d",
                len(recovered.requeued),
                len(recovered.lost),
            )
            self._may_have_jobs = True

    def _poll(self) -> None:
        """Look what others have left in the ledger."""
        seen = self._runner.ledger.changes()
        changed, self._seen = seen != self._seen, seen
        if changed or self._may_have_jobs or self._next_due <= self._runner.clock():
            self._claim()
        if changed:
            self._apply_stop_requests()
            self._forget_cancelled()
            self._resolve_elsewhere()

    def _claim(self) -> None:
        room = self._runner.claimed.room
        if not self._runner.can_claim or not room:
            return
        now = self._runner.clock()
        records = self._runner.ledger.claim(self._settings.owner.id, room, now, self._runner.tasks)
        self._may_have_jobs = len(records) == room
        if not self._may_have_jobs:
            self._next_due = self._runner.ledger.next_due(self._runner.tasks) or inf
        for record in records:
            self._runner.dispatch_claimed(record)

    def _apply_stop_requests(self) -> None:
        """Stop what another process was asked to stop."""
        for id in self._runner.ledger.stop_requests(self._settings.owner.id):
            try:
                self._runner.cancel(id, running=True)
            except NotSupported as error:
                _logger.warning("%s", error)

    def _resolve_elsewhere(self) -> None:
        """Tell who waits in this process for what another one has ended."""
        away = [id for id in self._runner.futures.ids() if self._runner.claimed.find(id) is None]
        # The oldest first, and the others in turn: there may be thousands.
        first = self._lookup_start = (
            self._lookup_start + _LOOKUP_LIMIT
            if self._lookup_start + _LOOKUP_LIMIT < len(away)
            else 0
        )
        ids = [*away[:_LOOKUP_LIMIT], *away[max(first, _LOOKUP_LIMIT) : first + _LOOKUP_LIMIT]]
        self._runner.futures.resolve(self._runner.ledger.get_many(ids).values())

    def _forget_cancelled(self) -> None:
        """Do not begin what another process has cancelled."""
        waiting = [a for a in self._runner.claimed.all() if not a.running() and not a.done()]
        for start in range(0, len(waiting), _LOOKUP_LIMIT):
            some = {
                attempt.record.id: attempt for attempt in waiting[start : start + _LOOKUP_LIMIT]
            }
            for record in self._runner.ledger.get_many(list(some)).values():
                if record.state is JobState.CANCELLED and some[record.id].cancel():
                    self._runner.drop(record.id)
                    self._runner.futures.resolve([record])

    def _purge_ended(self) -> None:
        """Delete some of what has ended long ago; the rest the next time."""
        retention = self._settings.retention or 0.0
        self._runner.ledger.purge(self._runner.clock() - retention, _PURGE_LIMIT)
