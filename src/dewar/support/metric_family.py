"""`MetricFamily`: a metric with its samples, that processes pass to one another and add up.

A sample has its name's end and its labels as one text, as in ``_bucket{task="mail",le="0.1"}``. So
a family is plain JSON, and two are added without knowing what they are about.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricFamily:
    """A metric of Prometheus.

    Attributes:
        name: Its name.
        type: ``counter``, ``gauge`` or ``histogram``.
        help: What it means.
        samples: The values, by what follows the name.
        read_at: When it was read, in seconds since the epoch, if all processes read the same;
            None if each has a part.
    """

    name: str
    type: str
    help: str
    samples: Mapping[str, float]
    read_at: float | None = None


def labelled(end: str = "", **labels: str) -> str:
    """Return what follows the name of a metric: its end, and its labels."""
    pairs = ",".join(f'{name}="{escaped_label(value)}"' for name, value in labels.items())
    return f"{end}{{{pairs}}}" if pairs else end


def escaped_label(value: str) -> str:
    """Return the value of a label as it is written between quotes."""
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    # Half of a surrogate pair has no form in UTF-8.
    return text.encode("utf-8", "backslashreplace").decode()


def summed(families: Iterable[MetricFamily]) -> dict[str, MetricFamily]:
    """Return families by their names; those with one name are added up."""
    return _by_name(families, _added)


def merged(families: Iterable[MetricFamily]) -> dict[str, MetricFamily]:
    """Return the families of several processes by their names.

    Parts are added up. Of what all processes read, the latest counts.
    """
    return _by_name(families, _latest_or_added)


def lines_of(families: Iterable[MetricFamily]) -> Iterator[str]:
    """Yield the lines of families in the text format of Prometheus."""
    for family in families:
        yield f"# HELP {family.name} {family.help}"
        yield f"# TYPE {family.name} {family.type}"
        for sample, value in family.samples.items():
            text = str(int(value)) if value == int(value) else repr(value)
            yield f"{family.name}{sample} {text}"


def to_json(families: Iterable[MetricFamily]) -> bytes:
    """Return families as JSON."""
    return json.dumps([asdict(family) for family in families]).encode()


def from_json(text: bytes) -> list[MetricFamily]:
    """Return the families in JSON; none for an empty text."""
    return [MetricFamily(**family) for family in json.loads(text or b"[]")]


_Join = Callable[[MetricFamily, MetricFamily], MetricFamily]


def _by_name(families: Iterable[MetricFamily], join: _Join) -> dict[str, MetricFamily]:
    found: dict[str, MetricFamily] = {}
    for family in families:
        known = found.get(family.name)
        found[family.name] = family if known is None else join(known, family)
    return found


def _added(one: MetricFamily, other: MetricFamily) -> MetricFamily:
    samples = dict(one.samples)
    for sample, value in other.samples.items():
        samples[sample] = samples.get(sample, 0) + value
    return replace(one, samples=samples)


def _latest_or_added(one: MetricFamily, other: MetricFamily) -> MetricFamily:
    if one.read_at is None or other.read_at is None:
        return _added(one, other)
    return max(one, other, key=lambda family: family.read_at or 0.0)
