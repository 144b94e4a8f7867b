"""Which process takes the next client."""

import pytest

from dewar.server.processes.balancing import LeastConnections


class ConnectionCounts:
    """Two processes: this one and another."""

    def __init__(self, elsewhere: int | None) -> None:
        self.elsewhere = elsewhere
        self.told: list[int] = []

    def note_open(self, count: int) -> None:
        """See `dewar.server.processes.balancing.ConnectionCounts`."""
        self.told.append(count)

    def least_open_elsewhere(self) -> int | None:
        """See `dewar.server.processes.balancing.ConnectionCounts`."""
        return self.elsewhere


@pytest.mark.parametrize(
    ("here", "elsewhere", "should_defer"),
    [
        (0, 0, False),
        (1, 0, True),
        (1, 1, False),
        (0, 5, False),
        (33, 32, False),
        (36, 32, False),
        (37, 32, True),
        (5, None, False),
    ],
)
def test_the_one_with_fewer_has_the_next(
    here: int, elsewhere: int | None, should_defer: bool
) -> None:
    """An eighth more does no harm; one that is alone takes all."""
    assert LeastConnections(ConnectionCounts(elsewhere)).should_defer(here) is should_defer


def test_the_count_is_told() -> None:
    """So that the others can go by it."""
    counts = ConnectionCounts(0)
    LeastConnections(counts).note_open(3)
    assert counts.told == [3]
