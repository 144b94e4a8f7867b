"""The program that is sampled: it serves one path of `bench.counters` for some seconds.

It prints the microseconds of a request, without the client's.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

from bench.counters.paths import open_paths

#: Requests whose time is taken together.
_BATCH = 200
#: The same of the client alone, whose responses have to fit into the buffer of a socket.
_CLIENT, _CLIENT_ROUNDS = 50, 60


def main() -> None:
    """Read the command line, serve, and print the time of a request."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    path = dict(open_paths())[options.path]
    client = median(_seconds(path.prepare_client(_CLIENT)) for _ in range(_CLIENT_ROUNDS))
    rounds, end = [], time.perf_counter() + options.seconds
    while time.perf_counter() < end:
        rounds.append(_seconds(path.prepare(_BATCH)))
    print(f"{(median(rounds) / _BATCH - client / _CLIENT) * 1e6:.2f}")


def _seconds(run: Callable[[], None]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    main()
