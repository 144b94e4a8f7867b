"""`TaskPool`: what it accepts, and what it does apart from any engine."""

import math
import multiprocessing
from typing import Any

import pytest

from dewar.tasks.engines.interface import Ability, EngineStatistics, JobCall
from dewar.tasks.engines.open import open_engine
from dewar.tasks.errors import NotSupported, TaskSetupError
from dewar.tasks.job import Job
from dewar.tasks.pool import TaskPool


class EngineAtOnce:
    """Runs each job in the submitter's thread."""

    name = "at once"
    abilities = frozenset({Ability.TIMEOUT})

    def __init__(self) -> None:
        self.calls: list[JobCall] = []
        self.ended: list[tuple[bool, bool]] = []

    def submit(self, job: Job, call: JobCall) -> None:
        self.calls.append(call)
        if job.set_running_or_notify_cancel():
            job.set_result(call.function(*call.args, **call.kwargs))

    def stop(self, job: Job) -> bool:
        return False

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        self.ended.append((wait, cancel_futures))

    def statistics(self) -> EngineStatistics:
        finished = len(self.calls)
        return EngineStatistics(engine="at once", workers=1, queued=0, running=0, finished=finished)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"threads": 0}, ValueError, "threads must be greater than 0"),
        ({"threads": -1}, TaskSetupError, "threads must be greater than 0"),
        ({"processes": 0}, ValueError, "processes must be greater than 0"),
        ({"threads": 1.5}, TypeError, "threads must be an integer"),
        ({"threads": True}, TypeError, "threads must be an integer"),
        ({"threads": 1, "processes": 1}, TaskSetupError, "either threads or processes"),
        ({"engine": "dask://x", "processes": 1}, TaskSetupError, "processes or engine"),
        ({"max_queue": 0}, ValueError, "max_queue must be greater than 0"),
        ({"initializer": 5}, TypeError, "initializer must be a callable"),
        ({"mp_context": multiprocessing}, TaskSetupError, "mp_context is for processes"),
        ({"max_tasks_per_child": 2}, TaskSetupError, "max_tasks_per_child is for processes"),
        ({"processes": 1, "max_tasks_per_child": 0}, ValueError, "greater than 0"),
        ({"processes": 1, "thread_name_prefix": "x"}, TaskSetupError, "is for threads"),
        ({"processes": 1, "timeout": 0}, TaskSetupError, "above 0"),
        ({"processes": 1, "timeout": math.nan}, TaskSetupError, "above 0"),
        ({"engine": "nowhere://x"}, TaskSetupError, "names no engine"),
        ({"engine": "dask"}, TaskSetupError, "names no engine"),
        ({"threads": 1, "soft_timeout": 0}, TaskSetupError, "soft_timeout=0"),
        ({"processes": 1, "timeout": 3, "soft_timeout": 3}, TaskSetupError, "less than timeout=3"),
        ({"threads": 1, "max_jobs_per_worker": 3}, TaskSetupError, "is for processes"),
        ({"threads": 1, "max_memory_per_worker": "1G"}, TaskSetupError, "is for processes"),
        ({"processes": 1, "max_memory_per_worker": "1 apple"}, TaskSetupError, "such as '200M'"),
        ({"processes": 1, "max_memory_per_worker": True}, TaskSetupError, "bytes above 0"),
        (
            {"processes": 1, "max_jobs_per_worker": 3, "max_tasks_per_child": 3},
            TaskSetupError,
            "one of them",
        ),
        ({"threads": 1, "timeout": 3}, NotSupported, r"TaskPool\(processes=..., timeout=...\)"),
    ],
)
def test_what_can_not_work_says_so_at_once(options: Any, error: Any, text: str) -> None:
    """When the pool is made, with the repair."""
    with pytest.raises(error, match=text):
        TaskPool(**options)


def test_forked_processes_are_not_replaced_after_some_jobs() -> None:
    """As in concurrent.futures: a fork while threads run may hang."""
    fork = multiprocessing.get_context("fork")
    with pytest.raises(ValueError, match="forked"):
        TaskPool(processes=1, mp_context=fork, max_tasks_per_child=1)


def test_by_default_there_are_as_many_threads_as_elsewhere() -> None:
    """The number of CPUs and four, at most 32."""
    with TaskPool() as pool:
        assert pool.engine.name == "threads"
        assert "of 0" not in repr(pool)


def test_an_engine_that_is_given_is_used_and_shut_down_with_the_pool() -> None:
    """A pool is an Executor in front of any engine."""
    engine = EngineAtOnce()
    with TaskPool(engine=engine, timeout=7) as pool:
        assert pool.engine is engine
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        assert pool.with_timeout(timeout=2).submit(abs, -1).result() == 1
        assert [call.timeout for call in engine.calls] == [7, 2]
        with pytest.raises(NotSupported, match="after a soft timeout"):
            pool.with_timeout(soft_timeout=1)
        assert pool.statistics().finished == 2
    pool.with_timeout(timeout=1).shutdown(wait=False, cancel_futures=True)
    assert engine.ended == [(True, False), (False, True)]


def test_a_limit_needs_an_engine_that_can() -> None:
    """Threads cannot be stopped after a while."""
    with TaskPool(threads=1) as pool:
        with pytest.raises(NotSupported):
            pool.with_timeout(timeout=1)
        with pytest.raises(TaskSetupError):
            pool.with_timeout(timeout=-1)
    with TaskPool(engine=EngineAtOnce()) as pool:
        assert "<timeout=1.5 of <TaskPool" in repr(pool.with_timeout(timeout=1.5))


def test_the_engines_of_other_machines_are_opened_by_url() -> None:
    """What is no URL of an engine is told what would be one."""
    with pytest.raises(TaskSetupError, match=r"celery\+redis://"):
        open_engine("redis://here")
