"""What a parent says about a job reaches that job in its child, and no other."""

import pytest

from dewar.tasks.engines.processes.control import JobControl
from dewar.tasks.engines.processes.memory import resident_memory
from dewar.tasks.engines.processes.messages import FrameKind, pack_number, unpack_number
from dewar.tasks.engines.processes.worker_limits import WorkerLimits
from dewar.tasks.errors import SoftTimeLimitExceeded
from dewar.tasks.interruptible import Interruptible


def test_a_message_reaches_the_job_that_runs() -> None:
    """A request to end, and the end of its time."""
    control, job = JobControl(), Interruptible("resize", 1.0)
    control.begin(1, job)
    control.receive(FrameKind.CANCEL, 1)
    assert job.is_cancelled
    control.receive(FrameKind.SOFT_TIMEOUT, 1)
    with pytest.raises(SoftTimeLimitExceeded):
        job.guard(int)()
    assert "job 1" in repr(control)


def test_a_late_message_is_dropped() -> None:
    """Its job has ended, whether or not the next has begun."""
    control, job = JobControl(), Interruptible("next")
    control.begin(1, Interruptible("first"))
    control.end()
    control.receive(FrameKind.CANCEL, 1)
    control.begin(2, job)
    control.receive(FrameKind.CANCEL, 1)
    assert not job.is_cancelled


def test_an_early_message_waits_for_its_job() -> None:
    """The child reads its two connections in any order. Those for other jobs are left out."""
    control, first, second = JobControl(), Interruptible("first"), Interruptible("second")
    control.receive(FrameKind.CANCEL, 2)
    control.begin(1, first)
    assert not first.is_cancelled
    control.end()
    control.begin(2, second)
    assert second.is_cancelled


def test_numbers_come_back() -> None:
    """As they were sent."""
    assert unpack_number(pack_number(2**40)) == 2**40


def test_a_process_knows_its_memory() -> None:
    """What it has now: some megabytes at least, and more with a large value."""
    before = resident_memory()
    value = bytearray(64 << 20)
    value[:: 4 << 10] = b"x" * len(value[:: 4 << 10])
    assert before > 1 << 20
    assert resident_memory() > before + (32 << 20)


def test_the_limits_say_when_a_process_is_replaced() -> None:
    """None is no limit. A process that has just the memory it may have stays."""
    none, both = WorkerLimits(), WorkerLimits(max_jobs=3, max_memory=200 << 20)
    assert not none.is_last_job(10**6)
    assert not none.is_too_large(1 << 50)
    assert [both.is_last_job(done) for done in (0, 1, 2)] == [False, False, True]
    assert [both.is_too_large(size << 20) for size in (200, 201)] == [False, True]
    assert both.excess(300 << 20) == (
        "it has 300.0 MiB of memory, more than max_memory_per_worker=200M"
    )
