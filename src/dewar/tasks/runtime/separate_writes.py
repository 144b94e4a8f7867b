"""`SeparateWrites`: writes the operations of a failed batch job by job.

One job must not keep the others from being written. After a batch has failed, each of its jobs is
written in a transaction of its own, in which the operations of the job keep their order. What the
database refuses is that job's failure:

- A new job is refused with the error; its submitter may try again.
- An outcome becomes the failure of the job, with the error. This is so at once if the database
  refuses its values. A large outcome that fails for another reason, such as a full disk or a lost
  connection, has a few tries. A small one has any number, because it is not the cause then.
- Progress is dropped.
"""

import logging
from collections.abc import Callable, Sequence

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.records import NewJob, Outcome, ProgressUpdate
from dewar.tasks.runtime.attempt import Dispatch
from dewar.tasks.runtime.outcomes import unwritable
from dewar.tasks.runtime.pending_write import Entry

_logger = logging.getLogger("dewar.tasks")
# The characters from which on an outcome is large, and how often its job is tried alone.
_LARGE = 1 << 20
_TRIES = 3

_WriteEntries = Callable[[Sequence[Entry]], None]


class SeparateWrites:
    """Writes job by job. One thread at a time may use it.

    Args:
        write: Writes entries in one transaction, as in `LedgerWriter`.
    """

    def __init__(self, write: _WriteEntries) -> None:
        self._write = write
        #: How often each job has failed alone.
        self._tries: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<SeparateWrites, {len(self._tries)} jobs have failed>"

    def run(self, entries: Sequence[Entry], error: Exception) -> list[Entry]:
        """Write what can be written; return what is to be tried again, in order.

        Args:
            entries: The batch. Nothing of it is written.
            error: Why it failed.
        """
        groups = _by_job(entries)
        if len(groups) == 1:
            left = _refuse_new(entries, error)
            return [] if self._replace(next(iter(groups)), left, error) else left
        kept: list[Entry] = []
        has_written = False
        while groups:
            id = next(iter(groups))
            group = groups.pop(id)
            try:
                self._write(group)
            except Exception as raised:  # noqa: BLE001  # it decides what becomes of the job
                left = _refuse_new(group, raised)
                if self._replace(id, left, raised):
                    has_written = True
                    continue
                kept += left
                if not has_written and not is_refusal(raised):
                    # The database is away. The next time, this job comes after the others.
                    rest = [entry for others in groups.values() for entry in others]
                    return [*_refuse_new(rest, raised), *kept]
            else:
                # A dispatch writes nothing, so it does not show that the database is there.
                has_written |= any(not isinstance(one, Dispatch) for one, _ in group)
                self._tries.pop(id, None)
        return kept

    def clear(self) -> None:
        """Forget the failures: everything is written."""
        self._tries.clear()

    def _replace(self, id: str, left: Sequence[Entry], error: Exception) -> bool:
        """Write the failure of a job instead of its outcome; return whether that is done.

        Args:
            id: The job's id.
            left: Its operations, which have failed alone.
            error: Why.
        """
        self._tries[id] = tries = self._tries.get(id, 0) + 1
        if not left or not (is_refusal(error) or (tries >= _TRIES and _is_large(left))):
            return False
        replaced = [
            (unwritable(one, error) if isinstance(one, Outcome) else one, ticket)
            for one, ticket in left
            if not isinstance(one, ProgressUpdate)
        ]
        try:
            if replaced:
                self._write(replaced)
        except Exception:  # noqa: BLE001  # the database does not take this either
            return False
        del self._tries[id]
        _logger.error("The outcome of job %s could not be written, so it has failed: %s", id, error)
        return True


def is_refusal(error: Exception) -> bool:
    """Return whether the database works, and the same values would fail again."""
    if isinstance(error, LedgerError):
        return error.is_refusal
    return not isinstance(error, MemoryError | OSError)


def _by_job(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for operation, ticket in entries:
        id = operation.attempt.record.id if isinstance(operation, Dispatch) else operation.id
        groups.setdefault(id, []).append((operation, ticket))
    return groups


def _refuse_new(entries: Sequence[Entry], error: Exception) -> list[Entry]:
    """Refuse new jobs, whose submitters may try again; return the other entries."""
    kept: list[Entry] = []
    for operation, ticket in entries:
        if isinstance(operation, NewJob) and ticket is not None:
            ticket.settle(took_effect=False, error=error)
        else:
            kept.append((operation, ticket))
    return kept


def _is_large(entries: Sequence[Entry]) -> bool:
    return any(
        len(one.result or "") + len(one.error or "") + len(one.callback_body or "") >= _LARGE
        for one, _ in entries
        if isinstance(one, Outcome)
    )
