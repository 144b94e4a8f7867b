"""Metrics that workers publish in shared memory."""

import os
import random

import pytest
from tests.tasks.ledger.ledgertools import in_child

from dewar.server.processes.metrics_board import MetricsBoard
from dewar.server.processes.metrics_publisher import MetricsPublisher
from dewar.server.processes.scoreboard import make_scoreboard
from dewar.support.metric_family import MetricFamily
from dewar.support.metric_sources import MetricSources


def counter(value: float) -> MetricFamily:
    return MetricFamily(name="jobs_total", type="counter", help="Jobs.", samples={"{}": value})


def gauge(value: float, read_at: float | None = None) -> MetricFamily:
    return MetricFamily(
        name="jobs", type="gauge", help="Jobs.", samples={"{}": value}, read_at=read_at
    )


def values(families: list[MetricFamily]) -> dict[str, float]:
    return {family.name: family.samples["{}"] for family in families}


@pytest.fixture
def board() -> MetricsBoard:
    return MetricsBoard(3)


def test_what_workers_tell_is_added_up(board: MetricsBoard) -> None:
    """Each tells its latest numbers; what all of them read counts once."""
    assert board.families([1, 2]) == []
    board.publish(1, [counter(100), gauge(7, 1.0)])
    board.publish(1, [counter(3), gauge(8, 2.0)])
    board.publish(2, [counter(4), gauge(9, 3.0)])
    assert values(board.families([1, 2])) == {"jobs_total": 7, "jobs": 9}
    assert values(board.families([2])) == {"jobs_total": 4, "jobs": 9}


def test_the_counts_of_a_worker_outlive_it(board: MetricsBoard) -> None:
    """What it had at the moment does not."""
    for number in (1, 1, 2):
        board.publish(number, [counter(5), gauge(1), gauge(2, 1.0)])
        board.keep(number)
        board.clear(number)
    assert values(board.families([1, 2, 3])) == {"jobs_total": 15}


def test_a_fork_publishes_for_the_others(board: MetricsBoard) -> None:
    """The memory is shared."""
    assert in_child(lambda: board.publish(2, [counter(os.getppid() and 6)]) or 0) == 0
    assert values(board.families([2])) == {"jobs_total": 6}


def test_what_does_not_fit_is_left_out(
    board: MetricsBoard, caplog: pytest.LogCaptureFixture
) -> None:
    """What was told before stays, and the log says so."""
    board.publish(1, [counter(5)])
    noise = random.Random(1).randbytes(400_000).hex()
    board.publish(1, [MetricFamily(name="x", type="gauge", help=noise, samples={})])
    assert values(board.families([1])) == {"jobs_total": 5}
    assert "too many" in caplog.text


class Counted:
    def __init__(self, value: int) -> None:
        self.value = value

    def families(self) -> list[MetricFamily]:
        return [counter(self.value)]


def test_a_worker_publishes_what_its_sources_tell() -> None:
    """The last time at its end; nothing without a source, or without anybody to read it."""
    sources = MetricSources()
    scoreboard = make_scoreboard(1, has_metrics=True)
    slot = scoreboard.slot(1)
    scoreboard.reserve(1, 1, 0.0)
    scoreboard.assign(1, os.getpid())
    MetricsPublisher(slot, sources).finish()
    assert scoreboard.families() == []
    counted = [Counted(2), Counted(3)]
    for one in counted:
        sources.add(one.families)
    publisher = MetricsPublisher(slot, sources)
    publisher.maybe_start()
    publisher.finish()
    assert values(scoreboard.families()) == {"jobs_total": 5}
    scoreboard.release(1)
    assert values(scoreboard.families()) == {"jobs_total": 5}
    scoreboard.close()
    without = make_scoreboard(1)
    MetricsPublisher(without.slot(1), sources).finish()
    assert without.families() == []
    without.close()
