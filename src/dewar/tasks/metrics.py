"""`job_counts`: what a process counts of jobs for Prometheus.

The counts are the process's, so that they go on when an app is served again. Of a fork, the child
begins at 0, because the metrics add up the processes.
"""

import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from dewar.support.metric_family import MetricFamily, labelled
from dewar.tasks.ledger.records import FINAL, JobState

#: The upper limits of the buckets of a histogram, in seconds.
BUCKETS = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0)
#: The most tasks with labels of their own. A ledger may have jobs of any number of older tasks.
_MAX_TASKS = 1000
_OTHER = "(other)"


class _Histogram:
    """How often something took how long. Its owner's lock is held for each call."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def note(self, seconds: float) -> None:
        """Count one."""
        # A clock may have been set back.
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def samples(self, task: str) -> Iterator[tuple[str, float]]:
        """Yield the samples of the metric."""
        limits = (*(f"{limit:g}" for limit in BUCKETS), "+Inf")
        total = 0
        for limit, total in zip(limits, accumulate(self.counts), strict=True):
            yield labelled("_bucket", task=task, le=limit), total
        yield labelled("_sum", task=task), self.sum
        yield labelled("_count", task=task), total


@dataclass(slots=True)
class _TaskCounts:
    accepted: int = 0
    retried: int = 0
    ended: dict[JobState, int] = field(default_factory=dict)
    waited: _Histogram = field(default_factory=_Histogram)
    took: _Histogram = field(default_factory=_Histogram)


class JobCounts:
    """Counts what becomes of jobs, by task. Any thread may call any method."""

    def __init__(self) -> None:
        self._reset()

    def __repr__(self) -> str:
        return f"<JobCounts of {len(self._tasks)} tasks>"

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[str, _TaskCounts] = {}

    after_fork = _reset

    def note_accepted(self, task: str) -> None:
        """Count a job that was accepted."""
        with self._lock:
            self._of(task).accepted += 1

    def note_started(self, task: str, waited: float) -> None:
        """Count an attempt that has begun so many seconds after it was due."""
        with self._lock:
            self._of(task).waited.note(waited)

    def note_retried(self, task: str, took: float | None) -> None:
        """Count an attempt after which the job runs again, and how long it took if it began."""
        with self._lock:
            counts = self._of(task)
            counts.retried += 1
            if took is not None:
                counts.took.note(took)

    def note_ended(self, task: str, state: JobState, took: float | None) -> None:
        """Count a job that has ended, and how long its last attempt took if it began."""
        with self._lock:
            counts = self._of(task)
            counts.ended[state] = counts.ended.get(state, 0) + 1
            if took is not None:
                counts.took.note(took)

    def families(self) -> list[MetricFamily]:
        """Return the counts as metrics; none before the first job."""
        with self._lock:
            if not self._tasks:
                return []
            return list(_families(self._tasks))

    def _of(self, task: str) -> _TaskCounts:
        counts = self._tasks.get(task)
        if counts is None:
            name = task if len(self._tasks) < _MAX_TASKS else _OTHER
            counts = self._tasks.setdefault(name, _TaskCounts())
        return counts


def _families(tasks: Mapping[str, _TaskCounts]) -> Iterator[MetricFamily]:
    yield _counter("accepted", "Jobs accepted.", tasks, lambda one: one.accepted)
    ended = {
        labelled(task=task, outcome=state.value): one.ended.get(state, 0)
        for task, one in tasks.items()
        for state in sorted(FINAL, key=lambda state: state.value)
    }
    yield MetricFamily(
        name="dewar_jobs_ended_total", type="counter", help="Jobs that have ended.", samples=ended
    )
    yield _counter("retried", "Attempts with another one after them.", tasks, lambda o: o.retried)
    yield _histogram("waiting", "Seconds from when a job was due to its start.", tasks)
    yield _histogram("duration", "Seconds that an attempt at a job took.", tasks)


def _counter(
    name: str, text: str, tasks: Mapping[str, _TaskCounts], count: Callable[[_TaskCounts], int]
) -> MetricFamily:
    samples = {labelled(task=task): count(one) for task, one in tasks.items()}
    return MetricFamily(name=f"dewar_jobs_{name}_total", type="counter", help=text, samples=samples)


def _histogram(name: str, text: str, tasks: Mapping[str, _TaskCounts]) -> MetricFamily:
    samples: dict[str, float] = {}
    for task, one in tasks.items():
        samples.update((one.waited if name == "waiting" else one.took).samples(task))
    return MetricFamily(
        name=f"dewar_job_{name}_seconds", type="histogram", help=text, samples=samples
    )


job_counts = JobCounts()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=job_counts.after_fork)
