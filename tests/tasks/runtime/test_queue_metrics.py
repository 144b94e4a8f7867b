"""How many jobs wait, as a scrape sees it."""

import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.tasks.ledger.ledgertools import in_child

from dewar import Dewar, Tasks
from dewar.server.metrics.exposition import exposition
from dewar.support.metric_family import MetricFamily
from dewar.support.metric_sources import metric_sources
from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.records import QueueOverview
from dewar.tasks.runtime.queue_metrics import QueueMetrics
from polling import eventually

QUEUE = QueueOverview(
    queue="mail", task="send", waiting=3, later=2, running=1, oldest_due=5.0, next_due=None
)


def samples(families: list[MetricFamily]) -> dict[str, float]:
    return {f"{one.name}{end}": value for one in families for end, value in one.samples.items()}


def test_a_scrape_reads_the_ledger_seldom_and_never_waits_long() -> None:
    """While it is being read, and for some seconds after, what was read before is told."""
    reads, gate = list[float](), threading.Event()

    def read(now: float) -> list[QueueOverview]:
        reads.append(now)
        assert gate.wait(20)
        return [QUEUE]

    metrics = QueueMetrics(read)
    assert [metrics.families(), metrics.families()] == [[], []]
    gate.set()
    eventually(metrics.families)
    metrics.families()
    assert len(reads) == 1
    found = samples(metrics.families())
    labels = '{queue="mail",task="send"}'
    assert found[f"dewar_jobs_waiting{labels}"] == 3
    assert found[f"dewar_jobs_scheduled{labels}"] == 2
    assert found[f"dewar_jobs_running{labels}"] == 1
    assert found[f"dewar_jobs_oldest_seconds{labels}"] == reads[0] - 5.0
    assert in_child(lambda: len(metrics.families())) == 0
    metrics.close(20)


def test_a_ledger_that_cannot_be_read_has_no_numbers(caplog: pytest.LogCaptureFixture) -> None:
    """Rather none than old ones."""

    def read(now: float) -> list[QueueOverview]:
        raise LedgerError("jobs.sqlite3", "it is away")

    metrics = QueueMetrics(read)
    assert metrics.families() == []
    metrics.close(20)


def scheduled(name: str) -> list[str]:
    """Return the lines about jobs for later whose task has a name like this."""
    page = exposition({}, metric_sources.families())
    return [one for one in page.splitlines() if "dewar_jobs_scheduled{" in one and name in one]


def test_the_page_has_what_became_of_jobs(tmp_path: Path) -> None:
    """In the same exposition as the server's metrics, and valid for Prometheus."""
    tasks = Tasks(Dewar("x", instance_path=str(tmp_path)), poll=0.02)
    # The counts are the process's, and other tests may have run here.
    name = f'a "task" of \\ {tmp_path.name}'

    @tasks.task(name)
    def work(fails: bool) -> None:
        assert not fails

    work.submit(False).result(20)
    assert work.submit(True).exception(20)
    work.submit_later(False, delay=1000)
    eventually(lambda: scheduled(tmp_path.name))
    page = exposition({}, metric_sources.families())
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.labels.get("task") == name and sample.labels.get("outcome", "done") == "done"
    }
    assert found["dewar_jobs_accepted_total"] == 3
    assert found["dewar_jobs_ended_total"] == 1
    assert found["dewar_job_waiting_seconds_count"] == 2
    assert found["dewar_job_duration_seconds_count"] == 2
    assert found["dewar_jobs_scheduled"] == 1
    tasks.stop(20)
    assert not scheduled(tmp_path.name)
