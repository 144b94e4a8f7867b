"""`Shot`: the figures of one burst of load."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Shot:
    """The figures of one burst of load on one server.

    ``errors`` counts responses that are not 2xx and connections that broke. ``busy`` is the share
    of the time that the load generator used its core. Near 1, the load generator is the limit.
    """

    rate: float
    p99_ms: float
    errors: int = 0
    busy: float = 0.0

    def to_json(self) -> str:
        """Return the shot as one line of JSON."""
        return json.dumps(asdict(self))


def from_json(line: str) -> Shot:
    """Return the shot from a line of `Shot.to_json`."""
    return Shot(**json.loads(line))
