"""Reloads, kills and a stop under load, with every response counted at the client.

``make faults`` runs the long form: 100,000 requests while the workers are replaced over and over.
The suite runs short forms of the same (``tests/server/processes``). Run as a script it prints one
line for each part and exits with 1 where a request failed that should not have.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faulttools import Load, Running, is_alive, running

SETTINGS = "processes=2, threads=4, graceful_timeout=20"


def reload(requests: int, keeps: bool) -> list[str]:
    """Reload again and again until *requests* are answered; return the failures."""
    with running(SETTINGS) as server, Load(server.address, 16, keeps) as load:
        reloads = 0
        while load.count < requests:
            former = set(server.workers())
            server.send(signal.SIGHUP)
            load.wait_until(server.without(*former))
            load.wait_more(200)
            reloads += 1
        found = list(load.failures)
        kind = "keep-alive" if keeps else "one request a connection"
        print(f"{reloads} reloads, {kind}: {load.count} answered, {len(found)} failed", flush=True)
    return found


def kill(times: int) -> list[str]:
    """Kill workers; each may cost what it was running and its other connections' next request."""
    clients = 8
    with running(SETTINGS) as server, Load(server.address, clients, True) as load:
        for _ in range(times):
            time.sleep(1.2)  # quicker, and the supervisor takes it for a fault of the app
            load.wait_more(100)
            victim = server.workers()[0]
            os.kill(victim, signal.SIGKILL)
            load.wait_until(server.without(victim))
        load.wait_more(500)
        lost, allowed = len(load.failures), times * clients
        print(f"{times} kills: {load.count} answered, {lost} lost, {allowed} allowed", flush=True)
        return [] if lost <= allowed else load.failures


def leaks(times: int) -> list[str]:
    """Reload *times* and compare the supervisor's descriptors; nobody may be left behind."""

    def descriptors(server: Running) -> int:
        return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))

    with running(SETTINGS) as server:
        before = descriptors(server)
        known: set[int] = set()
        with Load(server.address, 2, True) as load:
            for _ in range(times):
                former = set(server.workers())
                known |= former
                server.send(signal.SIGHUP)
                load.wait_until(server.without(*former))
        after = descriptors(server)
        left = [pid for pid in known if is_alive(pid)]
        print(f"{times} restarts: descriptors {before} before, {after} after", flush=True)
        return [f"{before} -> {after}, {left}"] if before != after or left else []


def main() -> int:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    requests = parser.parse_args().requests
    failures = reload(requests // 2, keeps=True) + reload(requests // 2, keeps=False)
    failures += kill(20) + leaks(50)
    for failure in failures[:20]:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
