"""Jobs that this process has claimed and gives back."""

from typing import Any

import pytest

from dewar.tasks.errors import LedgerError
from dewar.tasks.runtime.returned_jobs import ReturnedJobs


class Failing:
    """A ledger that takes no job back, each time for another reason."""

    def __init__(self) -> None:
        self.failures = 0

    def release(self, owner: str, ids: list[str]) -> None:
        """Fail."""
        self.failures += 1
        raise LedgerError("jobs.db", f"reason {self.failures}")


def test_a_ledger_that_fails_in_many_ways_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line stands for all of a kind, whatever the reasons are."""
    ledger: Any = Failing()
    returned = ReturnedJobs(ledger, "here")
    for number in range(50):
        returned.add(str(number))
    assert ledger.failures == 50
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert lines[0].startswith("Jobs cannot be given back to the ledger yet: ")
    assert lines[0].endswith("reason 1")
