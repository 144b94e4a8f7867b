"""Slow clients and idle ones: what they cost the others, and what they cost at all.

``make soak-slow`` runs the long form; the suite runs a short one. First, normal traffic is measured
in turns without and with a crowd: 500 clients that send a byte of a head per second, 100 that
send a body so, and 100 that read a large response slowly. Its p99 must stay within twice, and no
thread may be held. Then 10,000 clients ask once and stay: each may cost 8 kB, no thread, and next
to no time; and each is still answered. Exits with 1 where that is not so.
"""

import argparse
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from soaktools import SoakedServer, raise_descriptor_limit, result_of, start_client, table

CROWD = Path(__file__).with_name("crowd.py")
PACED = Path(__file__).with_name("paced_client.py")
CROWD_OF = {"head": 500, "body": 100, "reader": 100}

MOST_RATIO = 2.0
MOST_KB = 8.0
# A second's look at 10,000 deadlines is what an idle server does.
MOST_CPU = 0.05
# What both processes have open besides the connections.
_OWN_DESCRIPTORS = 200


@dataclass
class Traffic:
    """What normal traffic was like without and with the crowd.

    Attributes:
        without: The p99 of each turn, in microseconds.
        crowded: The same with the crowd.
        requests: How many there were.
        wrong: How many of them were not answered as they should be.
        threads: The threads of the server's process before and with the crowd.
        seen: What the crowd has seen.
    """

    without: list[int] = field(default_factory=list)
    crowded: list[int] = field(default_factory=list)
    requests: int = 0
    wrong: int = 0
    most_away: int = 0
    most_connections: int = 0
    threads: list[int] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """The p99 with the crowd to that without, each the median of its turns."""
        return statistics.median(self.crowded) / statistics.median(self.without)


@dataclass
class Idle:
    """What idle connections cost.

    Attributes:
        connections: How many there were.
        kilobytes: Memory for each, in kB of 1,000 bytes.
        threads: The threads of the server's process before and with them.
        cpu: The share of one core that the server used while nothing came.
        answered: How many were answered at the end.
    """

    connections: int = 0
    kilobytes: float = 0.0
    threads: list[int] = field(default_factory=list)
    cpu: float = 0.0
    answered: int = 0


def measure_traffic(
    turns: int, seconds: float, rate: float, crowd_of: dict[str, int], threads: int = 4
) -> Traffic:
    """Return what traffic of *rate* requests per second was like in *turns* of each kind."""
    found = Traffic()
    with SoakedServer(threads=threads, max_connections=4096) as server:
        server.start_threads(threads)
        with start_client(PACED, server.port, 0.2, rate) as warm_up:
            result_of(warm_up)
        found.threads.append(server.sample().threads)
        for _ in range(turns):
            with start_client(PACED, server.port, seconds, rate) as alone:
                _note(found, found.without, result_of(alone))
            kinds = [f"{kind}={count}" for kind, count in crowd_of.items()]
            with start_client(CROWD, server.port, *kinds) as crowd:
                result_of(crowd)
                server.wait_for(lambda pool: not pool["handed_off"])
                with start_client(PACED, server.port, seconds, rate) as measured:
                    _watch(found, server, measured)
                    _note(found, found.crowded, result_of(measured))
                found.threads.append(server.sample().threads)
                _tell(crowd)
                found.seen.update(result_of(crowd))
            server.wait_quiet()
    return found


def measure_idle(connections: int, seconds: float) -> Idle:
    """Return what *connections* idle connections cost while nothing comes for *seconds*."""
    allowed = raise_descriptor_limit() - _OWN_DESCRIPTORS
    found = Idle(connections=min(connections, allowed))
    settings = {"threads": 4, "max_connections": found.connections + 100, "keep_alive": 600}
    with SoakedServer(**settings) as server:
        server.start_threads(4)
        before = server.sample()
        with start_client(CROWD, server.port, f"idle={found.connections}") as crowd:
            result_of(crowd)
            after = server.sample()
            began = server.cpu()
            _let_pass(crowd, seconds)
            found.cpu = (server.cpu() - began) / seconds
            found.threads = [before.threads, after.threads, server.sample().threads]
            found.kilobytes = (after.memory - before.memory) * 1.024 / found.connections
            _tell(crowd)
            found.answered = result_of(crowd)["answered at the end"]
    return found


