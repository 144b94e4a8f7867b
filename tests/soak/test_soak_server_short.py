"""The short forms of the soaks of the server: a few seconds of what `make soak-…` does for long."""

import soak.endurance
import soak.slow_clients


def test_requests_of_every_kind_leave_nothing_behind() -> None:
    """Every answer is right; descriptors and threads stay as many as they were."""
    findings = soak.endurance.Endurance(threads=2, clients=2).run(requests=2500, stages=2)
    assert findings.complaints() == []
    assert findings.done.total() > 2000
    assert {"spooled body", "given up", "malformed", "pipelined"} <= set(findings.done)
    # A thing kept for each request would be 1,000 blocks and more; the memos that fill are few.
    assert findings.blocks[-1] - findings.blocks[-2] < 800, findings.blocks


def test_slow_clients_hold_no_thread() -> None:
    """Many more of them than threads, and everybody else is answered meanwhile."""
    crowd = {"head": 60, "body": 20, "reader": 10}
    traffic = soak.slow_clients.measure_traffic(1, 1.0, 300, crowd, threads=2)
    assert traffic.wrong == 0
    assert traffic.requests == 600
    assert traffic.most_connections > 90
    assert len(set(traffic.threads)) == 1
    # They come a byte at a time, and everybody has had a turn.
    assert traffic.seen["bytes of a head"] >= 50
    # Held threads would make it seconds. How much it is in truth, the long form tells.
    assert max(traffic.crowded) < 1_000_000


def test_idle_connections_cost_little() -> None:
    """No thread, no time, some kilobytes; and a request on any of them is answered."""
    idle = soak.slow_clients.measure_idle(600, 0.5)
    assert idle.answered == idle.connections
    assert len(set(idle.threads)) == 1
    assert idle.kilobytes < 12
    assert idle.cpu < 0.2
