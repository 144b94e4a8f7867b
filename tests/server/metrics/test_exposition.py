"""Statistics as Prometheus reads them."""

import re
from dataclasses import fields

import pytest

from dewar.server.metrics.exposition import METRICS, exposition
from dewar.server.metrics.statistics import PoolStatistics
from metricstools import parse

STATISTICS = PoolStatistics(
    threads=4,
    idle_threads=3,
    waiting=6,
    connections=2,
    handed_off=1,
    suspended=8,
    accepted=10,
    rejected=5,
    displaced=9,
    requests=100,
    leader_takeovers=7,
    early_promotion=True,
    websockets=12,
    websocket_threads=13,
    spooled=11,
)


def test_each_number_is_shown_for_each_worker() -> None:
    """With its type, its help and the worker's name."""
    families = parse(exposition({"1": STATISTICS, "2": STATISTICS}))
    requests = families["dewar_requests_total"]
    assert (requests.type, requests.help) == ("counter", "Requests answered.")
    assert requests.samples == {(("worker", "1"),): 100, (("worker", "2"),): 100}
    assert families["dewar_early_promotion"].samples[("worker", "1"),] == 1
    assert families["dewar_connections"].type == "gauge"
    assert len(families["dewar_build_info"].samples) == 1


def test_no_number_is_left_out() -> None:
    """Each field of the statistics has a metric, and each metric a field."""
    assert sorted(m.field for m in METRICS) == sorted(f.name for f in fields(PoolStatistics))


def test_names_are_those_that_prometheus_asks_for() -> None:
    """Counters end in ``_total``, and all begin with ours."""
    for metric in METRICS:
        assert re.fullmatch(r"dewar_[a-z_]+", metric.name)
    counters = {m.field for m in METRICS if m.type == "counter"}
    assert counters == {"requests", "accepted", "rejected", "displaced", "leader_takeovers"}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\xe4"])
def test_a_name_may_be_any_text(name: str) -> None:
    """It is escaped."""
    families = parse(exposition({name: STATISTICS}))
    assert (("worker", name),) in families["dewar_threads"].samples


def test_there_may_be_no_worker() -> None:
    """The page is still one."""
    assert parse(exposition({}))["dewar_threads"].samples == {}
