"""A strict reader of Prometheus' text format 0.0.4."""

import re
from dataclasses import dataclass, field

_SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    """A metric with its samples by their labels."""

    help: str
    type: str = ""
    samples: dict[Labels, float] = field(default_factory=dict)


def parse(page: str) -> dict[str, Family]:
    """Read a page; anything that the format does not allow is an assertion error."""
    assert page.endswith("\n")
    families: dict[str, Family] = {}
    name = ""
    for line in page[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, text = line.removeprefix("# HELP ").partition(" ")
            assert name not in families, f"{name} is there twice"
            families[name] = Family(text)
        elif line.startswith("# TYPE "):
            typed, _, kind = line.removeprefix("# TYPE ").partition(" ")
            assert typed == name
            assert not families[name].samples
            assert kind in ("counter", "gauge", "histogram")
            families[name].type = kind
        else:
            _read_sample(line, name, families[name])
    assert all(family.type for family in families.values())
    return families


def _read_sample(line: str, name: str, family: Family) -> None:
    match = _SAMPLE.fullmatch(line)
    assert match is not None, line
    ends = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
    assert match[1] in {f"{name}{end}" for end in ends}, "samples of one metric stand together"
    labels, rest = [], match[2] or ""
    if family.type == "histogram":
        labels.append(("__name__", match[1]))
    while rest:
        label = _LABEL.match(rest)
        assert label is not None, rest
        value = re.sub(r'\\["\\n]', lambda found: _ESCAPES[found[0]], label[2])
        labels.append((label[1], value))
        rest = rest[label.end() :]
    assert tuple(labels) not in family.samples, "a sample is there twice"
    family.samples[tuple(labels)] = float(match[3])
