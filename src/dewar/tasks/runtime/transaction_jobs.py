"""Jobs that are accepted in a transaction of the program: by a runtime, or before it has begun.

A runtime begins with writes. On SQLite they would wait for a transaction of this thread that has
written already, and that waits for them. So the job, and the tables if they are missing, are
written in that transaction, and its commit begins the runtime.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from dewar.loop.call_queue import CallQueue
from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import Duplicate, QueueFull, TaskSetupError
from dewar.tasks.ledger.app_transactions import AppTransactions
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.notifications import Notice, Tell
from dewar.tasks.ledger.opening import prepare_tables
from dewar.tasks.ledger.outbox_insert import describe_record
from dewar.tasks.ledger.records import BatchResult, NewJob
from dewar.tasks.ledger.sqlite_connections import connections_of
from dewar.tasks.ledger.sqlite_joining import CommitWatch, join_sqlite
from dewar.tasks.placement import OnDuplicate
from dewar.tasks.progress import shielded
from dewar.tasks.runtime.ledger_listener import LedgerListener
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.status import JobStatus
from dewar.tasks.stored_job import JobBackend, JobFutures, StoredJob


class TransactionJobs:
    """What a runtime does with such jobs. Any thread may call any method.

    Args:
        jobs: The jobs of the process.
        listener: Hears how they end.
        check: Checks what a new job of a task needs.
        future_of: Returns the Future of a job, by its id and its task.
    """

    def __init__(
        self,
        jobs: ProcessJobs,
        listener: LedgerListener,
        check: Callable[[NewJob, Any], object],
        future_of: Callable[[str, str], StoredJob],
    ) -> None:
        self._jobs = jobs
        self._listener = listener
        self._check = check
        self._future_of = future_of
        self._transactions = AppTransactions(jobs.ledger.database, jobs.describe, listener.tell_all)

    def __repr__(self) -> str:
        return f"<TransactionJobs of {self._jobs.owner.id}>"

    @shielded
    def accept(self, connection: Connection, new: NewJob, task: Any) -> StoredJob:
        """Accept a job, which others see after the commit; see `Task.submit`."""
        self._check(new, task)
        id = _accepted_id(self._transactions.write(connection, new), new, task)
        job = self._future_of(id, new.task)
        self._listener.hear_ends()
        if id != new.id:  # it may have ended before its Future was there
            self._look_up(id)
        return job

    def adopt(self, job: StoredJob) -> None:
        """Resolve a job that was accepted before the runtime began."""
        self._jobs.futures.add(job.id, lambda: job)
        self._jobs.futures.hold(job)
        self._listener.hear_ends()
        self._look_up(job.id)

    def _look_up(self, id: str) -> None:
        self._jobs.futures.resolve(self._jobs.ledger.get_many([id]).values())


def accept_early(
    connection: Connection,
    path: Path,
    new: NewJob,
    task: Any,
    directory: TaskDirectory,
    begin: Callable[[], Any],
) -> StoredJob:
    """Accept a job in a transaction on the ledger's file before the runtime has begun.

    Args:
        connection: The connection, which has written.
        path: The path of the file.
        new: The job.
        task: Its task.
        directory: The tasks.
        begin: Returns the runtime, which has begun then.

    Raises:
        TaskSetupError: If the job has a callback, whose URL only a runtime can check.
    """
    if new.callback is not None:
        raise TaskSetupError(
            "The tasks have not begun in this process, and cannot while a transaction has the lock"
            " of the file. For a job with a callback, call tasks.start() before it."
        )
    made: list[StoredJob] = []

    def tell(_notice: Notice) -> None:
        for job in made:
            begin().transaction_jobs.adopt(job)

    transactions = AppTransactions(_EarlyDatabase(path), describe_record, tell)
    id = _accepted_id(transactions.write(connection, new), new, task)
    made.append(StoredJob(id, new.task, _backend_of(directory, begin)))
    return made[0]


def _backend_of(directory: TaskDirectory, begin: Callable[[], Any]) -> JobBackend:
    """Return what a job asks the runtime that will have begun when its transaction has ended."""

    def status(id: str) -> JobStatus:
        found: JobStatus = begin().lookup.status(id)
        return found

    return JobBackend(
        directory=directory,
        futures=JobFutures(),
        status=status,
        cancel=lambda id, running: begin().cancel(id, running),
        call_soon=CallQueue("dewar-tasks-callbacks").call_soon,
        note_wait=lambda: None,
    )


class _EarlyDatabase(Database):
    """The file of a ledger, of which only the connection of the program is used."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), partial(connections_of, path, "NORMAL"))
        self._path = path
        self._commits = CommitWatch(nullcontext)

    @contextmanager
    def joining(self, connection: Connection) -> Iterator[None]:
        """See `Database.joining`. The tables are made as well."""
        with join_sqlite(connection, self._path):
            prepare_tables(self, connection)
            yield

    def advisory_lock(self, connection: Connection, name: str) -> None:
        """Do nothing: the connection has the lock of the file."""

    def tell_at_commit(self, connection: Connection, notice: Notice, tell: Tell) -> None:
        """See `Database.tell_at_commit`. What is called waits for the lock by itself."""

        def tell_once(notice: Notice) -> None:
            tell(notice)
            self._commits.close()

        self._commits.watch(connection, notice, tell_once)


def _accepted_id(written: BatchResult, new: NewJob, task: Any) -> str:
    """Return the id of a job that was written, or of the one that has its key.

    Raises:
        QueueFull: If too many wait.
        Duplicate: If another job has its key, and the task refuses a second one.
    """
    if written.refused:
        raise QueueFull(f"The task {task.name}", task.options.max_queue)
    holder = written.duplicates.get(new.id)
    if holder is not None and new.on_duplicate is not OnDuplicate.RETURN:
        raise Duplicate(task.name, holder)
    return holder or new.id
