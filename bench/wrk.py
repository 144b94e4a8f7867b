"""Parses the output of wrk."""

import re

from bench.shot import Shot

_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
_P99 = re.compile(r"^\s+99%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
_ALL = re.compile(r"^\s+(\d+) requests in ", re.MULTILINE)
_STATUS = re.compile(r"Non-2xx or 3xx responses:\s+(\d+)")
_SOCKET = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}


def parse(output: str) -> Shot:
    """Return the figures that ``wrk --latency`` printed.

    Its rate has all responses. That of the shot has only those with the status 2xx or 3xx, so that
    a server that refuses requests is not a fast one.

    Raises:
        ValueError: If the output has no rate or no 99th percentile.
    """
    rate, p99 = _RATE.search(output), _P99.search(output)
    if rate is None or p99 is None:
        raise ValueError(f"wrk printed no figures: {output.strip()!r}")
    status, socket, every = (found.search(output) for found in (_STATUS, _SOCKET, _ALL))
    refused = int(status[1]) if status else 0
    broken = sum(map(int, socket.groups())) if socket else 0
    good = 1 - refused / int(every[1]) if refused and every else 1.0
    p99_ms = float(p99[1]) * _MILLISECONDS[p99[2]]
    return Shot(rate=float(rate[1]) * good, p99_ms=p99_ms, errors=refused + broken)
