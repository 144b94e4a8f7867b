"""The program that is sampled: it serves one path of `bench.counters` for some seconds.

It prints the microseconds of a request, without the client's: those of the shortest of all rounds,
because what else runs on the machine only adds to them.
"""

import argparse
import time
from collections.abc import Callable

from bench.counters.paths import open_paths

#: Requests whose time is taken together: so few that most rounds are not interrupted, and that the
#: responses for the client alone fit into the buffer of a socket.
_ROUND, _CLIENT_ROUNDS = 50, 100


def main() -> None:
    """Read the command line, serve, and print the time of a request."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    path = dict(open_paths())[options.path]
    client = min(_seconds(path.prepare_client(_ROUND)) for _ in range(_CLIENT_ROUNDS))
    rounds, end = [], time.perf_counter() + options.seconds
    while time.perf_counter() < end:
        rounds.append(_seconds(path.prepare(_ROUND)))
    print(f"{(min(rounds) - client) / _ROUND * 1e6:.2f}")


def _seconds(run: Callable[[], None]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    main()
