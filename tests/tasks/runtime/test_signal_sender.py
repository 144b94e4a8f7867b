"""What waits for slow receivers is bounded."""

import logging
from collections.abc import Sequence

import pytest
from blinker import Signal
from tests.tasks.test_tasks import Gate

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.runtime.signal_sender import SignalSender


def test_signals_are_dropped_while_too_many_wait(caplog: pytest.LogCaptureFixture) -> None:
    """The log says so, and what is sent after that is sent again."""
    gate, sent = Gate(), list[int]()
    sender = SignalSender(TaskDirectory({}), most=2)

    def find(number: int) -> Sequence[tuple[Signal, JobRecord]]:
        if number == 0:
            gate()
        sent.append(number)
        return []

    sender.send_soon(lambda: find(0))
    assert gate.began.acquire(timeout=20)
    with caplog.at_level(logging.WARNING, "dewar.tasks"):
        for number in (1, 2, 3):
            sender.send_soon(lambda number=number: find(number))
    gate.open.set()
    sender.close(20)
    sender.send_soon(lambda: find(4))
    sender.close(20)
    assert sent == [0, 1, 2, 4]
    assert "Signals of jobs are dropped" in caplog.text


def test_a_ledger_that_is_away_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """An outage is told by who writes; here only the signals of a moment are lost."""
    sender, sent = SignalSender(TaskDirectory({})), list[int]()

    def away() -> Sequence[tuple[Signal, JobRecord]]:
        raise LedgerError("jobs.sqlite3", "it is away")

    def find() -> Sequence[tuple[Signal, JobRecord]]:
        sent.append(1)
        return []

    for one in (away, away, find):
        sender.send_soon(one)
    sender.close(20)
    assert sent == [1]
    (record,) = caplog.records
    assert "it is away" in record.getMessage()
    assert record.exc_info is None
