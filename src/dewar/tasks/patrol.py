"""`Patrol`: what a station's writer does between writing: look after the ledger and its own jobs.

All of it runs on the writer's thread, but `nudge`, which any thread may call.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from dewar.tasks.attempt import Attempt
from dewar.tasks.errors import NotSupported
from dewar.tasks.hand import Hand
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.owners import Owner, is_alive
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.rounds import Rounds
from dewar.tasks.watch import Watch

_logger = logging.getLogger("dewar.tasks")
# How often progress that was told is written, in seconds: a page shows no more.
_TELLING = 0.2
# How often what has ended long ago is deleted, in seconds, and how much at a time.
_TIDYING, _TIDIED = 60.0, 1000
# How many jobs elsewhere are looked up at a time.
_WATCHED = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How a station works; see `TasksSettings` for what the values mean."""

    owner: Owner
    workers: int | None
    in_hand: int
    poll: float
    lease: float
    retention: float | None


class Post(Protocol):
    """What a patrol asks of its station."""

    ledger: Ledger
    hand: Hand
    watch: Watch
    clock: Callable[[], float]

    @property
    def takes(self) -> bool:
        """Whether it takes jobs."""

    @property
    def tasks(self) -> Any:
        """The names of the tasks that it can run."""

    def hand_over(self, record: JobRecord) -> None:
        """Give a job to the pool."""

    def cancel(self, id: str, running: bool) -> bool | None:
        """Cancel a job that it has."""

    def drop(self, id: str) -> Attempt | None:
        """Let go of a job."""

    def tell(self) -> None:
        """Write down what progress was told."""

    def describe(self, record: JobRecord) -> str:
        """Return the body of the callback of a job that nobody here has ended."""


class Patrol:
    """Renews the lease, claims, and looks what other processes have done.

    Args:
        post: The station.
        manner: How it works.
    """

    def __init__(self, post: Post, manner: Manner) -> None:
        self._post = post
        self._manner = manner
        self._more = True  # whether the ledger may hold something to claim
        self._due = 0.0  # when it may at the latest
        self._seen: object = None
        self._turn = 0  # which of the jobs elsewhere are looked up next
        self._rounds = Rounds()
        self._rounds.add(manner.lease / 3, self.renew)
        self._rounds.add(manner.poll, self._look)
        self._rounds.add(_TELLING, post.tell)
        if manner.retention is not None:
            self._rounds.add(_TIDYING, self._tidy)

    def __repr__(self) -> str:
        return f"<Patrol {self._rounds!r}>"

    def note_waiting(self, due: float = 0.0) -> None:
        """Take note that the ledger has a job to claim, from a time on."""
        if due:
            self._due = min(self._due, due)
        else:
            self._more = True

    @property
    def wants(self) -> bool:
        """Whether there is something to claim, and it is time to."""
        return self._more and self._post.hand.is_low

    def hurry(self) -> None:
        """Be due at once."""
        self._more = True
        self._rounds.hurry(self._look)

    def rest(self) -> float:
        """Do what is due; return the seconds until something is due again."""
        if self.wants:
            self._claim()
        return self._rounds.run(self._post.clock())

    def renew(self) -> None:
        """Show that this process lives, and take from those that do not."""
        now = self._post.clock()
        self._post.ledger.beat(self._manner.owner, now + self._manner.lease)
        recovered = self._post.ledger.recover(now, is_alive, self._post.describe)
        if recovered.requeued or recovered.lost:
            _logger.warning(
                "A process has died. Of its jobs, run again: %d; lost: %d",
                len(recovered.requeued),
                len(recovered.lost),
            )
            self._more = True

    def _look(self) -> None:
        """Look what others have left in the ledger."""
        seen = self._post.ledger.changes()
        changed, self._seen = seen != self._seen, seen
        if changed or self._more or self._due <= self._post.clock():
            self._claim()
        if changed:
            self._obey()
            self._forget_cancelled()
            self._resolve()

    def _claim(self) -> None:
        room = self._post.hand.room
        if not self._post.takes or not room:
            return
        now = self._post.clock()
        records = self._post.ledger.claim(self._manner.owner.id, room, now, self._post.tasks)
        self._more = len(records) == room
        if not self._more:
            self._due = self._post.ledger.next_due(self._post.tasks) or inf
        for record in records:
            self._post.hand_over(record)

    def _obey(self) -> None:
        """Stop what another process was asked to stop."""
        for id in self._post.ledger.stops_for(self._manner.owner.id):
            try:
                self._post.cancel(id, running=True)
            except NotSupported as error:
                _logger.warning("%s", error)

    def _resolve(self) -> None:
        """Tell who waits in this process for what another one has ended."""
        away = [id for id in self._post.watch.ids() if self._post.hand.find(id) is None]
        # The oldest first, and the others in turn: there may be thousands.
        first = self._turn = self._turn + _WATCHED if self._turn + _WATCHED < len(away) else 0
        ids = [*away[:_WATCHED], *away[max(first, _WATCHED) : first + _WATCHED]]
        self._post.watch.resolve(self._post.ledger.get_many(ids).values())

    def _forget_cancelled(self) -> None:
        """Do not begin what another process has cancelled."""
        waiting = [a for a in self._post.hand.all() if not a.running() and not a.done()]
        for start in range(0, len(waiting), _WATCHED):
            some = {attempt.record.id: attempt for attempt in waiting[start : start + _WATCHED]}
            for record in self._post.ledger.get_many(list(some)).values():
                if record.state is JobState.CANCELLED and some[record.id].cancel():
                    self._post.drop(record.id)
                    self._post.watch.resolve([record])

    def _tidy(self) -> None:
        """Delete some of what has ended long ago; the rest the next time."""
        retention = self._manner.retention or 0.0
        self._post.ledger.purge(self._post.clock() - retention, _TIDIED)
