"""What waits for slow receivers is bounded."""

import logging
from collections.abc import Sequence

import pytest
from blinker import Signal
from tests.tasks.test_tasks import Gate

from dewar.tasks.directory import TaskDirectory
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
