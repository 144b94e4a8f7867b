"""Metrics of several processes, added up and written for Prometheus."""

from dewar.support.metric_family import (
    MetricFamily,
    from_json,
    labelled,
    lines_of,
    merged,
    summed,
    to_json,
)


def family(read_at: float | None = None, **samples: float) -> MetricFamily:
    labels = {labelled(task=name): value for name, value in samples.items()}
    return MetricFamily(name="jobs", type="counter", help="Jobs.", samples=labels, read_at=read_at)


def test_parts_are_added_up() -> None:
    """Samples with the same labels are one; the others are kept."""
    found = summed([family(a=1, b=2), family(b=3, c=0.5)])
    assert found["jobs"] == family(a=1, b=5, c=0.5)


def test_of_what_all_processes_read_the_latest_counts() -> None:
    """It is the same thing for all of them, so it is not added up."""
    assert merged([family(2.0, a=1), family(3.0, a=5), family(1.0, a=9)])["jobs"].samples == {
        '{task="a"}': 5
    }


def test_json_brings_back_what_it_was_made_of() -> None:
    """An empty text is that of a process that has told nothing."""
    families = [family(a=1.5), family(4.0, b=2)]
    assert from_json(to_json(families)) == families
    assert from_json(b"") == []


def test_labels_cannot_break_a_line() -> None:
    """Quotes, line ends and halves of surrogate pairs are escaped."""
    assert (
        list(lines_of([family(**{'a"\n\\\ud800': 1})]))[-1] == 'jobs{task="a\\"\\n\\\\\\ud800"} 1'
    )
    assert labelled("_count") == "_count"
