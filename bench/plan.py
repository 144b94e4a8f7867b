"""The rounds and durations of a bench."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Rounds and durations of all groups."""

    proxy_rounds: int
    proxy_loops: int
    request_rounds: int
    requests: int
    task_rounds: int
    jobs: int
    ledger_rounds: int
    ended_jobs: int
    queue_rounds: int
    queue_jobs: int
    server_rounds: int
    server_seconds: int
    warm_seconds: int
    sleep_rounds: int
    sleep_seconds: int
    crowd: int
    crowd_rounds: int
    crowd_seconds: int
    start_rounds: int
    curve_rounds: int
    curve_server_rounds: int
    curve_seconds: int
    curve_crowd_rounds: int
    # wrk and `bench.load` both keep one request in progress on each.
    connections: int = 32

    def arguments(self, group: str) -> list[str]:
        """Return the command-line arguments of a group that runs in one process."""
        rounds, option, count = {
            "proxy": (self.proxy_rounds, "--loops", self.proxy_loops),
            "request": (self.request_rounds, "--requests", self.requests),
            "tasks": (self.task_rounds, "--jobs", self.jobs),
            "ledger": (self.ledger_rounds, "--ended", self.ended_jobs),
            "queues": (self.queue_rounds, "--jobs", self.queue_jobs),
        }[group]
        return ["--rounds", str(rounds), option, str(count)]


# About five minutes. The server groups have the long bursts, because they vary most.
FULL = Plan(
    proxy_rounds=25,
    proxy_loops=50_000,
    request_rounds=15,
    requests=2000,
    task_rounds=9,
    jobs=10_000,
    ledger_rounds=15,
    ended_jobs=1_000_000,
    queue_rounds=7,
    queue_jobs=200,
    server_rounds=5,
    server_seconds=2,
    warm_seconds=1,
    sleep_rounds=2,
    sleep_seconds=4,
    crowd=5000,
    crowd_rounds=3,
    crowd_seconds=4,
    start_rounds=15,
    curve_rounds=15,
    curve_server_rounds=2,
    curve_seconds=2,
    curve_crowd_rounds=2,
)
QUICK = Plan(
    proxy_rounds=7,
    proxy_loops=30_000,
    request_rounds=5,
    requests=1000,
    task_rounds=3,
    jobs=3000,
    ledger_rounds=5,
    ended_jobs=100_000,
    queue_rounds=3,
    queue_jobs=100,
    server_rounds=2,
    server_seconds=1,
    warm_seconds=0,
    sleep_rounds=1,
    sleep_seconds=2,
    crowd=1000,
    crowd_rounds=1,
    crowd_seconds=2,
    start_rounds=5,
    curve_rounds=5,
    curve_server_rounds=1,
    curve_seconds=1,
    curve_crowd_rounds=1,
)
