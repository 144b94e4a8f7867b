"""All cases, by their names."""

from tests.server.corpus import bounds, chunks, connections, fields, framing, lines
from tests.server.corpus.case import Case

_ALL = [
    *lines.CASES, *fields.CASES, *framing.CASES, *chunks.CASES, *connections.CASES, *bounds.CASES,
]  # fmt: skip

CASES: dict[str, Case] = {f"{case.section}: {case.name}": case for case in _ALL}

if len(CASES) != len(_ALL):
    names = [f"{case.section}: {case.name}" for case in _ALL]
    twice = sorted({name for name in names if names.count(name) > 1})
    raise ValueError(f"These names stand for two cases: {', '.join(twice)}")