def _note(found: Traffic, p99s: list[int], result: dict[str, Any]) -> None:
    p99s.append(result["p99"])
    found.requests += result["count"]
    found.wrong += result["wrong"]


def _watch(found: Traffic, server: SoakedServer, client: "subprocess.Popen[str]") -> None:
    """Look until *client* has ended at how many threads are held."""
    while not _let_pass(client, 0.2):
        pool = server.pool()
        found.most_away = max(found.most_away, pool["handed_off"])
        found.most_connections = max(found.most_connections, pool["connections"])


def _let_pass(client: "subprocess.Popen[str]", seconds: float) -> bool:
    """Wait for the end of *client*, but not longer than *seconds*; tell whether it came."""
    try:
        client.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _tell(crowd: "subprocess.Popen[str]") -> None:
    """Have a crowd come to its end."""
    if crowd.stdin:
        crowd.stdin.write("\n")
        crowd.stdin.flush()


def _show_traffic(traffic: Traffic, rate: float) -> list[str]:
    rows = list(zip(range(1, 100), traffic.without, traffic.crowded, strict=False))
    print(table(("turn", "p99 without, us", "p99 with, us"), rows))
    print(
        f"{traffic.requests:,} requests at {rate:g} a second, {traffic.wrong} wrong; up to"
        f" {traffic.most_connections} connections, {traffic.most_away} requests away from the"
        f" leader at most, threads {traffic.threads}"
    )
    print("the crowd:", ", ".join(f"{n} {name}" for name, n in sorted(traffic.seen.items())))
    print(f"p99 with the crowd: {traffic.ratio:.2f} x")
    complaints = []
    if traffic.wrong:
        complaints.append(f"{traffic.wrong} requests of normal traffic were not answered")
    if traffic.ratio > MOST_RATIO:
        complaints.append(f"the crowd makes the p99 {traffic.ratio:.2f} times as long")
    if len(set(traffic.threads)) > 1:
        complaints.append(f"the threads are not as many as before: {traffic.threads}")
    return complaints


def _show_idle(idle: Idle, asked: int) -> list[str]:
    if idle.connections < asked:
        print(f"scaled down to {idle.connections} connections: see ulimit -n")
    print(
        f"{idle.connections:,} idle connections: {idle.kilobytes:.2f} kB each, threads"
        f" {idle.threads}, {idle.cpu:.2%} of a core while idle, {idle.answered:,} answered at the"
        " end"
    )
    complaints = []
    if idle.kilobytes > MOST_KB:
        complaints.append(f"an idle connection costs {idle.kilobytes:.1f} kB")
    if idle.cpu > MOST_CPU:
        complaints.append(f"idle connections cost {idle.cpu:.1%} of a core")
    if len(set(idle.threads)) > 1:
        complaints.append(f"idle connections cost threads: {idle.threads}")
    if idle.answered != idle.connections:
        complaints.append(f"only {idle.answered} of {idle.connections} were answered at the end")
    return complaints


def main() -> int:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=4, help="without and with the crowd, each")
    parser.add_argument("--seconds", type=float, default=20, help="of each turn")
    parser.add_argument("--rate", type=float, default=500, help="normal requests per second")
    parser.add_argument("--connections", type=int, default=10_000, help="that are idle")
    arguments = parser.parse_args()
    traffic = measure_traffic(arguments.turns, arguments.seconds, arguments.rate, CROWD_OF)
    complaints = _show_traffic(traffic, arguments.rate)
    idle = measure_idle(arguments.connections, arguments.seconds)
    complaints += _show_idle(idle, arguments.connections)
    for complaint in complaints:
        print(" ", complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
