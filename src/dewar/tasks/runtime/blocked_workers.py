"""`BlockedWorkers`: decides what to do when all workers of a process wait for other jobs.

The engine notices it, and asks here. Another process may run the jobs, so this one gives back those
that it has claimed. If nobody takes them, the wait would not end.
"""

from collections.abc import Sequence

from sqlalchemy import select

from dewar.tasks.engines.interface import JobEngine
from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.schema import jobs as table
from dewar.tasks.ledger.schema import owners
from dewar.tasks.ledger.statements import IS_ACTIVE
from dewar.tasks.runtime.process_jobs import ProcessJobs

# How long other processes have to take a job, in seconds: several times as long as a poll.
_PATIENCE = 2.0
# How long this process claims nothing after each look, in seconds.
_PAUSE = 1.0


class BlockedWorkers:
    """Lets other processes run what the workers of this one wait for.

    Any worker's thread may call it.

    Args:
        jobs: The jobs of this process.
        engine: Where they run. One of processes asks by itself.
    """

    def __init__(self, jobs: ProcessJobs, engine: JobEngine | None) -> None:
        self._jobs = jobs
        # When the workers were first seen blocked, and last.
        self._first = self._last = 0.0
        if engine is not None and hasattr(engine, "give_way"):
            engine.give_way = self.give_way

    def __repr__(self) -> str:
        return f"<BlockedWorkers of {self._jobs.owner.id}>"

    def give_way(self, ids: Sequence[str] = ()) -> bool:
        """Give back what waits here; return whether another process may run it.

        Args:
            ids: The jobs that the workers wait for, if one may have ended without their knowledge.
        """
        try:
            ended = any(
                record.state.is_final for record in self._jobs.ledger.get_many(ids).values()
            )
            return ended or self._give_way()
        except LedgerError:
            return True  # Nobody knows. It is asked again.

    def _give_way(self) -> bool:
        now = self._jobs.monotonic()
        if now - self._last > _PAUSE:
            self._first = now
        self._last = now
        owner = self._jobs.owner.id
        with self._jobs.ledger.database.reading() as connection:
            known = connection.execute(select(owners.c.id).where(owners.c.id != owner).limit(1))
            if known.first() is None:
                return False
            # It has jobs, so it runs jobs, and will come to these.
            busy = select(table.c.id).where(IS_ACTIVE, table.c.owner != owner).limit(1)
            is_busy = connection.execute(busy).first() is not None
        self._jobs.claimed.pause(now + _PAUSE)
        self._jobs.give_back_waiting()
        return is_busy or now - self._first < _PATIENCE
