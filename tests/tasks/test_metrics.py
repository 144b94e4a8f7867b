"""What a process counts of its jobs."""

from tests.tasks.ledger.ledgertools import in_child

from dewar.support.metric_family import lines_of
from dewar.tasks.ledger.records import JobState
from dewar.tasks.metrics import JobCounts, job_counts


def test_jobs_are_counted_by_task_and_outcome() -> None:
    """Histograms are cumulative, and a clock that was set back counts as no time."""
    counts = JobCounts()
    assert counts.families() == []
    counts.note_accepted("mail")
    counts.note_started("mail", 0.02)
    counts.note_started("mail", -5.0)
    counts.note_retried("mail", 2.0)
    counts.note_ended("mail", JobState.FAILED, 100_000.0)
    counts.note_ended("mail", JobState.CANCELLED, None)
    lines = set(lines_of(counts.families()))
    assert lines >= {
        "# TYPE dewar_jobs_ended_total counter",
        'dewar_jobs_accepted_total{task="mail"} 1',
        'dewar_jobs_retried_total{task="mail"} 1',
        'dewar_jobs_ended_total{task="mail",outcome="failed"} 1',
        'dewar_jobs_ended_total{task="mail",outcome="cancelled"} 1',
        'dewar_jobs_ended_total{task="mail",outcome="done"} 0',
        'dewar_job_waiting_seconds_bucket{task="mail",le="0.005"} 1',
        'dewar_job_waiting_seconds_bucket{task="mail",le="0.05"} 2',
        'dewar_job_waiting_seconds_bucket{task="mail",le="+Inf"} 2',
        'dewar_job_duration_seconds_bucket{task="mail",le="21600"} 1',
        'dewar_job_duration_seconds_bucket{task="mail",le="+Inf"} 2',
        'dewar_job_duration_seconds_sum{task="mail"} 100002',
        'dewar_job_duration_seconds_count{task="mail"} 2',
    }


def test_the_number_of_labels_is_bounded() -> None:
    """A ledger may have jobs of any number of older tasks."""
    counts = JobCounts()
    for number in range(1010):
        counts.note_accepted(f"task {number}")
    (accepted, *_) = counts.families()
    assert len(accepted.samples) == 1001
    assert accepted.samples['{task="(other)"}'] == 10


def test_a_forked_child_begins_at_0() -> None:
    """Its parent goes on to tell what it has counted."""
    job_counts.note_accepted("forked")
    assert in_child(lambda: len(job_counts.families())) == 0
    assert job_counts.families()
