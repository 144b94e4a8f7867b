"""Which process takes the next client."""

import pytest

from dewar.server.processes.balance import Balance


class Counts:
    """Two processes: this one and another."""

    def __init__(self, elsewhere: int | None) -> None:
        self.elsewhere = elsewhere
        self.told: list[int] = []

    def note_open(self, count: int) -> None:
        """See `dewar.server.processes.balance.Counts`."""
        self.told.append(count)

    def least_open_elsewhere(self) -> int | None:
        """See `dewar.server.processes.balance.Counts`."""
        return self.elsewhere


@pytest.mark.parametrize(
    ("here", "elsewhere", "steps_back"),
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
    here: int, elsewhere: int | None, steps_back: bool
) -> None:
    """An eighth more does no harm; one that is alone takes all."""
    assert Balance(Counts(elsewhere)).steps_back(here) is steps_back


def test_the_count_is_told() -> None:
    """So that the others can go by it."""
    counts = Counts(0)
    Balance(counts).note_open(3)
    assert counts.told == [3]
