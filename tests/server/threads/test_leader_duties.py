"""`LeaderDuties`: what a poll gives to the leader, and which connections have a deadline."""

from types import SimpleNamespace
from typing import Any

import pytest

from dewar.server.threads.crowd import CROWDED, CrowdTurns
from dewar.server.threads.leader_duties import Events, LeaderDuties
from dewar.server.threads.poller import BATCH, READ


class Poller:
    """Reports so many descriptors, the first of them first."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.limits: list[int] = []

    def poll(self, timeout: float, limit: int = BATCH) -> Events:
        """See `dewar.server.threads.poller.Poller`."""
        assert timeout == 0
        self.limits.append(limit)
        return [(fd, READ) for fd in range(self.count)][:limit]


class Duties(LeaderDuties):
    """Notes whose deadlines are not looked at."""

    def sweep(self, now: float, events: Events) -> None:
        """Note the descriptors."""
        self.swept = {fd for fd, _ in events}
        self.next_sweep = now + 1.0


def make(count: int) -> tuple[Duties, Poller]:
    """Return the duties of a leader with so many ready clients."""
    poller = Poller(count)
    connections = {fd: SimpleNamespace(served=0) for fd in range(count)}
    context: Any = SimpleNamespace(logs_access=False, now=0.0, clock=lambda: 100.0)
    table: Any = SimpleNamespace(open=connections)
    nothing: Any = None
    return Duties(context, poller, nothing, nothing, table, nothing), poller  # type: ignore[arg-type]  # it only polls


@pytest.mark.parametrize("count", [0, 1, CROWDED - 1])
def test_a_few_events_are_given_as_they_are(count: int) -> None:
    """Nobody waits long for them."""
    duties, _ = make(count)
    assert duties.poll(0) == [(fd, READ) for fd in range(count)]


@pytest.mark.parametrize("count", [CROWDED, 500])
def test_many_events_are_those_of_a_crowd(count: int) -> None:
    """And the next poll reports only as many as are handled soon."""
    duties, poller = make(count)
    for _ in range(3):
        turns = duties.poll(0)
        assert isinstance(turns, CrowdTurns)
        assert len(list(turns)) == len(turns) >= CROWDED
    assert max(poller.limits[-1:]) < BATCH


def test_a_request_that_waits_in_a_crowd_keeps_its_client_from_being_idle() -> None:
    """A poll does not report it, so all that is ready is asked for."""
    duties, _ = make(500)
    duties.poll(0)
    duties.next_sweep = 0.0
    duties.poll(0)
    assert duties.swept == set(range(500))
