"""`LedgerListener`: does at once what a notice of another process calls for."""

from collections.abc import Callable, Sequence

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.notifications import Notice, Topic
from dewar.tasks.runtime.process_jobs import ProcessJobs


class LedgerListener:
    """Hears for one process. The thread of the notifications calls it.

    Each notice leads to a look at the ledger that begins after it, so what the notice is about is
    found. It may be found by an earlier look, too.

    Args:
        jobs: The jobs of this process.
        poll_soon: Makes the look at everything due at once.
        wake: Has the writer's thread do what is due.
    """

    def __init__(
        self, jobs: ProcessJobs, poll_soon: Callable[[], object], wake: Callable[[], object]
    ) -> None:
        self._notifications = jobs.ledger.notifications
        self._jobs = jobs
        self._poll_soon = poll_soon
        self._wake = wake
        #: PERF: what `submit` asks for each job.
        self.hears_ends = False

    def __repr__(self) -> str:
        return f"<LedgerListener of {self._jobs.owner.id}>"

    def start(self, runs_jobs: bool) -> None:
        """Begin to listen. A process that runs no jobs waits for others from the first one on."""
        self.hears_ends = not runs_jobs
        topic = Topic.JOBS if runs_jobs else Topic.ENDED
        self._notifications.listen(self._jobs.owner.id, {topic}, self.on_notice)

    def hear_ends(self) -> None:
        """Hear of jobs that end in other processes from now on."""
        self.hears_ends = True
        if self._notifications.add_topic(Topic.ENDED):
            self._look_soon()  # one may have ended before

    def tell_all(self, notice: Notice) -> None:
        """Do what a notice calls for, and tell the other processes."""
        self._notifications.notify(notice)
        self.on_notice(notice)

    def on_notice(self, notice: Notice) -> None:
        """Do what a notice calls for."""
        self._jobs.ledger.tell_watchers(notice)
        if notice.is_partial or self._jobs.owner.id in notice.owners:
            self._look_soon()
        elif notice.jobs:
            claimed = self._jobs.claimed
            claimed.note_jobs()
            # Otherwise the next job that ends leads to a look.
            if claimed.wants_jobs:
                self._wake()
        self._note_ended(notice.ended)

    def _note_ended(self, ids: Sequence[str]) -> None:
        futures, claimed = self._jobs.futures, self._jobs.claimed
        known = [id for id in ids if id in futures or claimed.find(id) is not None]
        if not known:
            return
        try:
            for record in self._jobs.ledger.get_many(known).values():
                # First: who learns that a job is cancelled may rely on it not to begin.
                claimed.drop_cancelled(record)
                futures.resolve([record])
        except LedgerError:
            self._look_soon()

    def _look_soon(self) -> None:
        self._poll_soon()
        self._wake()
