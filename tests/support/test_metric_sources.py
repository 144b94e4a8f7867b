"""The sources of metrics are read while somebody uses them."""

from dewar.support.metric_family import MetricFamily
from dewar.support.metric_sources import MetricSources


class Source:
    def families(self) -> list[MetricFamily]:
        return [MetricFamily(name="jobs_total", type="counter", help="Jobs.", samples={"": 1})]


def told(sources: MetricSources) -> float:
    return sum(sum(one.samples.values()) for one in sources.families())


def test_a_source_is_read_once_until_it_is_removed() -> None:
    """However often it is added."""
    sources, one, other = MetricSources(), Source(), Source()
    for source in (one, one, other):
        sources.add(source.families)
    assert told(sources) == 2
    sources.remove(one.families)
    sources.remove(one.families)
    assert told(sources) == 1


def test_what_nobody_uses_any_more_is_freed() -> None:
    """A test suite makes an app for each test."""
    sources, one = MetricSources(), Source()
    sources.add(one.families)
    sources.add(Source().families)
    assert told(sources) == 1
    assert repr(sources).count("to 'Source'") == 1
