"""What one burst of load found out."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Shot:
    """The outcome of one burst of load on one server.

    ``errors`` counts answers outside 2xx and connections that broke. ``busy`` is the share of the
    time in which the load generator kept its core busy: near 1 it may be what is being measured.
    """

    rate: float
    p99_ms: float
    errors: int = 0
    busy: float = 0.0

    def to_json(self) -> str:
        """Return the shot as one line of JSON."""
        return json.dumps(asdict(self))


def from_json(line: str) -> Shot:
    """Return the shot that `Shot.to_json` wrote."""
    return Shot(**json.loads(line))
