"""`StoredResults`: puts the results of jobs into the arguments of others."""

import json

from dewar.tasks.errors import DependencyFailed, UnknownJob
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.serialization.job_results import awaited_in, filled, pack_failure


class StoredResults:
    """Reads results from a ledger. Any thread may use it.

    Args:
        ledger: The ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __repr__(self) -> str:
        return f"<StoredResults of {self._ledger!r}>"

    def fill(self, arguments: str) -> str:
        """Return the text of a job's arguments with the results that it waits for.

        Raises:
            DependencyFailed: If a job before it did not end well, and its result is needed.
            UnknownJob: If one was purged.
            LedgerError: If they cannot be read now.
        """
        ids = awaited_in(arguments)
        if not ids:
            return arguments
        records = self._ledger.get_many(sorted(set(ids)))
        return filled(arguments, lambda id, is_needed: _text_of(records.get(id), id, is_needed))


def _text_of(record: JobRecord | None, id: str, is_needed: bool) -> str:
    if record is not None and record.state is JobState.DONE:
        return record.result or "null"
    if record is None and is_needed:
        raise UnknownJob(id)
    if record is None or record.error is None:
        state = "purged" if record is None else record.state.value
        if is_needed:
            raise DependencyFailed(id, state)
        return pack_failure("dewar.tasks.errors:JobLost", f"The job {id} ended as {state}.")
    if is_needed:
        raise DependencyFailed(id, record.state.value)
    error = json.loads(record.error)
    return pack_failure(error["type"], error["text"])
