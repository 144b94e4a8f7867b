"""Jobs that wait for other jobs: what the ends of these do to them.

Rules:

- A dependency is open, until the job before has ended: then it is met or failed. A job that has an
  open one is *blocked* (see `dewar.tasks.ledger.due_column`). It is released in the transaction in
  which the last one is closed; so nobody can die in between.
- If a dependency of a job fails that stops it, the job is cancelled, and this is an end as well.
- Two processes may close the last two dependencies of a job at the same time. So the job is locked
  before what it still waits for is looked at: the second one sees what the first has done.
"""

import json
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from dewar.tasks.errors import DependencyFailed
from dewar.tasks.ledger import dependency_statements as sql
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.outbox_insert import Describe, insert_described
from dewar.tasks.ledger.records import JobState, Settled
from dewar.tasks.ledger.rows import rows_of
from dewar.tasks.ledger.statements import SNAPSHOTS
from dewar.tasks.serialization.failures import describe_error

_NOTHING = Settled()


def settle(
    connection: Connection, ended: Mapping[str, JobState], now: float, describe: Describe
) -> Settled:
    """Release or cancel what has waited for jobs, in the transaction in which these end.

    Args:
        connection: A connection in that transaction. The jobs are locked.
        ended: The final states of the jobs.
        now: Seconds since the epoch.
        describe: Makes the body of the callback of a cancelled job.
    """
    if not ended:
        return _NOTHING
    met = sorted(id for id, state in ended.items() if state is JobState.DONE)
    waiting = {row.job_id for row in rows_of(connection, sql.MET, met)}
    stops = _Stops(connection, ended, now)
    if len(met) < len(ended):
        stops.run(sorted(ended.keys() - met))
        insert_described(connection, stops.to_describe, describe)
    released = _release(connection, waiting | stops.waiting)
    return Settled(tuple(released), tuple(stops.stopped))


class _Stops:
    """Cancels the jobs that some failed ones stop.

    Args:
        connection: A connection in a transaction.
        states: How those have ended.
        now: Seconds since the epoch.
    """

    def __init__(self, connection: Connection, states: Mapping[str, JobState], now: float) -> None:
        self._connection = connection
        self._states = states
        self._now = now
        self._reasons: dict[str, str] = {}
        #: Of each job that is stopped, the one that failed.
        self._causes: dict[str, str] = {}
        self.stopped: list[str] = []
        #: Those of them that have a callback.
        self.to_describe: list[str] = []
        #: The jobs one of whose dependencies has failed, and that may go on.
        self.waiting: set[str] = set()

    def run(self, failed: Sequence[str]) -> None:
        """Cancel what the failed jobs stop, and what that stops, and so on."""
        self._causes.update((id, id) for id in failed)
        # What was stopped itself has the first cause in its error.
        cancelled = [id for id in failed if self._states[id] is JobState.CANCELLED]
        for row in rows_of(self._connection, sql.REASONS, cancelled):
            self._reasons[row.id] = row.error
        doomed, ended = self._followers(failed), list(failed)
        while ended:
            ended += self._cancel(doomed)
            rows = list(rows_of(self._connection, sql.FAILED, sorted(ended)))
            self.waiting.update(row.job_id for row in rows if not row.stops)
            # Those that another process has added before this one had the locks.
            late = {row.job_id: row.after_id for row in rows if row.stops}
            late = {job: after for job, after in late.items() if job not in self._causes}
            self._causes.update((job, self._causes[after]) for job, after in late.items())
            doomed = [*late, *self._followers(sorted(late))]
            ended = self._cancel(doomed) if doomed else []

    def _followers(self, ids: Sequence[str]) -> list[str]:
        """Return the jobs that some jobs stop, directly or not, and note their causes."""
        edges: dict[str, list[str]] = {}
        stopped_by = sql.STOPPED_BY[self._connection.dialect.name]
        for row in rows_of(self._connection, stopped_by, ids):
            edges.setdefault(row.after_id, []).append(row.job_id)
        found: list[str] = []
        todo = deque(ids)
        while todo:
            before = todo.popleft()
            for id in edges.get(before, ()):
                if id not in self._causes:
                    self._causes[id] = self._causes[before]
                    found.append(id)
                    todo.append(id)
        return found

    def _cancel(self, doomed: Collection[str]) -> list[str]:
        """Cancel those of some jobs that wait for others still; return their ids."""
        rows = list(rows_of(self._connection, sql.BLOCKED, sorted(doomed)))
        given = [
            {"job": row.id, "now": self._now, "reason": self._reason(self._causes[row.id])}
            for row in rows
        ]
        if given:
            self._connection.execute(sql.STOP_BLOCKED, given)
        self.to_describe += [row.id for row in rows if row.callback is not None]
        cancelled = [row.id for row in rows]
        self.stopped += cancelled
        return cancelled

    def _reason(self, cause: str) -> str:
        found = self._reasons.get(cause)
        if found is None:
            error = DependencyFailed(cause, self._states[cause].value)
            found = self._reasons[cause] = json.dumps(describe_error(error))
        return found


def _release(connection: Connection, ids: Iterable[str]) -> list[str]:
    """Let those of some jobs be claimed that wait for nothing any more; return their ids."""
    blocked = [row.id for row in rows_of(connection, sql.BLOCKED, sorted(ids))]
    return [row.id for row in rows_of(connection, sql.RELEASE_BLOCKED, blocked)]


def wait_again(connection: Connection, id: str) -> None:
    """Have a job that is retried wait for what has not ended, and those that it stopped for it.

    A job that several have stopped waits again when the last of these is retried. One whose key
    another job has by now stays cancelled, and of several with one key all but the oldest.
    """
    connection.execute(sql.BLOCK_AGAIN, {"job": id})
    todo = [id]
    while todo:
        opened = {row.job_id for row in rows_of(connection, sql.OPEN_AGAIN, todo)}
        rows = rows_of(connection, sql.MAY_WAIT_AGAIN, sorted(opened))
        oldest = {(row.task, row.unique_key or row.id): row.id for row in reversed(list(rows))}
        again = rows_of(connection, sql.WAIT_AGAIN, sorted(oldest.values()))
        todo = [row.id for row in again]


class MissedEnds:
    """Finds jobs that wait for others which a process of an older Dewar has ended.

    Args:
        database: The database of the ledger.
    """

    #: The most dependencies to look at in one call.
    MOST = 1000

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looked_up_to = ("", "")

    def __repr__(self) -> str:
        return f"<MissedEnds, looked up to {self._looked_up_to[0]!r}>"

    def settle(self, now: float, describe: Describe) -> Settled:
        """Settle some of them; each call goes on after the one before."""
        job, after = self._looked_up_to
        given = {"of_job": job, "of_after": after, "most": self.MOST}
        with self._database.reading() as connection:
            rows = connection.execute(sql.OPEN_ONES, given).all()
        full = len(rows) == self.MOST
        self._looked_up_to = (rows[-1].job_id, rows[-1].after_id) if full else ("", "")
        ids = sorted({row.after_id for row in rows if row.has_ended})
        if not ids:
            return _NOTHING
        with self._database.writing() as connection:
            found = {row.id: JobState(row.state) for row in rows_of(connection, SNAPSHOTS, ids)}
            # One that is missing was purged, and its result with it.
            states = {id: found.get(id, JobState.LOST) for id in ids}
            ended = {id: state for id, state in states.items() if state.is_final}
            return settle(connection, ended, now, describe)
