"""Which clients a process leaves to the others, on a clock of our own."""

import pytest

from dewar.server.threads.yield_policy import YIELD_TIME, YieldPolicy


class Share:
    """Says whether another process should have the next client."""

    def __init__(self) -> None:
        self.least = 0
        self.asked = 0

    def note_open(self, count: int) -> None:
        """See `dewar.server.connection.server_context.Share`."""

    def should_defer(self, count: int) -> bool:
        """See `dewar.server.connection.server_context.Share`."""
        self.asked += 1
        return count > self.least


@pytest.fixture
def share() -> Share:
    return Share()


def taken_in_a_row(policy: YieldPolicy, share: Share, now: float) -> int:
    """Return how many clients are taken before one is left, all of them there already."""
    taken = 0
    while not policy.decide(share, 100, now):
        taken += 1
        if policy.returned_at is not None:
            policy.note_in_vain()
    return taken


def test_a_process_with_its_share_or_less_takes_the_client(share: Share) -> None:
    """The share is asked before each."""
    share.least = 3
    policy = YieldPolicy()
    assert [policy.decide(share, count, 0.0) for count in range(6)] == [False] * 4 + [True] * 2
    assert share.asked == 6


def test_eight_yields_in_vain_double_what_is_taken_without_asking(share: Share) -> None:
    """Up to a bound: no client waits much longer because another process hangs."""
    policy = YieldPolicy()
    now, taken = 100.0, []
    for _ in range(65):
        taken.append(taken_in_a_row(policy, share, now))
        now += YIELD_TIME
        policy.note_return(now)
    assert taken == [0] + [1 << doubling for doubling in range(7) for _ in range(8)] + [64] * 8


def test_a_process_that_wakes_late_still_has_its_share(share: Share) -> None:
    """On a busy core it needs several yields: most of 32 clients are still there then."""
    policy = YieldPolicy()
    now, taken = 100.0, 0
    for _ in range(6):
        taken += taken_in_a_row(policy, share, now)
        now += YIELD_TIME
        policy.note_return(now)
    assert taken == 5


def test_what_is_taken_without_asking_costs_no_question(share: Share) -> None:
    """The board that all processes share is not read for it."""
    policy = YieldPolicy()
    policy.note_return(0.0)
    assert not policy.decide(share, 100, 0.0)
    assert share.asked == 0


@pytest.mark.parametrize(("later", "taken"), [(YIELD_TIME / 2, 2), (YIELD_TIME * 2, 0), (60.0, 0)])
def test_a_client_that_another_process_took_ends_the_row(
    share: Share, later: float, taken: int
) -> None:
    """If nothing is there for the time of a yield, another process took it: the next is left."""
    policy = YieldPolicy()
    for now in range(8):
        policy.note_return(now)
        taken_in_a_row(policy, share, now)
    policy.note_return(9.0)
    assert taken_in_a_row(policy, share, 9.0 + later) == taken


def test_it_starts_again_after_a_yield_that_was_not_in_vain(share: Share) -> None:
    """One client is taken without asking then, and not as many as before."""
    policy = YieldPolicy()
    for now in range(16):
        policy.note_return(now)
        taken_in_a_row(policy, share, now)
    policy.note_return(16.0)
    assert policy.decide(share, 100, 17.0)
    policy.note_return(18.0)
    assert taken_in_a_row(policy, share, 18.0) == 1


def test_it_works_at_the_beginning_of_the_clock(share: Share) -> None:
    """A monotonic clock may begin with 0."""
    policy = YieldPolicy()
    policy.note_return(0.0)
    assert policy.returned_at == 0.0
    assert taken_in_a_row(policy, share, 0.0) == 1
    assert policy.returned_at is None
    assert repr(policy) == "<YieldPolicy, 1 in vain, 0 unasked>"
